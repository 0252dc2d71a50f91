"""`--help`: every job in a group, every key with its value and its meaning."""

import importlib

import pytest

from ganfp_jax.run import config_files, help_text
from ganfp_jax.run.command_line import load

FILES = config_files.known()


def test_every_job_is_listed_with_its_first_line():
    text = help_text.jobs_text()
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2] != " "]
    assert sorted(shown) == sorted(FILES)
    assert "\n  audit                 Audit a labelled folder: does anything" in text


def test_groups_name_no_job_twice_and_none_that_is_not_there():
    grouped = [name for names in help_text.GROUPS.values() for name in names]
    assert len(set(grouped)) == len(grouped) and set(grouped) <= set(FILES)


def test_a_config_of_ones_own_is_listed_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.py").write_text('"""My own.\n\nMore."""')
    others = help_text.jobs_text().partition(f"\n\n{help_text.OTHERS}\n")[2]
    assert "  mine                  My own." in others.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_every_key_has_a_meaning(name):
    """Its docstring names it in backquotes, or it has an item in `configs/common/keys.md`."""
    importlib.import_module("configs")
    for variant in ("", ":tiny", *([":scratch"] if name == "quickstart" else [])):
        keys = [key for key, _ in help_text.settings(load(FILES[name], variant))]
        assert [key for key in keys if not help_text.meaning(key, FILES[name])] == []


def test_keys_with_their_values():
    text = help_text.keys_text({"job": "x", "tiles": 3, "data": {"resize": "crop"}, "networks": {}}, FILES["attribute"])
    assert [line for line in text.splitlines() if line.startswith("  --")] == [
        "  --tiles=3", "  --data.resize=crop", "  --networks={}",
    ]  # fmt: skip


@pytest.fixture
def config(tmp_path):
    def write(doc):
        file = tmp_path / "mine.py"
        file.write_text(f'"""Do it.\n\n    ganfp mine `--config.a=1`\n\n{doc}"""')
        return file

    return write


@pytest.mark.parametrize(
    ("key", "doc", "words"),
    [
        ("a", "Before. It uses `a` of them. After.", "It uses `a` of them."),
        ("a", "With `a` it runs. `a` is a number.", "`a` is a number."),
        ("s.a", "- `b`: one. `a`: two,\n  three.\n- `c`: four.", "two, three."),
        ("s.a", "- `a`: of another section.\n- `s.a`: of this one.", "of this one."),
        ("a", "`--config.a=DIR` makes it.", "`--config.a=DIR` makes it."),
        ("a", "`a.b` and `ab` are others.", ""),
        ("s.a", "`s` is a section.", "`s` is a section."),
        ("batch_size", "", "images at a time. Of a training, images a step, of all devices together."),
    ],
)
def test_a_meaning_is_a_sentence_or_an_item(config, key, doc, words):
    help_text._said_by.cache_clear()
    assert help_text.meaning(key, config(doc)) == words
