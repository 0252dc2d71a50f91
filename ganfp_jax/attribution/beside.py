"""A file's claims beside the verdict: shown with it, never mixed into it, and a disagreement is pointed out."""

import dataclasses
from collections.abc import Sequence

from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.claims.claim import CAPTURED, MADE, Claim
from ganfp_jax.report.wording import REAL


def with_claims(verdict: Attribution, claims: Sequence[Claim]) -> Attribution:
    """Returns the same verdict with what its file claims, and with the sentence on a disagreement."""
    if not claims:
        return verdict
    texts = tuple(claim.text for claim in claims)
    return dataclasses.replace(verdict, claims=texts, disagreement=_disagreement(verdict, claims))


def _disagreement(verdict: Attribution, claims: Sequence[Claim]) -> str:
    """One sentence where a claim contradicts a verdict that names a source; else ""."""
    name = verdict.verdict
    if name != verdict.predicted:  # it is unsure, unknown or nothing
        return ""
    made = [claim for claim in claims if claim.kind == MADE]
    makers = [claim.maker for claim in made if claim.maker]
    if made and name == REAL:
        maker = makers[0] if makers else "a generator"
        return (
            f"The file says that {maker} made it, but the verdict is {REAL}: no trace was found of the known sources."
        )
    if makers and not any(_same(maker, name) for maker in makers):
        return f"The file says that {makers[0]} made it, but the verdict is {name}: one is wrong, or both took part."
    if name != REAL and not made and any(claim.kind == CAPTURED for claim in claims):
        return f"The file says that it was captured, but the verdict is {name}."
    return ""


def _same(one: str, other: str) -> bool:
    """Whether one of two names is in the other, but for case, spaces and signs."""
    short, long = sorted(("".join(filter(str.isalnum, name)).casefold() for name in (one, other)), key=len)
    return short in long
