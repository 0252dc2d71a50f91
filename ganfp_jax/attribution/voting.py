"""Voting: one classifier looks at several views of an image, and the views decide together.

`make_vote` compiles the whole of it (views, classifier, rule) into one call; `vote_in_batches` runs that call
over any number of images with a single compilation. Every vote measures too: what the network says of the view that
stands for the image, at no further look at it. `make_view_voters` is for those who want the logits of many
views to try votes on. `ganfp_jax.attribution.stages` shows an image no more views than its majority needs.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int32, UInt8

from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import apply_view, resolve_views, single_view
from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS, known
from ganfp_jax.run.errors import UserError

IMAGES_A_TURN = 64
RULES: tuple[str, ...] = ("majority", "mean_logit", "mean_probability")

AnyArray = Array | np.ndarray
# (variables, images (N, H, W, C) in [-1, 1]) -> logits (N, K) and the distances (N,) measured with them, or None.
NetworkFn = Callable[[Any, Array], tuple[Array, Array | None]]


def check_rule(rule: str) -> None:
    """Raises UserError unless `rule` is one of `RULES`."""
    if rule not in RULES:
        raise UserError(f"unknown vote rule {rule!r}; choose from {', '.join(RULES)}")


def check_vote(views: str | Sequence[str], rule: str, batch_size: int = 1) -> None:
    """Raises UserError for an unknown view, set of views or rule, or no batches; a job asks before it opens anything.

    Args:
        views: as for `ganfp_jax.data.views.resolve_views`; none are those of the network's training, which fit.
        rule: one of `RULES`.
        batch_size: images a call.
    """
    check_rule(rule)
    if batch_size < 1:
        raise UserError(f"config.batch_size is {batch_size}; give 1 or more")
    if views:
        resolve_views(views)


class Vote(NamedTuple):
    """What V views said about N images of K classes (JAX arrays, or NumPy from `vote_in_batches`)."""

    predicted: Int32[AnyArray, " n"]  # the class that the rule chose
    probabilities: Float[AnyArray, "n k"]  # rows sum to 1; over the views that were shown the image
    votes: Int32[AnyArray, "n k"]  # how many views chose each class
    view_predictions: Int32[AnyArray, "v n"]  # the class that each view chose, -1 where it was not shown the image
    view_logits: Float[AnyArray, "v n k"]  # NaN where the view was not shown the image
    distance: Float[AnyArray, " n"]  # measured by the network in the image's `single_view`; NaN where it was not
    nobody: Float[AnyArray, " n"]  # how probable it is that no source made it, with a logit of 0; NaN if not learned

    @property
    def views_used(self) -> Int32[AnyArray, " n"]:
        """How many views were shown each image: V, or fewer where a vote stopped early."""
        return self.votes.sum(axis=-1, dtype=np.int32)


# Where the images stand in each array of a `Vote`.
_IMAGE_AXIS = Vote(0, 0, 0, 1, 1, distance=0, nobody=0)  # type: ignore[arg-type]


def count_votes(view_logits: Float[AnyArray, "v n k"], rule: str, seen: Bool[AnyArray, "v n"] | None = None) -> Vote:
    """Combine the logits of several views of the same images. Pure; the order of the views does not matter.

    Args:
        view_logits: `(V, N, K)`, any floating type (the arithmetic is float32).
        rule: `"majority"`: the class with most views; a tie goes to the higher mean probability, then to the
            lower class index. `"mean_logit"`: the highest mean logit. `"mean_probability"`: the highest mean
            probability. Static under `jax.jit`.
        seen: which views were shown each image, one or more; the logits of the others do not count, whatever
            they are. By default all.

    Returns:
        A `Vote`. Its `probabilities` are the softmax of the mean logits for `"mean_logit"`, and the mean over
        views of the softmaxes for the other two rules. Logits tell no distance: it is NaN. `nobody` means something
        where the network was trained with pseudo-unknowns.

    Raises:
        UserError: unknown rule.
    """
    check_rule(rule)
    logits = jnp.asarray(view_logits, jnp.float32)
    num_classes = logits.shape[-1]
    view_predictions = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if seen is not None:
        view_predictions = jnp.where(seen, view_predictions, -1)
        logits = jnp.where(seen[..., None], logits, jnp.nan)
    votes = jax.nn.one_hot(view_predictions, num_classes, dtype=jnp.int32).sum(axis=0)  # (N, K), no 1 for -1
    if rule == "mean_logit":
        score = _mean_over_views(logits, seen)
        probabilities = jax.nn.softmax(score)
    else:
        score = probabilities = _mean_over_views(jax.nn.softmax(logits), seen)
    if rule == "majority":
        leads = votes == votes.max(axis=-1, keepdims=True)
        score = jnp.where(leads, probabilities, -1.0)  # below every probability
    predicted = jnp.argmax(score, axis=-1).astype(jnp.int32)  # the first, so the lower index of equals
    nobody = _mean_over_views(jax.nn.sigmoid(-jax.nn.logsumexp(logits, axis=-1, keepdims=True)), seen)[:, 0]
    unmeasured = jnp.full(predicted.shape, jnp.nan)
    return Vote(predicted, probabilities, votes, view_predictions, logits, unmeasured, nobody)


@dataclasses.dataclass(frozen=True, eq=False)
class Voter:
    """A compiled vote, made by `make_vote`: `voter(variables, images) -> Vote`. Each batch shape is compiled once."""

    views: tuple[str, ...]
    rule: str
    mesh: Mesh | None
    compiled: Callable[[Any, Any], Vote]  # (variables, images) -> Vote, jitted

    def __call__(self, variables: Any, images: UInt8[AnyArray, "n h w c"]) -> Vote:
        """Vote on `images`, 0..255. With a mesh, N must be a multiple of `num_shards` (ValueError).

        The result is on the device, with a mesh on all its devices, and may still be being computed.
        """
        if len(images) % self.num_shards:
            raise ValueError(
                f"{len(images)} images cannot be shared evenly by {self.num_shards} devices: "
                "pad them, or use vote_in_batches"
            )
        if self.mesh is not None:
            images = jax.device_put(images, NamedSharding(self.mesh, PartitionSpec("data")))
        return self.compiled(self.place(variables), images)

    def place(self, variables: Any) -> Any:
        """The classifier's variables on every device that votes; costs next to nothing where they already are."""
        everywhere, leaves = _shardings(self.mesh)[0], jax.tree.leaves(variables)
        if all(isinstance(leaf, jax.Array) and everywhere in (None, leaf.sharding) for leaf in leaves):
            return variables  # device_put takes its time to find that out
        return jax.device_put(variables, everywhere)

    @property
    def num_shards(self) -> int:
        """Number of parts into which a batch of images is cut."""
        return 1 if self.mesh is None else self.mesh.shape["data"]


