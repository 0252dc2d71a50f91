import shutil
from collections import namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax.run.errors import UserError
from ganfp_jax.training import checkpoint
from ganfp_jax.training.stored import Stored, saved_steps, scores

STATE = {"params": {"w": jnp.arange(6.0).reshape(2, 3)}, "step": jnp.int32(4), "empty": {}}


def save(workdir, *steps):
    checkpoints = checkpoint.Checkpoints(workdir, keep=2)
    for step in steps:
        checkpoints.save(step, STATE, {"classes": ["real", "ProGAN"]})
    checkpoints.close()


def test_checkpoints_give_back_what_is_saved(tmp_path):
    save(tmp_path, 1, 2, 4)
    assert saved_steps(tmp_path) == [2, 4]
    step, tree, metadata = checkpoint.load(tmp_path)
    assert (step, metadata) == (4, {"classes": ["real", "ProGAN"]})
    np.testing.assert_array_equal(tree["params"]["w"], STATE["params"]["w"])
    assert tree["step"] == 4


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path):
    for scored in ({1: 5.0, 2: 3.0}, {3: 4.0, 4: None, 5: 3.5, 6: 9.0}):  # the second goes on
        checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
        for step, score in scored.items():
            checkpoints.save(step, STATE, {"classes": ["real"]}, score)
        checkpoints.close()
    assert saved_steps(tmp_path) == [2, 5, 6]
    assert scores(tmp_path) == {2: 3.0, 5: 3.5, 6: 9.0}
    assert (Stored(tmp_path).step, Stored(tmp_path, choose_best=True).step) == (6, 2)
    assert Stored(tmp_path, choose_best=True).metadata() == {"classes": ["real"], "score": 3.0}


def test_without_scores_the_best_is_the_newest(tmp_path):
    save(tmp_path, 1, 2)
    assert scores(tmp_path) == {}
    assert Stored(tmp_path, choose_best=True).step == 2


def test_a_damaged_score_is_none(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
    for step, score in ((1, 2.0), (2, 1.0)):
        checkpoints.save(step, STATE, {}, score)
    checkpoints.close()
    (tmp_path / "checkpoints" / "2" / "metadata" / "metadata").write_text('{"score": [1.0]}')
    assert Stored(tmp_path, choose_best=True).step == 1


def test_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint yet"):
        checkpoint.load(tmp_path)


def test_no_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    save(tmp_path, 3)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 1000))
    with pytest.raises(UserError, match=r"no space left for the checkpoint of step 5 .* goes on from step 3"):
        save(tmp_path, 5)
    assert saved_steps(tmp_path) == [3]
    assert checkpoint.load(tmp_path)[0] == 3
