import shutil
from collections import namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax.run.errors import UserError
from ganfp_jax.training import checkpoint
from ganfp_jax.training.stored import saved_steps

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
