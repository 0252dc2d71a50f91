"""Images drawn from a GAN while it trains, for sample grids, quality metrics and the learning-rate rule."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt8

from ganfp_jax.data.on_disk import ImagesOnDisk
from ganfp_jax.data.preprocess import box_downscale
from ganfp_jax.metrics.inception import make_features
from ganfp_jax.metrics.monitor import make_monitor
from ganfp_jax.metrics.swd import PUBLISHED
from ganfp_jax.models.latents import draw_latents
from ganfp_jax.models.network import Network
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import compiles
from ganfp_jax.training.gan_step import make_sampler
from ganfp_jax.training.plateau import check_plateau, make_plateau_rule
from ganfp_jax.training.state import GanState

Images = UInt8[np.ndarray, "n h w 3"]
Real = Images | ImagesOnDisk
Draw = Callable[[GanState, int, int], Images]


def make_draw(generator: Network, config: dict[str, Any], call: Callable[[Array], dict[str, Any]]) -> Draw:
    """draw(state, count, seed) -> the first `count` images that the job `generate` makes with that seed.

    Args:
        generator: the network.
        config: config of the training.
        call: step -> the keyword arguments of the network's call (ProGAN's level and fade).
    """
    batch_size = config["batch_size"] if generator.normalizes_by_batch() else config["num_samples"]

    @compiles
    @jax.jit
    def draw_batch(step: Int[Array, ""], params: PyTree, stats: PyTree, latents: Array) -> UInt8[Array, "n h w 3"]:
        return make_sampler(generator, call(step), config["step"]["pixels"])(params, stats, latents)

    def draw(state: GanState, count: int, seed: int) -> Images:
        rng = np.random.RandomState(seed)
        params, batches = state.ema_params or state.generator.params, []
        for _ in range(0, count, batch_size):
            latents = draw_latents(rng, batch_size, **config["latents"])
            batches.append(np.asarray(draw_batch(state.step, params, state.generator.stats, latents)))
        return np.concatenate(batches)[:count]

    return draw


def make_evaluate(draw: Draw, real: Real, count: int, level: int) -> Callable[[GanState], dict[str, float]] | None:
    """State -> sliced Wasserstein distances and MS-SSIM of `count` images; None where there is nothing to measure.

    Args:
        draw: see `make_draw`.
        real: the real images at full size, at least `count` of them.
        count: number of images of each set; 0 for no evaluation.
        level: halvings from the full size to the generator's present size.
    """
    if not count or real.shape[1] >> level < PUBLISHED.smallest:
        return None

    @functools.cache
    def monitor() -> Callable[[Images], dict[str, float]]:
        chosen = np.random.RandomState(0).permutation(len(real))[:count]
        return make_monitor(box_downscale(real[chosen], 2**level))

    return compiles(lambda state: monitor()(draw(state, count, 0)))


def make_adapt(draw: Draw, real: Real, config: dict[str, Any]) -> Callable[[GanState], GanState]:
    """State -> state after MMDGAN's three-sample rule on Inception features of new images; see `training.plateau`.

    Raises:
        UserError: the file of Inception weights is not named or cannot be read, or the settings make no rule.
    """
    settings = {key: value for key, value in config["plateau"].items() if key not in ("every", "inception")}
    if not config["plateau"]["inception"]:
        raise UserError("config.plateau needs Inception weights: --config.plateau.inception=FILE (or every=0)")
    if len(real) < settings["num_codes"]:  # checked now, since the rule first runs thousands of steps later
        raise UserError(f"config.plateau.num_codes is {settings['num_codes']}; there are {len(real)} real images")
    settings["learning_rate"] = config["optimizer"]["learning_rate"]
    check_plateau(**{key: value for key, value in settings.items() if key not in ("num_codes", "p_value")})
    features = make_features(Path(config["plateau"]["inception"]))

    @functools.cache
    def rule() -> Callable:
        chosen = np.random.RandomState(0).permutation(len(real))[: settings["num_codes"]]
        return make_plateau_rule(features(real[chosen]), **settings)

    def adapt(state: GanState) -> GanState:
        # The step is the seed, since the test compares independent samples.
        codes = features(draw(state, settings["num_codes"], int(state.step)))
        return state.replace(plateau=rule()(jax.device_get(state.plateau), codes))

    return adapt
