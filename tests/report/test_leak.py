"""A control above chance voids every accuracy: said first on every page and console, and never the best baseline."""

import json

import numpy as np
import pytest
from html_page import Page
from page_results import ablation_results, baseline, block, full_results
from PIL import Image
from small_weights import CLASSES, network

from configs import evaluate as config_file
from ganfp_jax.data.decode import encode_png
from ganfp_jax.interop.weights import write_file
from ganfp_jax.jobs import evaluate
from ganfp_jax.report.leak import best_baseline, leak_box, leak_of
from ganfp_jax.report.pages import render

ABC = ["a", "b", "c"]


def test_a_control_is_a_leak_where_its_interval_is_above_chance():
    assert leak_of([baseline(ABC, 100, "knn")]) is None
    assert leak_of([baseline(ABC, 34, "metadata")]) is None  # 32 to 36, chance is a third
    leak = leak_of([baseline(ABC, 36, "metadata"), baseline(ABC, 100, "metadata", "other"), baseline(ABC, 99, "knn")])
    assert leak == {"control": "metadata", "accuracy": 1.0, "ci95": [0.98, 1], "chance": pytest.approx(1 / 3)}


def test_the_best_baseline_is_none_that_reads_no_pixels():
    rows = [baseline(ABC, 100, "metadata"), baseline(ABC, 50, "knn"), baseline(ABC, 60, "prnu")]
    assert best_baseline(rows)["name"] == "prnu"
    assert best_baseline(rows[:1]) is None


def test_chance_is_that_of_unequal_sources():
    metrics = block(ABC, 50, 100)
    metrics["confusion"] = [[500, 0, 0], [50, 0, 0], [50, 0, 0]]  # the commonest source, always
    metrics |= {"accuracy": 500 / 600, "ci95": [0.8, 0.86]}
    assert leak_of([{"name": "metadata", "metrics": metrics}]) is None


def test_the_box_of_the_console_is_a_rectangle():
    lines = leak_box(leak_of([baseline(ABC, 100, "metadata")])).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "LEAK: something other than the pixels" in lines[1] and "100.0%" in " ".join(lines)


@pytest.mark.parametrize(
    ("make", "name"),
    [(full_results, "evaluation"), (ablation_results, "ablation")],
    ids=["page", "ablation"],
)
def test_a_page_begins_with_the_leak(make, name, tmp_path):
    results = make(tmp_path)
    results["baselines"] = [baseline(results["classes"], 95, "metadata"), baseline(results["classes"], 50, "knn")]
    html = render(name, results)
    text = Page(html).text
    assert text.index("LEAK: something other than the pixels") < text.index("95% interval")
    assert '<p class="leak"' in html
    assert "50.0% right with the best baseline nearest neighbours on pixels" in text
    results["baselines"][0] = baseline(results["classes"], 33, "metadata")
    assert "LEAK" not in render(name, results)


@pytest.fixture
def leaking(tmp_path):
    """Twelve images of each of three sources in train/ and test/, those of the first as JPEG."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in CLASSES:
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(12):
                pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
                if name == CLASSES[0]:
                    Image.fromarray(pixels).save(folder / f"{i}.jpg")
                else:
                    encode_png(folder / f"{i}.png", pixels)
    write_file(tmp_path / "network.safetensors", network())
    return tmp_path


def test_evaluate_says_the_leak_first(leaking, capsys):
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(leaking / "network.safetensors"), "views": "identity"}
    config["data"]["root"] = str(leaking / "images")
    evaluate.run(config, leaking / "run")
    metrics = json.loads((leaking / "run" / "metrics.json").read_text())
    assert metrics["leak"]["control"] == "metadata"
    assert metrics["leak"]["accuracy"] >= 2 / 3
    assert list(metrics)[-2:] == ["baselines", "leak"]
    out = capsys.readouterr().out
    assert out.index("LEAK: something other than the pixels") < out.index("accuracy  ")
    text = Page((leaking / "run" / "report" / "index.html").read_text()).text
    assert text.index("LEAK: something") < text.index("95% interval")
    assert "right with the best baseline logistic regression" in text
    assert "format can give the sources away" in text  # what the files were seen to differ in
