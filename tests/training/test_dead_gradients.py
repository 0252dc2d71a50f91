"""A training whose gradient is 0 ends with one line."""

import contextlib
import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import jit

from configs import cramergan, mmdgan, progan, sngan
from ganfp_jax import models
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import loop
from ganfp_jax.training.dead_gradients import DeadGradients
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.programs import PROGRAMS

CONFIG = {"seed": 0, "keep_checkpoints": 1, "compile_effort": "low", "log_every": 2, "checkpoint_every": 4}


def program_that_dies(at, revives=10**6, dead_after=6, last=30):
    """A network with a gradient of 1 that is 0 from step `at` on, counted from 1."""

    def step(state, batch, key):
        done = state["step"] + 1
        dead = (done >= at) & (done < revives)
        return {"step": done}, {"critic_grad_norm": jnp.float32(1), "generator_grad_norm": jnp.where(dead, 0.0, 1.0)}

    batches = [{"image": np.zeros((2, 1), np.uint8)}] * last
    phase = Phase(first=0, last=last, step=step, batch_size=2, batches=lambda: batches)
    return Program(lambda key: {"step": jnp.int32(0)}, [phase], {}, dead_after=dead_after)


def logged_steps(workdir):
    return [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_dead_generator_ends_the_training(tmp_path):
    with pytest.raises(UserError) as error:
        loop.train(program_that_dies(at=9), CONFIG, tmp_path)
    assert str(error.value) == (
        f"the generator of {tmp_path} learns nothing: its gradient (train/generator_grad_norm) was below 1e-06 at "
        "every log from step 10 to 16; change the seed or the settings, in another --workdir "
        "(config.dead_after says how many such steps are allowed)"
    )
    assert logged_steps(tmp_path)[-1] == 16  # also what was seen last is there to be read


def test_the_count_goes_on_where_a_run_was_stopped(tmp_path):
    loop.train(program_that_dies(at=9, last=12), CONFIG, tmp_path)
    assert logged_steps(tmp_path)[-1] == 12
    with pytest.raises(UserError, match="from step 10 to 16;"):
        loop.train(program_that_dies(at=9), CONFIG, tmp_path)


@pytest.mark.parametrize(
    "program",
    [program_that_dies(at=9, revives=16), program_that_dies(at=9, dead_after=0), program_that_dies(at=26)],
    ids=["revived", "never", "too late"],
)
def test_other_trainings_end_as_they_should(program, tmp_path):
    loop.train(program, CONFIG, tmp_path)
    assert logged_steps(tmp_path)[-1] == 30


def test_a_log_that_comes_seldom_must_show_it_twice():
    dead = DeadGradients(5, Path("run"), 0)
    dead.look(100, {"train/critic_grad_norm": 0.0})
    with pytest.raises(UserError, match=r"the critic of run learns nothing: .* from step 100 to 200;"):
        dead.look(200, {"train/critic_grad_norm": 0.0})


def test_a_negative_number_is_refused():
    with pytest.raises(UserError, match=r"config\.dead_after is -1; give a number of steps, or 0 for any number"):
        DeadGradients(-1, Path("run"), 0)


@pytest.mark.parametrize("module", [progan, sngan, cramergan, mmdgan])
def test_every_family_is_watched(module, tmp_path):
    """Its metrics have the names that are looked for, see test_steps."""
    config = module.get_config("tiny").to_dict() | {"dead_after": 7}
    assert PROGRAMS["gan"](config, tmp_path).dead_after == 7
    assert module.get_config("photos").dead_after < module.get_config("celeba").dead_after


def test_a_critic_at_zero_is_a_death(tmp_path):
    """MMDGAN's: no gradient leads away from features that are 0, neither the critic's nor the generator's."""
    config = mmdgan.get_config("tiny").to_dict() | {"log_every": 1, "dead_after": 3, "eval_images": 0}
    program = PROGRAMS["gan"](config, tmp_path)

    def init(key):
        state = program.init(key)
        return state.replace(critic=jax.tree.map(jnp.zeros_like, state.critic))

    with pytest.raises(UserError, match=r"learns nothing: .* from step 1 to 4;"):
        loop.train(dataclasses.replace(program, init=init), config, tmp_path)
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert first["train/generator_grad_norm"] == first["train/critic_grad_norm"] == 0


def test_first_weights_keep_the_features_size_at_every_width():
    """The published ones do so at the published width."""

    def size(first_weights, ch, resolution):
        critic = models.create(
            "dcgan5_critic", resolution=resolution, num_features=16, ch=ch, first_weights=first_weights
        )
        images = jax.random.uniform(jax.random.key(1), (4, resolution, resolution, 3))
        features = jit(lambda key: critic.init_with_output(key, images)[0])(jax.random.key(0))
        return float(jnp.sqrt(jnp.mean(features**2)))

    assert size("published", 12, 32) < 0.01
    for ch, resolution in ((12, 32), (4, 16)):
        assert 0.2 < size("scaled", ch, resolution) < 2


@pytest.mark.parametrize(("length", "dead"), [(0.0, True), (4e-9, True), (1e-3, False)])
def test_a_gradient_that_moves_nothing_is_dead(length, dead):
    watch = DeadGradients(1, Path("run"), 0)
    watch.look(1, {"train/critic_grad_norm": length, "train/gradient_norm": 0.0})  # which is the penalty's
    with pytest.raises(UserError) if dead else contextlib.nullcontext():
        watch.look(2, {"train/critic_grad_norm": length, "train/gradient_norm": 0.0})
