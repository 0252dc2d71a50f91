"""What is said of an image in one plain sentence."""

import dataclasses

import pytest

from ganfp_jax.attribution.limits import cannot_know
from ganfp_jax.attribution.sentences import generators, plain
from ganfp_jax.attribution.verdict import Attribution

CLASSES = ("real", "ProGAN", "SNGAN")
FOUND = Attribution(
    "SNGAN",
    confidence=0.75,
    votes={"SNGAN": 2},
    probabilities={"real": 0.2, "ProGAN": 0.05, "SNGAN": 0.75},
    verdict="SNGAN",
    margin=0.55,
    distance=0.1,
    views={"identity": "SNGAN", "mirror": "SNGAN"},
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The image has traces like those of SNGAN, one of the 2 generators that this network knows."),
        (
            {"verdict": "real", "predicted": "real"},
            "No trace was found of the generators that this network knows: ProGAN or SNGAN.",
        ),
        (
            {"verdict": "unknown"},
            "No source is named: the image is like none of the known sources (real, ProGAN and SNGAN).",
        ),
        (
            {"verdict": "unsure", "sources": ("real", "SNGAN")},
            "No source is named: the image could be real or SNGAN.",
        ),
        (
            {"verdict": "unsure"},
            "No source is named: SNGAN is the most probable, but its lead of 55.0 points is too small.",
        ),
        (
            {"verdict": "unsure", "margin": -0.1},
            "No source is named: SNGAN has the most votes, but another source is more probable.",
        ),
        (
            {"verdict": "nothing to see"},
            "The picture is flat everywhere: there is no trace of any source to see.",
        ),
    ],
)
def test_plain_says_the_verdict_and_its_sources(changes, words):
    assert plain(dataclasses.replace(FOUND, **changes), CLASSES) == words


def test_plain_fits_networks_of_other_sources():
    assert plain(FOUND, ("real", "SNGAN")).endswith("SNGAN, the only generator that this network knows.")
    assert generators(("ProGAN", "SNGAN")) == ["ProGAN", "SNGAN"]


def test_what_cannot_be_known_follows_from_network_and_calibration():
    without = cannot_know(CLASSES, None)
    assert "“real” says that no trace of ProGAN or SNGAN was found" in without[1]
    assert "not calibrated for this vote" in without[-1]
    assert any("their images get one of these names all the same" in limit for limit in without)
    assert not any("“real”" in limit for limit in cannot_know(("ProGAN", "SNGAN"), None))
    assert without == cannot_know(CLASSES, None)
