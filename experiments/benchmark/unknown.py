"""What it costs to be able to say "unknown": verdicts of the shipped network, beside those that never say so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark import vote
from experiments.benchmark.row import OURS, Row
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import UNKNOWN, Rule, attributions
from ganfp_jax.attribution.voting import vote_function
from ganfp_jax.data.views import resolve_views
from ganfp_jax.models.fingerprints import make_logits_and_distances
from ganfp_jax.run.errors import UserError

NETWORK, VOTE = "photos32", "majority"
WITHOUT = "ganfp_jax, never unknown"
MOST = 1.05  # verdicts that can be "unknown" may take so many times as long


def unknown_row(batch: int) -> Row:
    """`batch` images, from uint8 in host memory to verdicts, by all views of the shipped network.

    The other competitor does not count how probable it is that no source made an image, and has no p-values.
    """
    attributor = Attributor.load(NETWORK)
    images = vote.make_images(batch, attributor.resolution)
    rules = attributor.rules_for(attributor.default_views, VOTE)
    name = f"unknown {attributor.resolution}x{attributor.resolution}, batch {batch}"

    def maker(rules: Sequence[Rule | Typical], function: Any) -> Callable[[], list[str]]:
        compiled = jax.jit(function, compiler_options=vote.compiler_options())
        variables, notes = jax.device_put(attributor.weights.variables), [""] * batch
        views = resolve_views(attributor.default_views)

        def verdicts() -> list[str]:
            votes = jax.device_get(compiled(variables, images))
            return [found.verdict for found in attributions(votes, rules, attributor.classes, views, notes)]

        return verdicts

    def check(answers: Mapping[str, Any]) -> None:
        ours, theirs = answers[OURS], answers[WITHOUT]
        if other := [pair for pair in zip(ours, theirs, strict=True) if pair[0] not in (UNKNOWN, pair[1])]:
            raise UserError(f"{name}: {other[0][0]} is {other[0][1]} where nothing is unknown")

    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        OURS: lambda: maker(rules, _vote(attributor)),
        WITHOUT: lambda: maker([rule for rule in rules if isinstance(rule, Rule)], _without_nobody(attributor)),
    }
    return Row(name, batch, makers, check, lesser=(WITHOUT,), least={WITHOUT: 1 / MOST})


def _vote(attributor: Attributor) -> Any:
    """What the package compiles on a CPU, and on an accelerator."""
    network = make_logits_and_distances(models.create(**attributor.weights.model))
    return vote_function(network, attributor.default_views, VOTE, in_turn=jax.default_backend() == "cpu")


def _without_nobody(attributor: Attributor) -> Any:
    """A vote whose program does not have what nobody asks for: the compiler leaves it out."""
    whole = _vote(attributor)

    def vote(variables: Any, images: Any) -> Any:
        found = whole(variables, images)
        return found._replace(nobody=jnp.full_like(found.nobody, np.nan))

    return vote
