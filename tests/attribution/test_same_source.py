"""Likelihood ratios of points whose distributions are known."""

import math

import numpy as np
import pytest
from small_weights import refusal
from three_sources import NAMES, pool

from ganfp_jax.attribution.same_source import learn
from ganfp_jax.attribution.trials import Sizes


def system(known, sizes, repeats=3, draws=30):
    return learn(known, NAMES, sizes, draws=draws, repeats=repeats, seed=0)


@pytest.fixture(scope="module")
def pairs():
    return system(pool(), Sizes(1, 1))


@pytest.fixture(scope="module")
def fives():
    return system(pool(), Sizes(5, 2))


def test_ratios_tell_one_source_from_two(pairs):
    new = pool(40, seed=7)
    of = [new.values[new.labels == k] for k in range(3)]
    same = [pairs.log_ratio(of[k][i : i + 1], of[k][20 + i : 21 + i])[0] for k in range(3) for i in range(20)]
    other = [pairs.log_ratio(of[k][i : i + 1], of[k - 1][20 + i : 21 + i])[0] for k in range(3) for i in range(20)]
    assert np.mean(np.array(same) > 0) > 0.85 and np.mean(np.array(other) < 0) > 0.85
    cost = pairs.validity["cllr"]
    assert pairs.validity["cllr_min"]["value"] < cost["value"] < 0.5 and cost["ci95"][0] < cost["ci95"][1]


def test_larger_sets_say_more_but_only_what_their_trials_support(pairs, fives):
    assert fives.validity["cllr_min"]["value"] < pairs.validity["cllr_min"]["value"]
    assert fives.independent < pairs.independent == 3 * 2 * 10  # in 3 sources and 2 halves, 10 photographs a side
    for of in (pairs, fives):
        assert -math.log(of.independent + 1) <= of.bounds[0] < 0 < of.bounds[1] <= math.log(of.independent + 1)
        assert of.bounds[0] <= of.ratios.min() and of.ratios.max() <= of.bounds[1]


def test_a_case_is_no_product_of_its_images(fives):
    """Two images that are the same image say what a case of two says, within its bound."""
    new = pool(12, seed=7)
    mine = new.values[new.labels == 1]
    twice, interval = fives.log_ratio(mine[:5], mine[[6, 6]])
    assert twice <= fives.bounds[1] and interval[0] <= interval[1]


@pytest.mark.parametrize(("photographs", "sizes"), [(1, Sizes(1, 1)), (40, Sizes(21, 1))])
def test_too_few_photographs_or_images_are_said(photographs, sizes):
    said = refusal(system, pool(photographs=photographs), sizes)
    assert f"80 images of real that can be used, of {photographs} photographs" in said
    assert f"too few to try {sizes.reference} against 1" in said