def make_vote(
    network_fn: NetworkFn,
    views: str | Sequence[str],
    rule: str = "majority",
    *,
    mesh: Mesh | None = None,
    in_turn: bool | None = None,
) -> Voter:
    """Make the one compiled call that turns uint8 images into votes.

    Args:
        network_fn: `(variables, images float32 (N, H, W, C) in [-1, 1]) -> logits (N, K), distances (N,)`. What it
            says of an image must not depend on the other images of the batch (no batch statistics).
        views: as for `ganfp_jax.data.views.resolve_views`.
        rule: one of `RULES`.
        mesh: spread images over its axis `"data"` and copy the variables to each device.
        in_turn: as for `vote_function`; by default True on CPU and False on accelerators.

    Returns:
        A `Voter`. Views are made on the device, from images that cross to it once, as uint8.

    Raises:
        UserError: unknown view or rule.
        ValueError: the mesh has no axis `"data"`; at the first call, logits that are not `(N, K)`.
    """
    names = resolve_views(views)
    _check_mesh(mesh)
    vote = vote_function(network_fn, names, rule, in_turn=_in_turn(in_turn, mesh))
    return Voter(names, rule, mesh, _compile(vote, mesh))


def vote_function(
    network_fn: NetworkFn, views: str | Sequence[str], rule: str = "majority", *, in_turn: bool
) -> Callable[[Any, Array], Vote]:
    """What `make_vote` compiles: `(variables, images uint8 (N, H, W, C)) -> Vote`, pure.

    Args:
        network_fn: as for `make_vote`.
        views: as for `make_vote`.
        rule: as for `make_vote`.
        in_turn: map the classifier over the views, as many at a time as make `IMAGES_A_TURN` images (True), or show
            it all views as one large batch (False). In turn, less memory is used, and is more often in a processor's
            cache; an accelerator is the better used the larger the batch.

    Raises:
        UserError: unknown view or rule.
    """
    names = resolve_views(views)
    check_rule(rule)

    def vote(variables: Any, images: Array) -> Vote:
        logits, distances = _look(functools.partial(_classify, network_fn, variables), images, names, in_turn)
        vote = count_votes(logits, rule)
        return vote if distances is None else vote._replace(distance=distances[single_view(names)])

    return vote


