"""A variational autoencoder (Kingma and Welling, ICLR 2014) with a decoder that repeats pixels and convolves.

The pixels are Gaussian around the decoder's image, with one variance for all, which is the batch's own (Rybkin,
Daniilidis and Levine, ICML 2021): so reconstruction and prior need no weight between them. Drawn images are the means.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from experiments.open_set.others.fitting import Draw, Images, apply, doublings, fit, to_stored
from ganfp_jax.models.layers import Conv, Dense, upsample

LATENTS = 64
OPTIMIZER = optax.adam(1e-3)


class Encoder(nn.Module):
    """Images in -1 to 1 to means and log-variances of latents; `width` is the number of its first feature maps."""

    width: int

    @nn.compact
    def __call__(self, images: Float[Array, "n r r 3"]) -> tuple[Float[Array, "n z"], Float[Array, "n z"]]:
        """Describes each image by a Gaussian."""
        x = images
        for level in range(doublings(images.shape[1])):
            x = nn.silu(Conv(self.width * 2**level, 3, stride=2)(x))
        both = Dense((2, LATENTS))(x.reshape(len(x), -1))  # (N, 2, Z)
        return both[:, 0], both[:, 1]


class Decoder(nn.Module):
    """Latents to images around -1 to 1; `width` is the number of its last feature maps."""

    resolution: int
    width: int

    @nn.compact
    def __call__(self, latents: Float[Array, "n z"]) -> Float[Array, "n r r 3"]:
        """Draws the means of the pixels."""
        levels = doublings(self.resolution)
        x = nn.silu(Dense((4, 4, self.width * 2**levels))(latents))
        for level in reversed(range(levels)):
            x = nn.silu(Conv(self.width * 2**level)(upsample(x)))  # (N, 2H, 2W, F)
        return Conv(3)(x)


class State(NamedTuple):
    """What a step changes: the parameters of both networks and Adam's moments."""

    params: PyTree
    moments: PyTree


class Vae(NamedTuple):
    """The two networks of one training."""

    encoder: Encoder
    decoder: Decoder

    def init(self, key: Array) -> State:
        """First weights."""
        side = self.decoder.resolution
        params = {
            "encoder": self.encoder.init(key, jnp.zeros((1, side, side, 3)))["params"],
            "decoder": self.decoder.init(jax.random.fold_in(key, 1), jnp.zeros((1, LATENTS)))["params"],
        }
        return State(params, OPTIMIZER.init(params))

    def loss(self, params: PyTree, real: Float[Array, "b r r 3"], key: Array) -> Float[Array, ""]:
        """The negative evidence lower bound in nats a value, but for a constant."""
        mean, log_variance = apply(self.encoder, params["encoder"], real)
        latents = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
        error = jnp.square(apply(self.decoder, params["decoder"], latents) - real).mean()
        divergence = (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(1).mean() / 2
        return jnp.log(error) / 2 + divergence / real[0].size

    def step(self, state: State, real: Float[Array, "b r r 3"], key: Array) -> tuple[State, Float[Array, ""]]:
        """One step of Adam."""
        loss, gradient = jax.value_and_grad(self.loss)(state.params, real, key)
        change, moments = OPTIMIZER.update(gradient, state.moments)
        return State(optax.apply_updates(state.params, change), moments), loss


def train(images: Images, *, name: str, steps: int, width: int, seed: int, batch_size: int = 32) -> Draw:
    """Trains on images (N, R, R, 3) and returns what draws new ones."""
    networks = Vae(Encoder(width), Decoder(images.shape[1], width))
    state = jax.jit(networks.init)(jax.random.key(seed))
    state = fit(state, networks.step, images, name=name, steps=steps, batch_size=batch_size, seed=seed)

    def draw(count: int, seed: int) -> Images:
        latents = jnp.asarray(np.random.RandomState(seed).randn(count, LATENTS), jnp.float32)
        return to_stored(apply(networks.decoder, state.params["decoder"], latents))

    return draw
