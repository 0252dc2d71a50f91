"""The job `evaluate`: what stands in the run folder when something fails on the way."""

import numpy as np
import pytest
from small_weights import CLASSES, network

from configs import evaluate as config_file
from ganfp_jax import evaluation_job, evaluation_page
from ganfp_jax.data.decode import encode_png
from ganfp_jax.weights import write_file


def test_metrics_stand_only_where_all_else_does(tmp_path, monkeypatch):
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

    monkeypatch.setattr(evaluation_page, "write_page", full)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")  # of an earlier run, on other images perhaps
    with pytest.raises(OSError, match="no space left"):
        evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written
    monkeypatch.undo()
    evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written | {"metrics.json", "report"}
    assert (tmp_path / "run" / "report" / "index.html").is_file()
