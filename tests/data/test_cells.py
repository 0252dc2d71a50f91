"""Text from files in the cells of CSV tables."""

import csv
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_imports import MODULES

from ganfp_jax.data import reports
from ganfp_jax.data.cells import cell, text_of

# Tables of our own words, numbers and names of sources, which are checked where they enter.
OF_OUR_WORDS = {"jobs.ablation", "jobs.baselines", "jobs.course_project", "jobs.robustness"}
# They write what others made cells of: the callers of `csv_text`, and `attribution.predictions`.
ELSEWHERE = {"report.table", "attribution.parts"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x.png", "@2x/icon.png", "\t=1", "\r=1", "＝1", "'=1", "'"])
def test_what_a_spreadsheet_computes_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"
    assert text_of(cell(text)) == text


@pytest.mark.parametrize("text", ["", "real/x.png", "x=1", "a-b", "1", " =1", '"quoted"', "生成器"])
def test_other_text_stays(text):
    assert cell(text) == text_of(text) == text


@given(st.text("=+-@'\t\ra", max_size=4))
def test_every_text_comes_back(text):
    assert text_of(cell(text)) == text
    assert not cell(text).startswith(tuple("=+-@\t\r"))


def test_rejected_and_notes(tmp_path):
    names = ["-x.png", "@2x/icon.png", "=cmd|' /C calc'!A0.png", "'quoted'.png", "plain, with comma.png"]
    reports.write_rejected(tmp_path / "rejected.csv", [(name, "=said") for name in names])
    reports.write_notes(tmp_path / "notes.csv", [(name, "cropped") for name in names])
    for file, said in (("rejected.csv", "=said"), ("notes.csv", "cropped")):
        with (tmp_path / file).open(newline="") as lines:
            rows = list(csv.reader(lines))[1:]
        assert [(text_of(name), text_of(words)) for name, words in rows] == [(name, said) for name in names]
        assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row)


def test_every_writer_of_text_from_files_makes_cells_of_it():
    """A new table has to be thought about: it uses `cell`, or holds nothing that a file says."""
    writers = {
        name for name, path in MODULES.items() if re.search(r"csv\.(Dict)?[wW]riter\(|csv_text\(", path.read_text())
    }
    using = {name for name in writers if "import cell" in MODULES[name].read_text()}
    assert writers - using == OF_OUR_WORDS | ELSEWHERE
