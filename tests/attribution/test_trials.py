"""Scores, quarters and draws of points whose distributions are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from three_sources import pool

from ganfp_jax.attribution import trials
from ganfp_jax.attribution.trials import Pool, Scorer, Sizes, draw, quarters, resampled


def test_the_score_is_the_ratio_of_two_normal_distributions():
    scorer = Scorer(np.zeros(2), np.eye(2), np.array([4.0, 0.25]))
    reference, case, total = np.array([1.5, -0.3]), np.array([2.0, 0.4]), 0.0
    for one, other, between in zip(reference, case, scorer.between, strict=True):
        own = np.diag([1 / 5, 1 / 2])
        together = multivariate_normal([0, 0], own + between).logpdf([one, other])
        total += together - multivariate_normal([0, 0], own + between * np.eye(2)).logpdf([one, other])
    assert scorer.scores(reference[None], case[None], Sizes(5, 2))[0] == pytest.approx(total)


def test_in_the_axes_pictures_of_a_source_vary_by_one():
    known = pool(400)
    points = trials.learn_scorer(known).points(known.values)
    own = np.cov((points - np.stack([points[known.labels == k].mean(0) for k in range(3)])[known.labels]).T)
    assert np.abs(own - np.eye(len(own))).max() < 0.2


def test_photographs_lie_in_one_quarter_and_sources_in_all():
    known = pool(photographs=13)
    known = known._replace(groups=known.groups % 13)  # all sources were made of the same photographs
    quarter = quarters(known, np.random.default_rng(0))
    assert all(len(set(quarter[known.groups == group])) == 1 for group in range(13))
    assert all(set(quarter[known.labels == label]) == {0, 1, 2, 3} for label in range(3))


def test_reference_and_case_are_of_different_sides():
    known = Pool(np.repeat([[1.0], [100.0]], 10, 0), np.zeros(20, int), np.arange(20))
    scorer = Scorer(np.zeros(1), np.eye(1), np.ones(1))
    drawn = draw(known, np.repeat([0, 1], 10), scorer, Sizes(3, 2), 4, np.random.default_rng(0))
    apart = [scorer.scores(np.array([[a]]), np.array([[b]]), Sizes(3, 2))[0] for a, b in ((1.0, 100.0), (100.0, 1.0))]
    np.testing.assert_allclose(drawn.scores, np.repeat(apart, 4))
    assert drawn.same.all()


def test_samples_are_of_whole_photographs():
    known = pool(20, photographs=5)
    strata = np.zeros(60, int)
    for sample, _ in resampled(known, strata, 3, np.random.default_rng(0)):
        drawn = np.bincount(sample.groups, minlength=15).reshape(3, 5)
        assert (drawn % 4 == 0).all() and (drawn.sum(1) == 20).all()
