"""The choice of a checkpoint: what is kept beside the newest, and what is used."""

import jax.numpy as jnp
import pytest

from configs import progan
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.checkpoint import Checkpoints
from ganfp_jax.training.checkpoint_choice import best, chosen_step, scores
from ganfp_jax.training.gan_program import gan_program
from ganfp_jax.training.stored import Stored, saved_steps

BEST = {"checkpoint_choice": "best_swd"}


def save(workdir, scored):
    checkpoints = Checkpoints(workdir, keep=2)
    for step, score in scored.items():
        checkpoints.save(step, {"step": jnp.int32(step)}, {"classes": ["real"]}, score)
    checkpoints.close()


def test_the_best_is_kept_beside_the_newest(tmp_path):
    save(tmp_path, {1: 5.0, 2: 3.0})
    save(tmp_path, {3: 4.0, 4: None, 5: 3.5, 6: 9.0})  # the run goes on
    assert saved_steps(tmp_path) == [2, 5, 6]
    assert scores(tmp_path) == {2: 3.0, 5: 3.5, 6: 9.0}
    assert chosen_step(tmp_path, BEST) == 2
    assert Stored(tmp_path, 2).metadata() == {"classes": ["real"], "score": 3.0}
    save(tmp_path, {7: 1.0})
    assert saved_steps(tmp_path) == [6, 7]


@pytest.mark.parametrize("config", [{}, {"checkpoint_choice": "last"}])
def test_without_the_key_the_newest_is_used(tmp_path, config):
    save(tmp_path, {1: 1.0, 2: 2.0})
    assert chosen_step(tmp_path, config) is None


def test_without_scores_the_newest_is_used(tmp_path):
    save(tmp_path, {1: None, 2: None})
    assert scores(tmp_path) == {}
    assert chosen_step(tmp_path, BEST) is None


DAMAGED = ['{"score": [1.0]}', '{"score": "low"}', '{"score": NaN}', '{"score": 1' + "0" * 400 + "}", "[]", "{"]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_score_is_none(tmp_path, text):
    save(tmp_path, {1: 1.0, 2: 2.0})
    (tmp_path / "checkpoints" / "1" / "metadata" / "metadata").write_text(text)
    assert chosen_step(tmp_path, BEST) == 2


def test_of_equals_the_latest():
    assert best({1: 2.0, 2: 1.0, 3: 1.0}) == 3


def test_no_distance_no_choice(tmp_path):
    config = progan.get_config("tiny").to_dict() | BEST | {"resolution": 8}
    with pytest.raises(UserError, match=r"needs images of 16 pixels or more, and config\.resolution is 8; choose last"):
        gan_program(config, tmp_path)
