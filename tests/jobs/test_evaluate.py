"""The job `evaluate`: what stands in the run folder when something fails on the way."""

import json

import numpy as np
import pytest
from small_weights import CLASSES, network

from configs import evaluate as config_file
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.interop.weights import write_file
from ganfp_jax.jobs import evaluate as evaluation_job
from ganfp_jax.run.errors import UserError


def test_metrics_are_not_lost_with_the_page(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        encode_png(tmp_path / "images" / name / "x.png", rng.integers(0, 256, (16, 16, 3), np.uint8))
    write_file(tmp_path / "network.safetensors", network())
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network.safetensors"), "views": "identity"}
    config["data"]["root"] = str(tmp_path / "images")
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    written = {"predictions.csv", "rejected.csv", "notes.csv"}

    def full(*arguments, **settings):
        raise OSError("no space left")

    monkeypatch.setattr(evaluation_job, "write_page", full)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")  # of an earlier run, on other images perhaps
    with pytest.raises(OSError, match="no space left"):
        evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written | {"metrics.json"}
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (found["total"], found["baselines"], found["leak"]) == (3, [], None)
    monkeypatch.undo()
    evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written | {"metrics.json", "report"}
    assert (tmp_path / "run" / "report" / "index.html").is_file()


@pytest.mark.parametrize("fault", ["a source more", "unreadable"])
def test_training_images_of_no_use_cost_the_baselines_only(tmp_path, capsys, fault):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in (*CLASSES, "other")[: 4 if split == "train" and fault == "a source more" else 3]:
            (tmp_path / "images" / split / name).mkdir(parents=True)
            path = tmp_path / "images" / split / name / "x.png"
            encode_png(path, rng.integers(0, 256, (16, 16, 3), np.uint8))
            if split == "train" and fault == "unreadable":
                path.write_bytes(b"no picture")
    write_file(tmp_path / "visnet-v1.2.safetensors", network())
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "visnet-v1.2.safetensors"), "views": "identity"}
    config["data"]["root"] = str(tmp_path / "images")
    evaluation_job.run(config, tmp_path / "run")
    said = {"a source more": "source other is none of the classes", "unreadable": "could be read"}[fault]
    assert said in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("no baselines: "))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["total"], metrics["baselines"]) == (3, [])
    assert "visnet-v1.2 network" in (tmp_path / "run" / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"views": "identity,crop40"}, "crop40.*16x16"),
        ({"rule": "mean_logit", "early_stopping": True}, "early stopping needs the rule majority"),
    ],
)
def test_a_vote_that_does_not_fit_is_said_before_an_image_is_read(tmp_path, monkeypatch, settings, words):
    attributor = Attributor(models.create(**network().model), network().variables, CLASSES, 16)
    monkeypatch.setattr(labelled.Images, "decode", None)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        encode_png(tmp_path / name / "x.png", np.zeros((16, 16, 3), np.uint8))
    folder = labelled.open_labelled(tmp_path, classes=CLASSES)
    with pytest.raises(UserError, match=words):
        evaluate(attributor, labelled.Images(folder, 16), **{"views": "identity", "rule": "majority"} | settings)
