"""Many sources: every page keeps to those that are confused most, and says so."""

import json

import numpy as np
import pytest
from html_page import Page
from page_results import ablation_results, evaluation, fingerprint_results, minimal_results, share

from ganfp_jax.report import few
from ganfp_jax.report.pages import render
from ganfp_jax.report.table import confusion_table
from ganfp_jax.run.run_folder import write_json

MANY = [f"source{k:04d}" for k in range(1000)]
PAGE_BYTES = 2_000_000


def metrics_of(classes, mistakes):
    """Nine right answers of each class, and `mistakes` {(target, called): count}."""
    confusion = 9 * np.eye(len(classes), dtype=int)
    for place, count in mistakes.items():
        confusion[place] += count
    return {"confusion": confusion.tolist(), "classes": classes}


def test_the_most_confused_are_those_with_most_mistakes_in_index_order():
    metrics = metrics_of(list("abcdef"), {(4, 2): 5, (0, 5): 3, (1, 5): 1})
    assert few.most_confused(metrics, 3) == ["c", "e", "f"]  # f is called for others four times
    assert few.most_confused(metrics, 2) == ["c", "e"]
    assert few.most_confused(metrics, 3, always="d") == ["c", "d", "e"]
    assert few.most_confused(metrics, 6) == list("abcdef")
    assert few.most_confused({"confusion": metrics["confusion"]}, 2, classes=list("uvwxyz")) == ["w", "y"]


def test_the_sentence_stands_only_where_sources_are_left_out():
    assert few.what_is_shown(["a"], ["a"], "metrics.json") == ""
    said = few.what_is_shown(MANY[:30], MANY, "metrics.json")
    assert said == "Of the 1,000 sources the 30 that are confused most are shown; metrics.json has all."


def many(evaluated):
    """An evaluation of `MANY` in which source 700 is taken for 701 and every other one is right."""
    block = metrics_of(MANY, {(700, 701): 4})
    evaluated["metrics"] |= block | {"single_view": evaluated["metrics"]["single_view"] | block}
    return evaluated


@pytest.fixture(scope="module")
def crowd():
    return many(evaluation(MANY))


def check(text, cells):
    assert len(text.encode()) < PAGE_BYTES
    shown = Page(text)
    assert "Of the 1,000 sources the 30 that are confused most are shown" in shown.text
    assert "and 992 others" in shown.text
    matrices = [attrs for attrs in shown.all("table") if "matrix" in attrs.get("class", "")]
    assert len(matrices) == cells
    assert "4 of 13 source0700 images were called source0701 (30.8%)" in text
    assert "source0999" not in shown.text
    return shown


def test_the_page_of_an_evaluation_of_many_sources(crowd):
    results = minimal_results() | {"classes": MANY, "evaluations": [crowd]}
    results["baselines"] = [{"name": "knn", "condition": "clean", "count": 100, "metrics": crowd["metrics"]}]
    results["counts"]["test"] = {name: k for k, name in enumerate(MANY)}
    check(render("evaluation", results), 3)


def test_the_page_of_an_ablation_of_many_sources(crowd, tmp_path):
    results = ablation_results(tmp_path) | {"classes": MANY, "fingerprints": None}
    results["main"]["metrics"] = crowd["metrics"]
    results["baselines"] = [{"name": "knn", "condition": "clean", "metrics": crowd["metrics"]}]
    check(render("ablation", results), 3)


def test_the_page_of_attacks_on_many_sources(crowd):
    block = crowd["metrics"]
    row = share(9000, 9004) | {
        "network": "plain",
        "attack": "clean",
        "n": 9004,
        "single_view_accuracy": 0.9,
        "holm_p": None,
        "psnr": None,
        "wrong_to_right": 0,
        "right_to_wrong": 0,
        "mcnemar_p": 1.0,
        "images_per_second": 9,
        "against_plain": None,
        "ci95_low": 0.98,
        "ci95_high": 1.0,
        "confusion": block["confusion"],
        "per_class": block["per_class"],
    }
    attacked = row | {"attack": "jpeg75", "holm_p": 0.5}
    results = {
        **{key: minimal_results()[key] for key in ("title", "command", "created", "config", "versions", "devices")},
        "classes": MANY,
        "views": ["identity"],
        "rule": "majority",
        "total": 9004,
        "per_source": [*[9] * 999, 13],
        "networks": [{"name": "plain", "checkpoint": "runs/plain", "training": None}],
        "attacks": [{"attack": a, "family": f, "psnr": None} for a, f in (("clean", "none"), ("jpeg75", "jpeg"))],
        "rows": [row, attacked],
        "baselines": [],
        "pictures": dict.fromkeys(("clean", "jpeg75"), np.zeros((8, 64, 3), np.uint8)),
        "sentences": [],
        "plain_command": "",
        "immunised": "",
    }
    shown = check(render("robustness", results), 2)
    assert "One test image of each of 8 sources" in shown.text


def test_the_page_of_fingerprints_of_many_sources(crowd):
    block = share(9000, 9004) | {key: crowd["metrics"][key] for key in ("per_class", "confusion", "classes")}
    shown = few.most_confused(block)
    results = fingerprint_results(shown) | {"metrics": block}
    results["samples"][0]["predicted"] = "source0900"  # none of those shown
    page = check(render("fingerprints", results), 3)
    assert "✗ called source0900, not shown here" in page.text
    assert "One image of each of the 10 sources that are confused most" in page.text
    assert len(page.all("img")) == 10 * 12 + 10 + 30  # responses, models, spectra


def test_the_console_lists_mistakes_where_a_matrix_is_too_large(crowd):
    table = confusion_table(crowd["metrics"])
    assert "source0700                      source0701       4  13" in table
    assert len(table.splitlines()) == 3
    assert confusion_table(metrics_of(MANY, {})) == "No mistake was made."
    assert "target \\ best class  a  b" in confusion_table(metrics_of(list("ab"), {(0, 1): 2}))


def test_metrics_of_many_sources_are_written_whole(crowd, tmp_path):
    write_json(tmp_path / "metrics.json", crowd["metrics"])
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == crowd["metrics"]
    assert text.count("\n") < 15_000  # a row of a matrix is a line


@pytest.mark.parametrize(
    "value", [{}, [], [[]], {"a": {}}, {"a": [1, [2.5, None], {"b": ("c", True)}], "é\n": '"\ud83d'}, 5, {1: [{}]}]
)
def test_json_is_what_the_library_reads_and_writes(value, tmp_path):
    write_json(tmp_path / "file.json", value)
    assert json.loads((tmp_path / "file.json").read_text()) == json.loads(json.dumps(value))
