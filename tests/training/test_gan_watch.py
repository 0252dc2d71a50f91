"""What is drawn from a GAN in training: reproducible images, quality metrics, the learning-rate rule."""

from pathlib import Path

import jax
import numpy as np
import pytest
from golden_files import jit

from configs import cramergan, progan
from ganfp_jax import models
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import gan_watch
from ganfp_jax.training.programs import PROGRAMS


def program_of(module, **changes):
    config = module.get_config("tiny").to_dict()
    for key, value in changes.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    return config, PROGRAMS["gan"](config, Path())


def test_images_depend_on_the_seed_and_on_their_place_alone():
    config, program = program_of(cramergan)
    state = jit(program.init)(jax.random.key(0))
    grid = program.phases[0].sample(state)
    assert (grid.shape, grid.dtype) == ((16, 16, 16, 3), np.uint8)
    draw = gan_watch.make_draw(models.create(**config["generator"], resolution=16), config, lambda step: {})
    more = draw(state, 20, 0)
    assert more.shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(more[:16], grid)
    assert (draw(state, 16, 1) != grid).any()


def test_batch_statistics_draw_in_the_training_batch():
    """An image then depends on its neighbours, so grids must have those that generation will give it."""
    config, program = program_of(cramergan, generator={"statistics": "batch"}, batch_size=8)
    state = jit(program.init)(jax.random.key(0))
    grid = program.phases[0].sample(state)
    config["num_samples"] = 8
    shorter = PROGRAMS["gan"](config, Path()).phases[0].sample(state)
    np.testing.assert_array_equal(grid[:8], shorter)


def test_quality_while_training():
    _, program = program_of(progan)
    state = jit(program.init)(jax.random.key(0))
    first, last = program.phases
    assert first.evaluate is None  # 8x8: too small for a pyramid
    values = last.evaluate(state)
    assert values.keys() == {"swd32_16", "swd32_mean", "ms_ssim32_2scales"}
    assert all(np.isfinite(list(values.values())))
    assert values == last.evaluate(state)  # the same places every time
    assert gan_watch.make_evaluate(lambda *args: None, np.zeros((1, 16, 16, 3), np.uint8), 0, 0) is None


def test_a_checkpoint_is_chosen_at_the_full_size_after_the_fading():
    _, program = program_of(progan, checkpoint_choice="best_swd")
    first, last = program.phases
    assert (first.score, last.score) == ("", "swd32_mean")
    assert last.first < last.score_from == last.reset_at[1] < last.last
    assert program_of(cramergan)[1].phases[0].score == ""  # the last, as published


def test_a_small_folder_is_measured_as_far_as_it_goes(capsys):
    """The number stands in the metrics' names, so nobody takes them for those of more images."""
    _, program = program_of(progan, eval_images=65)
    assert capsys.readouterr().out == "config.eval_images is 65, but there are 64 real images: all are measured\n"
    state = jit(program.init)(jax.random.key(0))
    assert "swd64_mean" in program.phases[-1].evaluate(state)
    program_of(progan, eval_images=64)
    assert not capsys.readouterr().out


PLATEAU = {"every": 2, "inception": "weights.npz", "num_codes": 8, "memory": 2, "keep": 1, "strikes": 1}


def few_numbers(path):
    """In the place of Inception: mean colours, which are as long as its features."""

    def features(images):
        means = images.astype(np.float32).mean((1, 2)) / 255
        return np.tile(means, (1, 2048))[:, :2048]

    return features


def test_the_rule_cuts_the_learning_rate(monkeypatch):
    monkeypatch.setattr(gan_watch, "make_features", few_numbers)
    _, program = program_of(cramergan, plateau=PLATEAU)
    [phase] = program.phases
    assert phase.adapt_every == 2
    state = jit(program.init)(jax.random.key(0))
    assert state.plateau.codes.shape == (2, 8, 2048)
    scales, filled = [], []
    for step in range(4):  # the generator stands still, so new images are no nearer than old ones
        state = phase.adapt(state.replace(step=np.int32(step)))
        scales.append(float(state.plateau.scale))
        filled.append(int(state.plateau.filled))
    assert filled[:2] == [1, 2]
    assert scales[:2] == [1.0, 1.0]
    assert 0.5 in scales[2:]

    def moved(scale):
        fresh = state.replace(plateau=state.plateau.replace(scale=np.float32(scale)))
        after, metrics = step_fn(fresh, phase.batches()[0], jax.random.key(1))
        assert metrics["learning_rate_scale"] == scale
        return jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), after.generator.params, state.generator.params)

    step_fn = jit(phase.step)
    # One critic update comes first and is halved too, so the generator's second moves only nearly half as far.
    whole, half, none = moved(1.0), moved(0.5), moved(0.0)
    lengths = [np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(tree))) for tree in (whole, half, none)]
    assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.1)
    assert lengths[2] == 0


def test_the_rule_wants_weights():
    with pytest.raises(UserError, match=r"config\.plateau needs Inception weights: --config\.plateau\.inception=FILE"):
        program_of(cramergan, plateau={"every": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0; give 1 or more"),
        ({"checkpoint_choice": "best"}, "checkpoint_choice is 'best'; choose from last, best_swd"),
        ({"checkpoint_choice": "best_swd", "eval_images": 0}, r"needs config\.eval_images of 2 or more"),
        ({"step": {"ema_decay": 1.0}}, r"step\.ema_decay is 1\.0; give 0 or more, below 1"),
        (
            {"generator": {"upsampling": "cubic"}},
            "upsampling 'cubic' is unknown; choose one of transposed, nearest, bilin",
        ),
        ({"num_steps": 0}, "num_steps is 0; give 1 or more"),
        ({"step": {"critic_steps": 0}}, r"step\.critic_steps is 0; give 1 or more"),
        ({"batch_size": -1}, "batch_size is -1; give 1 or more"),
        ({"latents": {"size": 3}}, "latent_size is 16 and config.latents.size 3; give both the same"),
        ({"objective": {"name": "hinge"}}, "hinge reads scores, the critic dcgan5_critic answers with features"),
        ({"objective": {"penalty": {"target": 0.0}}}, "penalty.target is 0; give a length above 0"),
        ({"data": {"source": "source"}}, "data.source is 'source'; choose from folder, photos"),
        ({"plateau": PLATEAU | {"keep": 3}}, "needs 1 <= keep <= memory"),
        ({"plateau": PLATEAU | {"num_codes": 65}}, "num_codes is 65; there are 64 real images"),
        ({"step": {"pixels": "signd"}}, "pixels 'signd' is unknown; choose one of signed, dithered, unit"),
        ({"objective": {"name": "mdd"}}, "unknown objective 'mdd'"),
        ({"objective": {"args": {"kernl": 1}}}, "objective.args does not fit the objective cramer"),
    ],
)
def test_program_refuses_settings_that_make_no_training(changes, message):
    with pytest.raises(UserError, match=message) as error:
        program_of(cramergan, **changes)
    assert "\n" not in str(error.value)
