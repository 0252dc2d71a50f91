"""Claims of a file beside the verdict: a disagreement is one sentence, and the verdict stays what it is."""

import dataclasses

import pytest

from ganfp_jax.attribution.beside import with_claims
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.claims.claim import CAPTURED, MADE, Claim

MADE_BY = Claim("text 'parameters': Stable Diffusion web UI", MADE, "Stable Diffusion web UI")
MADE_SOMEHOW = Claim("XMP DigitalSourceType: trainedAlgorithmicMedia", MADE)
TAKEN = Claim("XMP DigitalSourceType: digitalCapture", CAPTURED)
ENHANCED = Claim("XMP DigitalSourceType: algorithmicallyEnhanced")
NO_TRACE = "but the verdict is real: no trace was found of the known sources."


def said(word, predicted=""):
    numbers = {"margin": 0.5, "distance": 0.1, "views": {}, "votes": {}, "probabilities": {}, "confidence": 0.9}
    return Attribution(predicted=predicted or word, verdict=word, **numbers)


@pytest.mark.parametrize(
    ("word", "claims", "sentence"),
    [
        ("real", [MADE_BY], f"The file says that Stable Diffusion web UI made it, {NO_TRACE}"),
        ("real", [TAKEN, MADE_SOMEHOW], f"The file says that a generator made it, {NO_TRACE}"),
        ("real", [TAKEN, ENHANCED], ""),
        ("ProGAN", [TAKEN], "The file says that it was captured, but the verdict is ProGAN."),
        ("ProGAN", [MADE_SOMEHOW], ""),
        ("ProGAN", [ENHANCED], ""),
        (
            "ProGAN",
            [TAKEN, MADE_BY],
            "The file says that Stable Diffusion web UI made it, but the verdict is ProGAN: one is wrong, or both took "
            "part.",
        ),
        ("stable_diffusion", [MADE_BY], ""),
    ],
)
def test_a_disagreement_is_one_sentence(word, claims, sentence):
    verdict = said(word)
    found = with_claims(verdict, claims)
    assert (found.claims, found.disagreement) == (tuple(claim.text for claim in claims), sentence)
    assert dataclasses.replace(found, claims=(), disagreement="") == verdict


def test_a_verdict_that_names_no_source_disagrees_with_nobody():
    for word in ("unsure", "unknown", "nothing to see"):
        assert with_claims(said(word, "real"), [MADE_BY]).disagreement == ""


def test_without_claims_nothing_changes():
    verdict = said("real")
    assert with_claims(verdict, ()) is verdict
