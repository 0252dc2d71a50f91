"""A training that goes on to a later end, and what a finished one says."""

import jax
import numpy as np
import pytest

from configs import attribution, progan, sngan
from ganfp_jax.jobs import train as job
from ganfp_jax.run import longer
from ganfp_jax.run.run_folder import open_run
from ganfp_jax.training import checkpoint, finished, labelled_images


def train(workdir, root, steps, **settings):
    config = attribution.get_config("tiny").to_dict()
    config |= {
        "resolution": 8,
        "num_steps": steps,
        "checkpoint_every": 3,
        "log_every": 1,
        "data": config["data"] | {"root": str(root)},
    }
    config |= {"optimizer": config["optimizer"] | {"schedule": "constant", "schedule_args": {}}, **settings}
    with open_run(workdir, config, may_grow=longer.may_grow(config)):
        job.run(config, workdir)
    return config


def test_a_training_that_became_longer_is_the_longer_training(tmp_path, labelled_root, capsys, monkeypatch):
    train(tmp_path / "grown", labelled_root, 3)
    train(tmp_path / "grown", labelled_root, 5)
    train(tmp_path / "long", labelled_root, 5)
    (step, grown, _), (_, long, _) = (checkpoint.load(tmp_path / name) for name in ("grown", "long"))
    assert step == 5
    jax.tree.map(np.testing.assert_array_equal, grown, long)
    capsys.readouterr()

    # Once it is finished it decodes nothing.
    monkeypatch.setattr(labelled_images.labelled.Images, "decode", None)
    config = train(tmp_path / "long", labelled_root, 5)
    out = capsys.readouterr().out
    assert out == finished.summary(config, tmp_path / "long", 5) + "\n"
    assert out.splitlines() == [
        f"{tmp_path / 'long'} is trained: 5 steps",
        f"next: python -m ganfp_jax.main --config=configs/evaluate.py --config.checkpoint={tmp_path / 'long'} "
        "--config.data.root=DIR; a larger --config.num_steps goes on with it",
    ]
    monkeypatch.undo()

    # And another one begins at its weights: at a rate of almost nothing it stays there.
    optimizer = config["optimizer"] | {"learning_rate": 1e-12}
    train(tmp_path / "tuned", labelled_root, 1, start_from=str(tmp_path / "long"), optimizer=optimizer)
    _, tuned, _ = checkpoint.load(tmp_path / "tuned")
    for got, wanted in zip(*(jax.tree.leaves(s["network"]["params"]) for s in (tuned, long)), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_the_summary_has_the_last_accuracy(tmp_path):
    lines = [
        '{"step": 4, "eval/accuracy": 0.5}',
        '{"step": 8, "eval/accuracy": 0.9375}',
        '{"step": 9, "train/loss": 1}',
        "[]",
        '{"step": 12, "eval/acc',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    config = attribution.get_config("photos").to_dict()
    told = finished.summary(config, tmp_path, 1000)
    assert told.startswith(f"{tmp_path} is trained: 1,000 steps, 93.8 % of the test images right at step 8\nnext: ")
    assert "num_steps" not in told  # its schedule is cosine


@pytest.mark.parametrize(("module", "key"), [(progan, "growing.total_kimg"), (sngan, None)])
def test_the_summary_of_a_gan(tmp_path, module, key):
    told = finished.summary(module.get_config("photos").to_dict(), tmp_path, 10)
    assert f"next: python -m ganfp_jax.main --config=configs/generate.py --config.generator={tmp_path}" in told
    assert ("goes on with it" in told) == (key is not None)
    assert key is None or f"a larger --config.{key} goes on" in told
