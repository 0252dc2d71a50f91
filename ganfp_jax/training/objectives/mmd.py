"""The kernel two-sample objective of MMDGAN (Li et al. 2017; Binkowski et al. 2018, arXiv 1801.01401).

A characteristic kernel compares the critic's features, and the loss is the squared maximum mean discrepancy (MMD)
between a generated and a real batch. It is one number, since every sample is compared with every other.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.objectives.objective import Objective

Features = Float[Array, "n f"]
Gram = Float[Array, "n m"]
Estimate = Literal["unbiased", "biased"]
Diagonal = Literal["published", "exact"]


def squared_distances(x: Features, y: Float[Array, "m f"]) -> Gram:
    """Return |x_i - y_j|^2 from inner products; values that rounding makes negative become 0."""
    squares = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * dot(x, y), 0.0)


def mix_rq(x: Features, y: Float[Array, "m f"]) -> Gram:
    """Return the sum of rational quadratics (1 + |x - y|^2 / (2 a))^-a with a of 0.1, 1 and 10."""
    squares = squared_distances(x, y)
    grams = [jnp.exp(-alpha * jnp.log1p(squares / (2 * alpha))) for alpha in (0.1, 1.0, 10.0)]
    return sum(grams[1:], grams[0])


def mix_rbf(x: Features, y: Float[Array, "m f"]) -> Gram:
    """Return the sum of Gaussians exp(-|x - y|^2 / (2 s^2)) with s of 2, 5, 10, 20, 40 and 80."""
    squares = squared_distances(x, y)
    grams = [jnp.exp(-squares / (2 * sigma**2)) for sigma in (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)]
    return sum(grams[1:], grams[0])


def distance(x: Features, y: Float[Array, "m f"]) -> Gram:
    """Return |x| + |y| - |x - y|, whose MMD is the energy distance; every root has 1e-5 added under it."""

    def root(squares: Array) -> Array:
        return jnp.sqrt(squares + 1e-5)

    lengths = root(jnp.sum(x**2, axis=1))[:, None] + root(jnp.sum(y**2, axis=1))[None, :]
    return lengths - root(squared_distances(x, y))


def dot(x: Features, y: Float[Array, "m f"]) -> Gram:
    """Return the inner products, whose MMD is the distance of the means."""
    # A device's default precision may be lower, and its rounding errors would hide small distances.
    return jnp.matmul(x, y.T, precision="highest")


def _rq_plus_dot(weight: float) -> Callable[[Array, Array], Array]:
    return lambda x, y: mix_rq(x, y) + weight * dot(x, y)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel, and the constant that the published estimator puts for k(x, x); None for its true values."""

    gram: Callable[[Array, Array], Array]
    published_diagonal: float | None = None


KERNELS = {
    "mix_rq": Kernel(mix_rq, 3.0),
    "mix_rq_dot": Kernel(_rq_plus_dot(0.1), 3.0),
    "mix_rq_1dot": Kernel(_rq_plus_dot(1.0), 3.0),
    "mix_rq_10dot": Kernel(_rq_plus_dot(10.0), 3.0),
    "mix_rbf": Kernel(mix_rbf, 6.0),
    "distance": Kernel(distance),
    "dot": Kernel(dot),
}


def make(kernel: str = "mix_rq_1dot", estimate: Estimate = "unbiased", diagonal: Diagonal = "exact") -> Objective:
    """The objective with its kernel and estimator bound; see `squared_mmd`.

    Raises:
        UserError: the kernel, estimate or diagonal is unknown.
    """
    for name, value, choices in (
        ("kernel", kernel, tuple(KERNELS)),
        ("estimate", estimate, ("unbiased", "biased")),
        ("diagonal", diagonal, ("published", "exact")),
    ):
        if value not in choices:
            raise UserError(f"objective mmd: {name} {value!r} is unknown; choose one of {', '.join(choices)}")
    settings: dict[str, Any] = {"kernel": kernel, "estimate": estimate, "diagonal": diagonal}
    return Objective(
        functools.partial(critic_loss, **settings),
        functools.partial(generator_loss, **settings),
        functools.partial(witness, kernel=kernel),
        reads_features=True,
        generator_sees_real=True,
    )


def squared_mmd(
    x: Features,
    y: Float[Array, "m f"],
    kernel: str = "mix_rq_1dot",
    estimate: Estimate = "unbiased",
    diagonal: Diagonal = "exact",
) -> Float[Array, ""]:
    """Return an estimate of E k(x, x') + E k(y, y') - 2 E k(x, y).

    Args:
        x, y: features of two samples, at least two features each for the unbiased estimate.
        kernel: a key of `KERNELS`.
        estimate: "unbiased" leaves out the pairs of a sample with itself; "biased" takes the plain means.
        diagonal: the value of k(x_i, x_i) that the unbiased estimate subtracts. "exact" is the true value. "published"
            is the constant 3, also for the kernels with an inner product, where k(x_i, x_i) = 3 + w |x_i|^2. The
            estimate then keeps w / (m - 1) times the mean of |x_i|^2, which the generator makes small and the critic
            large.

    Raises:
        UserError: the unbiased estimate has fewer than two samples.
    """
    gram = KERNELS[kernel].gram
    across = gram(x, y).mean()
    if estimate == "biased":
        return gram(x, x).mean() + gram(y, y).mean() - 2 * across
    constant = KERNELS[kernel].published_diagonal if diagonal == "published" else None

    if min(len(x), len(y)) < 2:
        raise UserError(
            "the unbiased MMD compares the samples of a batch with each other; give a batch_size of 2 or more"
        )

    def within(z: Array) -> Array:
        values, m = gram(z, z), len(z)
        trace = jnp.trace(values) if constant is None else m * constant
        return (values.sum() - trace) / (m * (m - 1))

    return within(x) + within(y) - 2 * across


def critic_loss(
    real: Features,
    fake: Features,
    kernel: str = "mix_rq_1dot",
    estimate: Estimate = "unbiased",
    diagonal: Diagonal = "exact",
) -> Float[Array, ""]:
    """Return -MMD^2(fake, real), without the penalties."""
    return -squared_mmd(fake, real, kernel, estimate, diagonal)


def generator_loss(
    real: Features,
    fake: Features,
    kernel: str = "mix_rq_1dot",
    estimate: Estimate = "unbiased",
    diagonal: Diagonal = "exact",
) -> Float[Array, ""]:
    """Return MMD^2(fake, real)."""
    return squared_mmd(fake, real, kernel, estimate, diagonal)


def witness(mixed: Features, real: Features, fake: Features, kernel: str = "mix_rq_1dot") -> Float[Array, " n"]:
    """Return each sample's mean kernel value with the real batch minus that with the generated batch."""
    gram = KERNELS[kernel].gram
    return gram(mixed, real).mean(1) - gram(mixed, fake).mean(1)
