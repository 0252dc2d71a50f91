"""DCGAN (Radford, Metz and Chintala, ICLR 2016): strided and transposed convolutions with batch normalisation.

As published: no pooling, no dense layers but the first and the last, batch normalisation everywhere but at the image,
ReLU in the generator and leaky ReLU in the discriminator, tanh at the end, weights from N(0, 0.02), Adam with 2e-4 and
beta1 0.5, uniform latents of 100 values, the non-saturating loss. It is narrower than published.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from experiments.open_set.others.fitting import Draw, Images, doublings, fit, to_stored
from ganfp_jax.models.layers import Conv, Dense, by_channel, upconvolve

LATENTS = 100
KERNEL = 4
FIRST_WEIGHTS = nn.initializers.normal(0.02)
OPTIMIZER = optax.adam(2e-4, b1=0.5)


class Generator(nn.Module):
    """Latents (N, 100) to images in -1 to 1; `width` is the number of its last feature maps."""

    resolution: int
    width: int

    @nn.compact
    def __call__(self, latents: Float[Array, "n z"], train: bool) -> Float[Array, "n r r 3"]:
        """Draws images; in training the batch's own statistics normalise."""
        levels = doublings(self.resolution)
        x = Dense((4, 4, self.width * 2 ** (levels - 1)), FIRST_WEIGHTS)(latents)
        for level in reversed(range(levels)):
            x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            features = self.width * 2 ** (level - 1) if level else 3
            kernel = self.param(f"kernel{level}", FIRST_WEIGHTS, (KERNEL, KERNEL, x.shape[-1], features))
            x = upconvolve(x, kernel, (2, 2))  # (N, 2H, 2W, F)
        bias = self.param("bias", nn.initializers.zeros, (3,))
        return jnp.tanh(x + by_channel(bias, x))


class Discriminator(nn.Module):
    """Images in -1 to 1 to logits (N,), high for real ones; `width` is the number of its first feature maps."""

    width: int

    @nn.compact
    def __call__(self, images: Float[Array, "n r r 3"]) -> Float[Array, " n"]:
        """Rates images; the batch's own statistics normalise, since it is used in training alone."""
        x = images
        for level in range(doublings(images.shape[1])):
            x = Conv(self.width * 2**level, KERNEL, FIRST_WEIGHTS, stride=2)(x)
            if level:
                x = nn.BatchNorm(use_running_average=False)(x)
            x = nn.leaky_relu(x, 0.2)
        return Dense((1,), FIRST_WEIGHTS)(x.reshape(len(x), -1))[:, 0]


class State(NamedTuple):
    """What a step changes: each network's parameters, the generator's running statistics, and Adam's moments."""

    generator: PyTree
    statistics: PyTree
    discriminator: PyTree
    generator_moments: PyTree
    discriminator_moments: PyTree


class Dcgan(NamedTuple):
    """The two networks of one training."""

    generator: Generator
    discriminator: Discriminator

    def init(self, key: Array) -> State:
        """First weights."""
        variables = self.generator.init(key, jnp.zeros((2, LATENTS)), True)
        side = self.generator.resolution
        critic = self.discriminator.init(jax.random.fold_in(key, 1), jnp.zeros((2, side, side, 3)))["params"]
        params = variables["params"]
        return State(params, variables["batch_stats"], critic, OPTIMIZER.init(params), OPTIMIZER.init(critic))

    def rate(self, params: PyTree, images: Float[Array, "n r r 3"]) -> Float[Array, " n"]:
        """The discriminator's logits."""
        return self.discriminator.apply({"params": params}, images, mutable=["batch_stats"])[0]

    def step(self, state: State, real: Float[Array, "b r r 3"], key: Array) -> tuple[State, Float[Array, ""]]:
        """One step of each network on the same generated images; the loss is the discriminator's."""
        latents = jax.random.uniform(key, (len(real), LATENTS), minval=-1.0)

        def draw(params: PyTree) -> tuple[Array, Any]:
            variables = {"params": params, "batch_stats": state.statistics}
            return self.generator.apply(variables, latents, True, mutable=["batch_stats"])

        def generator_loss(params: PyTree) -> tuple[Array, tuple[Array, Any]]:
            fake, changed = draw(params)
            return nn.softplus(-self.rate(state.discriminator, fake)).mean(), (fake, changed["batch_stats"])

        gradient, (fake, statistics) = jax.grad(generator_loss, has_aux=True)(state.generator)

        def discriminator_loss(params: PyTree) -> Array:  # real and generated images are normalised apart
            return nn.softplus(-self.rate(params, real)).mean() + nn.softplus(self.rate(params, fake)).mean()

        loss, against = jax.value_and_grad(discriminator_loss)(state.discriminator)
        change, moments = OPTIMIZER.update(gradient, state.generator_moments)
        other_change, other_moments = OPTIMIZER.update(against, state.discriminator_moments)
        generator = optax.apply_updates(state.generator, change)
        discriminator = optax.apply_updates(state.discriminator, other_change)
        return State(generator, statistics, discriminator, moments, other_moments), loss


def train(images: Images, *, name: str, steps: int, width: int, seed: int, batch_size: int = 32) -> Draw:
    """Trains on images (N, R, R, 3) and returns what draws new ones."""
    networks = Dcgan(Generator(images.shape[1], width), Discriminator(width))
    state = jax.jit(networks.init)(jax.random.key(seed))
    state = fit(state, networks.step, images, name=name, steps=steps, batch_size=batch_size, seed=seed)
    variables = {"params": state.generator, "batch_stats": state.statistics}

    def draw(count: int, seed: int) -> Images:
        latents = jnp.asarray(np.random.RandomState(seed).uniform(-1, 1, (count, LATENTS)), jnp.float32)
        images: Any = networks.generator.apply(variables, latents, False)
        return to_stored(images)

    return draw
