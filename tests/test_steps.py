"""The steps as functions: devices, order of updates, running average, ranges."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import jit
from jax.sharding import AxisType, Mesh

from configs import attribution, progan, sngan
from ganfp_jax.training.loop import PROGRAMS
from ganfp_jax.training.sharding import make_put, replicated

ROOT = Path(__file__).parent.parent


def mesh_of(devices: int) -> Mesh:
    return jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,))


def program_of(family, labelled_root):
    config = {"progan": progan, "sngan": sngan, "attribution": attribution}[family].get_config("tiny").to_dict()
    if family == "attribution":
        config["data"]["root"] = str(labelled_root)
    return PROGRAMS[config["program"]](config, Path())


def one_step(program, phase, mesh):
    init = jit(program.init, out_shardings=replicated(mesh))
    step = jit(phase.step, out_shardings=replicated(mesh))
    state, metrics = step(init(jax.random.key(0)), make_put(mesh)(phase.batches()[3]), jax.random.key(1))
    return jax.device_get(state), jax.device_get(metrics)


close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["progan", "sngan", "attribution"])
def test_two_devices_step_as_one(family, labelled_root):
    program = program_of(family, labelled_root)
    phase = program.phases[-1]
    one, metrics_one = one_step(program, phase, mesh_of(1))
    two, metrics_two = one_step(program, phase, mesh_of(2))
    for name in ("network",) if family == "attribution" else ("generator", "critic"):
        a, b = getattr(one, name), getattr(two, name)
        # What the update is made of: both moments of Adam, and the batch and spectral statistics.
        jax.tree.map(
            close, (a.opt_state[0].mu, a.opt_state[0].nu, a.stats), (b.opt_state[0].mu, b.opt_state[0].nu, b.stats)
        )
        # Adam divides the first gradient by its own size, so where that is rounding noise the update's sign is noise.
        moved = jax.tree.map(lambda nu: nu > 1e-12, a.opt_state[0].nu)
        jax.tree.map(lambda x, y, real: close(x[real], y[real]), a.params, b.params, moved)
        assert all(real.mean() > 0.9 for real in jax.tree.leaves(moved) if real.any())
    for name in metrics_one:
        close(metrics_one[name], metrics_two[name])


def test_the_critic_counts_its_own_updates():
    """Several critic steps a generator step, each on images of its own."""
    config = sngan.get_config("tiny").to_dict()
    config["step"]["critic_steps"] = 3
    program = PROGRAMS["gan"](config, Path())
    state = jit(program.init)(jax.random.key(0))
    batch = program.phases[0].batches()[0]
    assert batch["image"].shape == (3 * config["batch_size"], 16, 16, 3)
    after, _ = jit(program.phases[0].step)(state, batch, jax.random.key(1))
    counts = {
        name: int(count)
        for name in ("generator", "critic")
        for path, count in jax.tree.leaves_with_path(getattr(after, name).opt_state)
        if jax.tree_util.keystr(path).endswith("[0].count")
    }
    assert counts == {"generator": 1, "critic": 3}


def test_the_running_average_lags_by_one_step():
    program = PROGRAMS["gan"](progan.get_config("tiny").to_dict(), Path())
    phase = program.phases[-1]
    state = jit(program.init)(jax.random.key(0))
    step = jit(phase.step)
    one, _ = step(state, phase.batches()[0], jax.random.key(1))
    jax.tree.map(close, one.ema_params, state.ema_params)  # the average of equal weights
    two, _ = step(one, phase.batches()[1], jax.random.key(2))
    expected = jax.tree.map(lambda old, new: old + (1 - 0.99) * (new - old), one.ema_params, one.generator.params)
    jax.tree.map(close, two.ema_params, expected)
    far = jax.tree.map(lambda a, b: np.abs(a - b).max(), two.ema_params, two.generator.params)
    assert max(jax.tree.leaves(far)) > 1e-3


def test_dither_and_plain_ranges():
    from ganfp_jax.training.gan_step import fade_real, to_unit_range

    images = jnp.array([[[[0, 128, 255]] * 2] * 2], jnp.uint8)
    plain = to_unit_range(images, jax.random.key(0), dither=False)
    np.testing.assert_allclose(plain[0, 0, 0], [-1, 128 / 127.5 - 1, 1], atol=1e-6)
    dithered = to_unit_range(images, jax.random.key(0), dither=True)
    assert (dithered >= images / 128 - 1).all()
    assert (dithered < images / 128 - 1 + 1 / 128).all()
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    np.testing.assert_allclose(fade_real(x, jnp.float32(0)), x)
    halved = fade_real(x, jnp.float32(1))
    np.testing.assert_allclose(halved[:, ::2, ::2], x.reshape(2, 2, 2, 2, 2, 3).mean((2, 4)), rtol=1e-5, atol=1e-6)
