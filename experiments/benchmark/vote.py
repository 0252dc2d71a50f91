"""The vote's competitors in JAX, and the networks and images of all."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np

from configs import attribution
from experiments.benchmark.competitor import Answer, Competitor, Images
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS, known
from ganfp_jax.run.errors import UserError

CLASSES = ("real", "ProGAN", "SNGAN", "CRAMER", "MMD")
VARIANTS = {16: "tiny", 32: "photos", 128: "celeba"}  # of configs/attribution.py, by the side of their images
ONE_VIEW, VOTE, LOOP = "ganfp_jax, one view", "ganfp_jax, vote", "JAX, Python loop"

# What a person would write with NumPy, on (N, H, W, C).
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "rot90": lambda x: np.rot90(x, 1, (1, 2)),
    "rot180": lambda x: np.rot90(x, 2, (1, 2)),
    "rot270": lambda x: np.rot90(x, 3, (1, 2)),
    "mirror": lambda x: x[:, :, ::-1],
    "vertical_flip": lambda x: x[:, ::-1],
    "transpose": lambda x: x.swapaxes(1, 2),
    "anti_transpose": lambda x: np.rot90(x, 2, (1, 2)).swapaxes(1, 2),
}


@dataclasses.dataclass(frozen=True)
class Network:
    """An attribution network of a config and its parameters, not trained, which its speed does not depend on."""

    module: Any
    params: Any
    input: Literal["image", "residual"]


def make_network(size: int, dtype: str = "float32") -> Network:
    """The network for `size` x `size` images, computing in `dtype`; always the same normal weights, smaller biases.

    The last biases take the mean logits of `make_images` away: otherwise one class would win on every image, and
    agreement about decisions would say nothing.

    Raises:
        UserError: no config has this size.
    """
    if size not in VARIANTS:
        raise UserError(f"configs/attribution.py has no network for size {size}: choose from {sorted(VARIANTS)}")
    config = attribution.get_config(VARIANTS[size])
    module = models.create(**{**config.model, "dtype": dtype}, resolution=size, num_classes=len(CLASSES))
    images = make_images(16, size).astype(np.float32) / 127.5 - 1
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(0)

    def draw(path: Any, shape: Any) -> np.ndarray:
        return rng.normal(0, 0.1 if path[-1].key == "bias" else 1, shape.shape).astype(np.float32)

    params: Any = jax.tree_util.tree_map_with_path(draw, shapes)
    params["4x4"]["Dense2"]["bias"] -= np.asarray(jax.jit(module.apply)({"params": params}, images)).mean(0)
    return Network(module, params, config.model.input)


def make_images(batch: int, size: int) -> Images:
    """Noise with another mean and contrast in every image and colour, so that not all get one decision."""
    rng = np.random.default_rng(1)
    mean, contrast = rng.uniform(60, 200, (batch, 1, 1, 3)), rng.uniform(5, 60, (batch, 1, 1, 3))
    return np.clip(mean + contrast * rng.normal(size=(batch, size, size, 3)), 0, 255).astype(np.uint8)


def jax_competitors(network: Network) -> list[Competitor]:
    """Our vote and our single view, as `Attributor` gives them, and the loop around the network alone."""
    variables = jax.device_put({"params": network.params})
    attributor = Attributor(network.module, variables, CLASSES, network.module.resolution)

    def attributed(views: tuple[str, ...]) -> Callable[[Images], Answer]:
        def answer(images: Images) -> Answer:
            vote = attributor.vote(images, views, batch_size=len(images))
            return Answer(np.asarray(vote.predicted), np.asarray(vote.view_logits))

        return answer

    apply = jax.jit(network.module.apply, compiler_options=compiler_options())

    def loop(images: Images) -> Answer:
        signed = images.astype(np.float32) / 127.5 - 1
        views = (np.ascontiguousarray(TURNS[view](signed)) for view in EXACT_VIEWS)
        logits = np.stack([np.asarray(apply(variables, view)) for view in views])
        return Answer(_majority(logits), logits)

    return [
        Competitor(ONE_VIEW, ("identity",), "majority", attributed(("identity",))),
        Competitor(VOTE, EXACT_VIEWS, "majority", attributed(EXACT_VIEWS)),
        Competitor(LOOP, EXACT_VIEWS, "majority", loop),
    ]


def compiler_options() -> dict[str, str] | None:
    """Those that the package compiles with."""
    return known(PLAIN_CONVOLUTIONS) if jax.default_backend() == "cpu" else None


def _majority(logits: np.ndarray) -> np.ndarray:
    """The class that most views choose; ties go to the higher mean probability."""
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    votes = (logits.argmax(-1)[..., None] == np.arange(logits.shape[-1])).sum(0)
    return np.where(votes == votes.max(-1, keepdims=True), probabilities.mean(0), -1).argmax(-1)
