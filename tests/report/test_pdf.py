"""A page becomes a PDF where a browser can print it, and nothing at all where none can."""

import os

import pytest
from page_results import evidence_results

from ganfp_jax.report import pdf
from ganfp_jax.report.pages import write_page

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "a b#1.html"
    path.write_text("<p>page")
    return path


def program(folder, lines):
    """A program in the place of the browser; $made is the file to print to."""
    path = folder / "chromium"
    path.write_text(
        f'#!/bin/sh\nfor word; do case "$word" in --print-to-pdf=*) made="${{word#*=}}";; esac; done\n{lines}\n'
    )
    path.chmod(0o755)
    return str(path)


def test_the_pdf_lies_beside_the_page(page, tmp_path):
    printed = pdf.print_page(program(tmp_path, 'echo "%PDF-1.4 $*" > "$made"'), page)
    assert printed == tmp_path / "a b#1.pdf"
    assert f"{page.as_uri()}\n" in printed.read_text()  # the address is the last word
    assert "a%20b%231.html" in printed.read_text()


@pytest.mark.parametrize("lines", ["exit 1", "true", 'echo "no PDF" > "$made"', "sleep 60"])
def test_a_failure_leaves_nothing(page, tmp_path, lines):
    assert pdf.print_page(program(tmp_path, lines), page, seconds=0.5) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b#1.html", "chromium"]


def test_no_browser(page, monkeypatch, tmp_path):
    assert pdf.print_page(str(tmp_path / "missing"), page) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pdf.browser() is None
    assert pdf.BROWSERS[0] in program(tmp_path, "true") and pdf.browser() == str(tmp_path / "chromium")


def test_a_real_browser_prints_the_page(tmp_path):
    chromium = pdf.browser()
    if chromium is None:
        if os.environ.get("GANFP_BROWSER") == "required":
            pytest.fail("no Chromium, and GANFP_BROWSER=required")
        pytest.skip("no Chromium")
    page = write_page("evidence", evidence_results(), tmp_path / "page.html")
    printed = pdf.print_page(chromium, page)
    assert printed is not None and printed.read_bytes().startswith(b"%PDF-")
    assert b"/MediaBox [0 0 594" in printed.read_bytes() or b"/MediaBox [0 0 595" in printed.read_bytes()  # A4
