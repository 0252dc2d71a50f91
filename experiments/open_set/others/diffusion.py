"""A diffusion model (Ho, Jain and Abbeel, NeurIPS 2020), sampled by DDIM (Song, Meng and Ermon, ICLR 2021).

A small U-Net learns the noise in images. Time is continuous and runs from 0 (an image) to 1 (noise), and image and
noise have the shares cos(pi t / 2) and sin(pi t / 2). The weights that draw are a running average.
"""

import itertools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from experiments.open_set.others.fitting import Draw, Images, apply, doublings, fit, to_stored
from ganfp_jax.models.layers import Conv, Dense, upsample

SMALLEST = 8  # pixels of a side, where the U-Net turns
GROUPS = 8
FREQUENCIES = 16
LAST_TIME = 0.98  # where the sampler begins: at 1 there is no image left that it could divide by
DRAWING_STEPS = 40
DECAY = 0.995
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))


def signal(times: Float[Array, " n"]) -> tuple[Float[Array, "n 1 1 1"], Float[Array, "n 1 1 1"]]:
    """The shares of image and noise in an image of each time; their squares add up to 1."""
    angles = times[:, None, None, None] * (jnp.pi / 2)
    return jnp.cos(angles), jnp.sin(angles)


class Block(nn.Module):
    """Two convolutions beside the identity, shifted by the time."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], time: Float[Array, "n t"]) -> Float[Array, "n h w f"]:
        """Returns maps of the same size."""
        y = Conv(self.features)(nn.silu(nn.GroupNorm(GROUPS)(x)))
        y += Dense((1, 1, self.features))(time)
        y = Conv(self.features, kernel_init=nn.initializers.zeros)(nn.silu(nn.GroupNorm(GROUPS)(y)))
        return y + (x if x.shape[-1] == self.features else Conv(self.features, 1)(x))


class Unet(nn.Module):
    """Noisy images and their times to their noise; `width`, a multiple of 8, is the number of maps at full size."""

    width: int

    @nn.compact
    def __call__(self, images: Float[Array, "n r r 3"], times: Float[Array, " n"]) -> Float[Array, "n r r 3"]:
        """Estimates the noise."""
        angles = times[:, None] * jnp.geomspace(1.0, 1000.0, FREQUENCIES)[None]
        time = nn.silu(Dense((4 * self.width,))(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)))
        levels = doublings(images.shape[1], SMALLEST) + 1
        x, skips = Conv(self.width)(images), []
        for level in range(levels):
            x = Block(self.width * 2**level)(x, time)
            skips.append(x)
            if level < levels - 1:
                x = Conv(self.width * 2 ** (level + 1), stride=2)(x)  # (N, H/2, W/2, F)
        for level in reversed(range(levels)):
            x = Block(self.width * 2**level)(jnp.concatenate([x, skips[level]], axis=-1), time)
            if level:
                x = Conv(self.width * 2 ** (level - 1))(upsample(x))  # (N, 2H, 2W, F)
        return Conv(3, kernel_init=nn.initializers.zeros)(nn.silu(nn.GroupNorm(GROUPS)(x)))


class State(NamedTuple):
    """What a step changes: the parameters, their running average, and Adam's moments."""

    params: PyTree
    average: PyTree
    moments: PyTree


class Diffusion(NamedTuple):
    """The network of one training."""

    unet: Unet

    def init(self, key: Array, side: int) -> State:
        """First weights."""
        params = self.unet.init(key, jnp.zeros((1, side, side, 3)), jnp.zeros(1))["params"]
        return State(params, jax.tree.map(jnp.copy, params), OPTIMIZER.init(params))

    def loss(self, params: PyTree, real: Float[Array, "b r r 3"], key: Array) -> Float[Array, ""]:
        """The mean squared error of the estimated noise, at random times; 1 where nothing is learned."""
        times = jax.random.uniform(key, (len(real),))
        noise = jax.random.normal(jax.random.fold_in(key, 1), real.shape)
        image_share, noise_share = signal(times)
        estimate = apply(self.unet, params, image_share * real + noise_share * noise, times)
        return jnp.square(estimate - noise).mean()

    def step(self, state: State, real: Float[Array, "b r r 3"], key: Array) -> tuple[State, Float[Array, ""]]:
        """One step of Adam."""
        loss, gradient = jax.value_and_grad(self.loss)(state.params, real, key)
        change, moments = OPTIMIZER.update(gradient, state.moments)
        params = optax.apply_updates(state.params, change)
        return State(params, optax.incremental_update(params, state.average, 1 - DECAY), moments), loss

    def denoise(
        self, params: PyTree, images: Float[Array, "n r r 3"], now: Float[Array, ""], then: Float[Array, ""]
    ) -> Float[Array, "n r r 3"]:
        """One step of DDIM without added noise, from the time `now` back to the time `then`."""
        times = jnp.full(len(images), now)
        image_share, noise_share = signal(times)
        noise = apply(self.unet, params, images, times)
        clean = jnp.clip((images - noise_share * noise) / image_share, -1, 1)
        noise = (images - image_share * clean) / noise_share
        image_share, noise_share = signal(jnp.full(len(images), then))
        return image_share * clean + noise_share * noise


def train(images: Images, *, name: str, steps: int, width: int, seed: int, batch_size: int = 32) -> Draw:
    """Trains on images (N, R, R, 3) and returns what draws new ones."""
    model, side = Diffusion(Unet(width)), images.shape[1]
    state = jax.jit(model.init, static_argnums=1)(jax.random.key(seed), side)
    state = fit(state, model.step, images, name=name, steps=steps, batch_size=batch_size, seed=seed)
    denoise = jax.jit(model.denoise)  # in a loop of Python, since XLA's own loops have slow convolutions on a CPU

    def draw(count: int, seed: int) -> Images:
        x = jnp.asarray(np.random.RandomState(seed).randn(count, side, side, 3), jnp.float32)
        times = np.linspace(LAST_TIME, 0, DRAWING_STEPS + 1, dtype=np.float32)
        for now, then in itertools.pairwise(times):
            x = denoise(state.average, x, now, then)
        return to_stored(x)

    return draw