def unmeasured(logits_fn: Callable[[Any, Array], Array]) -> NetworkFn:
    """What `make_vote` takes, of a classifier that gives logits alone; its votes tell no distance."""
    return lambda variables, images: (logits_fn(variables, images), None)


def _look(network: Callable[[Array], Any], images: Array, views: Sequence[str], in_turn: bool) -> Any:
    """What the network says of every view of uint8 images (N, H, W, C); V first in its arrays."""
    signed = to_signed(images)
    seen = [apply_view(signed, view) for view in views]
    if in_turn and (turns := _count_turns(len(seen), images.shape[0])) > 1:
        batches = jnp.stack(seen).reshape(turns, -1, *images.shape[1:])
        said = jax.lax.map(network, batches)  # arrays (T, V N / T, ...)
        return jax.tree.map(lambda x: x.reshape(len(seen), images.shape[0], *x.shape[2:]), said)
    # the views of an image side by side, so that a batch cut among devices stays where it is
    batch = jnp.stack(seen, axis=1).reshape(-1, *images.shape[1:])  # (N V, H, W, C)
    said = network(batch)  # arrays (N V, ...)
    return jax.tree.map(lambda x: x.reshape(images.shape[0], len(views), *x.shape[1:]).swapaxes(0, 1), said)


def _count_turns(views: int, images: Any) -> int:
    """The smallest divisor of the number of views at which a turn has no more than `IMAGES_A_TURN` images.

    One view a turn for a program that is exported for any number of images.
    """
    if not isinstance(images, int):
        return views
    divisors = (n for n in range(1, views + 1) if views % n == 0)
    return next((n for n in divisors if views // n * images <= IMAGES_A_TURN), views)


def make_view_voters(
    network_fn: NetworkFn, views: str | Sequence[str], *, mesh: Mesh | None = None
) -> dict[str, Voter]:
    """A voter for each view alone, all around one compiled classifier.

    Compiling the classifier takes seconds and making a view takes none, so this is the way to the logits of dozens
    of views. Arguments and errors are those of `make_vote`.
    """
    names = resolve_views(views)
    _check_mesh(mesh)
    split = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))

    def vote(variables: Any, seen: Array) -> Vote:
        logits, distances = _classify(network_fn, variables, seen)
        vote = count_votes(logits[None], "mean_logit")
        return vote if distances is None else vote._replace(distance=distances)

    voted = _compile(vote, mesh)

    def alone(view: str) -> Voter:
        see = jax.jit(lambda images: apply_view(to_signed(images), view), out_shardings=split)
        return Voter((view,), "mean_logit", mesh, lambda variables, images: voted(variables, see(images)))

    return {view: alone(view) for view in names}


