"""Rows of the attribution network: one view, eight views, one training step."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import attribution
from experiments.benchmark import vote
from experiments.benchmark.competitor import Competitor, check_agreement
from experiments.benchmark.row import OURS, Cost, Options, Row, check_close, cost_of
from ganfp_jax.attribution.voting import unmeasured, vote_function
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.training.attribution_step import make_attribution_step
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.state import AttributionState, NetworkState

CHECKED_STEPS = 3


def forward_row(size: int, batch: int, options: Options) -> Row:
    """`batch` images of `size` x `size`, from uint8 in host memory to decisions there, by one view."""
    return _views_row(f"forward {size}x{size}, batch {batch}", size, batch, options, {OURS: vote.ONE_VIEW}, "one view")


def vote_row(size: int, batch: int, options: Options) -> Row:
    """The same by eight views, beside a Python loop over the network and one view alone."""
    ours = {OURS: vote.VOTE, "JAX, Python loop": vote.LOOP, "ganfp_jax, one view": vote.ONE_VIEW}
    return _views_row(f"vote {size}x{size}, batch {batch}", size, batch, options, ours, "ttach d4")


def _views_row(name: str, size: int, batch: int, options: Options, ours: dict[str, str], theirs: str) -> Row:
    network, images = vote.make_network(size, options.dtype), vote.make_images(batch, size)

    @functools.cache
    def in_jax() -> dict[str, Competitor]:
        return {competitor.name: competitor for competitor in vote.jax_competitors(network)}

    @functools.cache
    def in_torch() -> dict[str, Competitor]:
        from experiments.benchmark.torch_vote import torch_competitors

        found = torch_competitors(network.params, network.input, options.compile, options.dtype)
        return {competitor.name: competitor for competitor in found}

    def maker(competitors: Callable[[], dict[str, Competitor]], key: str) -> Callable[[], Callable[[], Any]]:
        return lambda: functools.partial(competitors()[key].answer, images)

    makers = {shown: maker(in_jax, key) for shown, key in ours.items()}
    if options.torch:
        forms = ("PyTorch", "PyTorch compiled") if options.compile else ("PyTorch",)
        makers |= {form: maker(in_torch, f"{form}, {theirs}") for form in forms}

    def check(answers: Any) -> None:
        judge = in_jax()[vote.LOOP].answer(images)
        competitors = {shown: in_jax()[key] for shown, key in ours.items()}
        competitors |= {form: in_torch()[f"{form}, {theirs}"] for form in makers if form.startswith("PyTorch")}
        check_agreement(list(competitors.values()), judge, images, exact=options.exact)

    def cost() -> Cost:
        views = EXACT_VIEWS if theirs == "ttach d4" else ("identity",)
        # All views at once: XLA counts the body of a loop over the views once.
        function = vote_function(unmeasured(network.module.apply), views, in_turn=False)
        return cost_of(function, {"params": network.params}, jax.ShapeDtypeStruct(images.shape, "uint8"))

    return Row(name, batch, makers, check, cost, lesser=(vote.ONE_VIEW,) if theirs == "ttach d4" else ())


def training_row(size: int, batch: int, options: Options) -> Row:
    """One training step, from uint8 in host memory to metrics there; images are mirrored at random, as published."""
    name = f"attribution step {size}x{size}, batch {batch}"
    network, settings = vote.make_network(size, options.dtype), _optimizer(size)
    rng = np.random.default_rng(2)
    images, labels = vote.make_images(batch, size), rng.integers(0, len(vote.CLASSES), batch).astype(np.int32)
    # The first steps are compared on images that are their own mirror images, where chance does nothing.
    even = np.concatenate([images[:, :, : size // 2], images[:, :, : size // 2][:, :, ::-1]], 2)

    @functools.cache
    def program() -> tuple[Any, AttributionState]:
        optimizer = make_adam(**settings, num_steps=1000)
        step = make_attribution_step(network.module, optimizer, "mirror")
        params = jax.tree.map(jnp.asarray, network.params)
        state = AttributionState(jnp.int32(0), NetworkState(params, {}, optimizer.init(params)))
        return step, state

    def in_jax() -> Callable[[], dict[str, Any]]:
        step, state = program()
        compiled = jax.jit(step, donate_argnums=0, compiler_options=vote.compiler_options())
        state, key, given, losses = jax.tree.map(jnp.copy, state), jax.random.key(0), even, []

        def call() -> dict[str, Any]:
            nonlocal state
            state, metrics = compiled(state, {"image": given, "label": labels}, key)
            return jax.device_get(metrics)

        for _ in range(CHECKED_STEPS):
            losses.append(call()["loss"])
        given = images
        return lambda: call() | {"first losses": losses}

    def in_torch(compile: bool) -> Callable[[], dict[str, Any]]:
        from experiments.benchmark.torch_attribution import TorchTraining

        trained = TorchTraining(network.params, network.input, settings, options.dtype, compile)
        losses = [trained.step(even, labels)["loss"] for _ in range(CHECKED_STEPS)]
        return lambda: trained.step(images, labels) | {"first losses": losses}

    makers: dict[str, Callable[[], Callable[[], Any]]] = {OURS: in_jax}
    if options.torch:
        makers["PyTorch"] = functools.partial(in_torch, compile=False)
        if options.compile:
            makers["PyTorch compiled"] = functools.partial(in_torch, compile=True)

    def check(answers: Any) -> None:
        first = {competitor: {"first losses": answer["first losses"]} for competitor, answer in answers.items()}
        check_close(name, first, options.tolerance)

    def cost() -> Cost:
        step, state = program()
        return cost_of(step, state, {"image": images, "label": labels}, jax.random.key(0))

    return Row(name, batch, makers, check, cost)


def _optimizer(size: int) -> dict[str, Any]:
    settings = attribution.get_config(vote.VARIANTS[size]).optimizer.to_dict()
    return settings | {"schedule": "constant", "schedule_args": {}}  # a schedule costs nothing and would hide the rate