def vote_in_batches(voter: Voter, variables: Any, images: UInt8[np.ndarray, "n h w c"], batch_size: int) -> Vote:
    """Vote on any number of images, none included, with one compilation for one `batch_size`.

    Args:
        voter: made by `make_vote`.
        variables: of the classifier, on the host or on devices.
        images: uint8, 0..255, on the host.
        batch_size: images a call, rounded up to a multiple of `voter.num_shards`. The last batch is filled up
            with copies of its last image, whose votes are dropped.

    Returns:
        What the voter gives, of NumPy arrays, for all N images, in their order.

    Raises:
        UserError: the classifier gives NaN.
        ValueError: `batch_size` under 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    batch_size = -(-batch_size // voter.num_shards) * voter.num_shards
    variables = voter.place(variables)
    if len(images) == 0:  # shaped as the vote on a blank batch is
        blank = np.zeros((batch_size, *images.shape[1:]), np.uint8)
        return first_images(jax.device_get(voter(variables, blank)), 0)
    parts: list[Vote] = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        if len(batch) < batch_size:
            batch = np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)), mode="edge")
        parts.append(voter(variables, batch))
        if len(parts) > 1:  # wait for the batch before, while the device works on this one
            parts[-2] = _fetch(parts[-2])
    parts[-1] = _fetch(parts[-1])
    vote = parts[0] if len(images) == batch_size else first_images(join_votes(parts), len(images))
    _refuse_nan(vote)
    return vote


def first_images(vote: Vote, count: int) -> Vote:
    """The part of a `Vote` of NumPy arrays that is on the first `count` images."""
    return jax.tree.map(lambda axis, x: x.take(range(count), axis), _IMAGE_AXIS, vote)


def join_votes(votes: Sequence[Vote]) -> Vote:
    """One `Vote` of NumPy arrays on all images of several, in their order.

    Raises:
        ValueError: no votes at all, or votes of different views or classes.
    """
    if not votes:
        raise ValueError("there are no votes to join")
    return jax.tree.map(lambda axis, *parts: np.concatenate(parts, axis), _IMAGE_AXIS, *votes)


def _fetch(vote: Vote) -> Vote:
    """As NumPy arrays. On CPU they are in its memory, and how `device_get` asks for them takes longer than the copy."""
    return jax.tree.map(np.asarray, vote) if jax.default_backend() == "cpu" else jax.device_get(vote)


def _classify(network_fn: NetworkFn, variables: Any, images: Float[Array, "n h w c"]) -> tuple[Array, Array | None]:
    logits, distances = network_fn(variables, images)
    if logits.ndim != 2:
        raise ValueError(f"a vote needs logits (N, K), not the shape {logits.shape} of this classifier")
    return logits, distances


def _compile(vote: Callable[[Any, Any], Vote], mesh: Mesh | None) -> Callable[[Any, Any], Vote]:
    """(variables, images) -> Vote, with the images cut among the devices of a mesh."""
    everywhere, split = _shardings(mesh)
    return jax.jit(
        vote, in_shardings=(everywhere, split), out_shardings=everywhere, compiler_options=_compiler_options(mesh)
    )


def _shardings(mesh: Mesh | None) -> tuple[NamedSharding | None, NamedSharding | None]:
    """A copy on each device, and images cut among them; None without a mesh."""
    if mesh is None:
        return None, None
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))


def _in_turn(wanted: bool | None, mesh: Mesh | None) -> bool:
    return _platform(mesh) == "cpu" if wanted is None else wanted


def _compiler_options(mesh: Mesh | None) -> dict[str, str] | None:
    return known(PLAIN_CONVOLUTIONS) if _platform(mesh) == "cpu" else None


def _platform(mesh: Mesh | None) -> str:
    return jax.default_backend() if mesh is None else str(mesh.devices.flat[0].platform)


def _check_mesh(mesh: Mesh | None) -> None:
    if mesh is not None and "data" not in mesh.axis_names:
        raise ValueError(f"images are spread over a mesh axis 'data', but the axes are {mesh.axis_names}")


def _mean_over_views(values: Float[Array, "v n k"], seen: Bool[AnyArray, "v n"] | None) -> Float[Array, "n k"]:
    """Mean over the first axis; sorted first, because a float sum depends on the order of its terms."""
    if seen is None:
        return jnp.sort(values, axis=0).mean(axis=0)
    values = jnp.sort(jnp.where(seen[..., None], values, 0.0), axis=0)
    return values.sum(axis=0) / seen.sum(axis=0)[:, None]


def _refuse_nan(vote: Vote) -> None:
    """A network that diverged would otherwise answer with class 0 and look like a poor classifier."""
    bad = np.flatnonzero(np.isnan(vote.probabilities).any(axis=-1))
    if bad.size:
        raise UserError(
            f"the classifier gives NaN for {bad.size} of {len(vote.predicted)} images (first: index {bad[0]}): "
            "its training has diverged, use an earlier checkpoint"
        )
