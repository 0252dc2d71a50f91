"""Separability: against definitions and libraries, at chance and far from it, and the coverage of its intervals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from ganfp_jax.metrics import separability as sep
from ganfp_jax.metrics.distances import frechet_distance
from ganfp_jax.metrics.groups import halves
from ganfp_jax.metrics.statistics import area


def gaussians(seed, classes=3, each=30, dimension=4, apart=0.0):
    """Unit Gaussians; the mean of class k is `apart` along axis k."""
    x = np.random.default_rng(seed).normal(size=(classes * each, dimension))
    labels = np.repeat(np.arange(classes), each)
    x[np.arange(len(x)), labels % dimension] += apart
    return x, labels


# --- Frechet distance


@pytest.mark.parametrize(("n", "m", "dimension"), [(20, 30, 5), (12, 9, 40), (2, 2, 1), (7, 7, 7)])
def test_distance_from_inner_products_is_the_direct_formula(n, m, dimension):
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(n)
    mix = rng.normal(size=(dimension, dimension))
    x, y = rng.normal(size=(n, dimension)) @ mix + 1, rng.normal(size=(m, dimension))
    both = np.concatenate([x, y])
    ours = sep.frechet_from_gram(both @ both.T, np.arange(n), n + np.arange(m))
    assert ours == pytest.approx(frechet_distance(x, y), rel=1e-6)
    if min(n, m) > dimension > 1:  # SciPy's root of a singular matrix is not dependable
        a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        direct = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
        assert ours == pytest.approx(direct, rel=1e-9)


def test_ratio_of_two_points_a_side_by_hand():
    # One feature and h = 2: whatever the split, every image of class 1 lies 100 from its twin in class 0.
    x = np.array([[0.0], [1.0], [0.0], [1.0], [100.0], [101.0], [100.0], [101.0]])
    block = sep.frechet_ratio(x, np.repeat([0, 1], 4), 2, seed=0)
    assert (block["images_per_half"], block["n"]) == (2, 8)
    assert 0 < block["intra"] < 1  # {0, 1} | {0, 1} are at 0, {0, 0} | {1, 1} at 1
    assert block["inter"] == pytest.approx(1e4, rel=0.03)
    assert block["ci95"] is None
    assert "interval" in block["reason"]


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-3, 1.0, 300.0]))
@settings(max_examples=8, deadline=None)
def test_ratio_does_not_see_rotation_scale_or_shift(seed, scale):
    x, labels = gaussians(seed, each=12, apart=1.0)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    plain = sep.frechet_ratio(x, labels, 3, seed=seed, splits=2, blocks=3)
    moved = sep.frechet_ratio(scale * x @ turn + 5, labels, 3, seed=seed, splits=2, blocks=3)
    assert moved["value"] == pytest.approx(plain["value"], rel=1e-6)
    assert moved["ci95"] == pytest.approx(plain["ci95"], rel=1e-4)


def test_ratio_of_far_classes_is_the_known_one():
    x, labels = gaussians(0, classes=2, each=200, dimension=2, apart=50.0)
    block = sep.frechet_ratio(x, labels, 2, seed=1)
    assert block["inter"] == pytest.approx(2 * 50**2, rel=0.02)
    assert block["intra"] < 0.2
    assert block["ci95"][0] < block["value"] < block["ci95"][1]


def test_ratio_takes_equal_numbers_of_every_class():
    x, labels = gaussians(0, each=40)
    keep = np.r_[0:40, 40:55, 80:120]
    block = sep.frechet_ratio(x[keep], labels[keep], 3, seed=0, splits=2)
    assert (block["images_per_half"], block["n"]) == (7, 42)
    assert sep.frechet_ratio(x, labels, 3, seed=0, per_class=20, splits=1)["images_per_half"] == 10


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("apart", [0.0, 1.5])
def test_ratio_interval_covers_the_mean_ratio(apart):
    blocks = [
        sep.frechet_ratio(*gaussians(seed, each=20, apart=apart), 3, seed=seed, splits=2, blocks=5)
        for seed in range(80)
    ]
    truth = np.mean([block["value"] for block in blocks])
    if apart == 0:
        assert truth == pytest.approx(1, abs=0.1)  # no signal
    assert coverage([block["ci95"] for block in blocks], truth) >= 0.88
    # an interval of a third of the width must fail, or this test could not
    narrow = [np.array(b["value"]) * (np.array(b["ci95"]) / b["value"]) ** (1 / 3) for b in blocks]
    assert coverage(narrow, truth) < 0.85


def test_drawing_with_replacement_would_miss_the_ratio():
    """Why the ratio has no bootstrap: doubled images raise the distance of the halves itself."""
    misses = 0
    for seed in range(10):
        x, labels = gaussians(seed, apart=1.5)
        rng = np.random.default_rng(seed)
        value = sep.frechet_ratio(x, labels, 3, seed=seed, splits=1, blocks=2)["value"]
        drawn = []
        for _ in range(10):
            parts = [
                [own[rng.integers(15, size=15)] for own in np.split(np.flatnonzero(labels == c), 2)] for c in (0, 1, 2)
            ]
            drawn.append(np.divide(*sep._inter_intra(sep._distances(x @ x.T, parts)[None])))
        misses += np.median(drawn) < value
    assert misses >= 8


# --- Pairs


def test_verification_is_scikit_learns_area_over_all_pairs():
    from sklearn.metrics import roc_auc_score
    from sklearn.metrics.pairwise import cosine_similarity

    x, labels = gaussians(0, each=10, apart=1.0)
    i, j = np.triu_indices(30, 1)
    expected = roc_auc_score(labels[i] == labels[j], cosine_similarity(x - x.mean(0))[i, j])
    block = sep.pair_verification(x, labels, seed=0, replicates=20)
    assert block["auc"]["value"] == pytest.approx(expected)
    assert (block["n"], block["same"], block["different"]) == (30, 3 * 45, 300)
    assert block["auc"]["ci95"][0] < expected < block["auc"]["ci95"][1]


def test_pairs_of_one_group_are_left_out():
    x, labels = gaussians(0, classes=2, each=6)
    groups = np.array([0, 0, 0, 1, 1, 1, 0, 0, -1, -1, -1, -1])  # a number counts within its class
    block = sep.pair_verification(x, labels, seed=0, groups=groups, replicates=20)
    assert (block["same"], block["different"]) == (9 + 14, 36)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_only_the_order_of_the_scores_counts(seed):
    x, labels = gaussians(seed, each=8, apart=1.0)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)  # there the distance is a falling function of the cosine
    blocks = [
        sep.pair_verification(unit, labels, seed=0, centre=False, replicates=10, similarity=similarity)
        for similarity in ("cosine", "negative_distance")
    ]
    assert blocks[0] == blocks[1]
    scaled = sep.pair_verification(unit * 7, labels, seed=0, centre=False, replicates=10)
    assert scaled["auc"]["value"] == pytest.approx(blocks[0]["auc"]["value"], abs=1e-9)


def test_centring_shows_what_a_common_part_hides():
    x, labels = gaussians(0, apart=1.0)
    common = 1000 * np.ones(4) * np.array([1, 1, -1, 1])
    plain = sep.pair_verification(x + common, labels, seed=0, replicates=0, centre=False)
    centred = sep.pair_verification(x + common, labels, seed=0, replicates=0)
    assert centred["auc"]["value"] == pytest.approx(
        sep.pair_verification(x, labels, seed=0, replicates=0)["auc"]["value"]
    )
    assert plain["auc"]["value"] < centred["auc"]["value"]


def test_verification_interval_covers_the_mean_area():
    blocks = [sep.pair_verification(*gaussians(s, each=16, apart=1.5), seed=s, replicates=50) for s in range(50)]
    for name in ("auc", "eer"):
        values = np.array([block[name]["value"] for block in blocks])
        intervals = np.array([block[name]["ci95"] for block in blocks])
        assert 0.85 <= coverage(intervals, values.mean()) <= 1
        narrow = values[:, None] + (intervals - values[:, None]) / 3
        assert coverage(narrow, values.mean()) < 0.8


def test_the_curve_for_a_figure_is_thin_and_whole():
    block = sep.pair_verification(*gaussians(0, each=20), seed=0, replicates=2)
    far, tpr = block["roc"]["false_positive"], block["roc"]["true_positive"]
    assert len(far) == len(tpr) <= 200
    assert (far[0], tpr[0], far[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(far) >= 0)
    assert area(np.array(far), np.array(tpr)) == pytest.approx(block["auc"]["value"], abs=5e-3)


def test_pair_verification_takes_at_most_so_many_of_a_class():
    block = sep.pair_verification(*gaussians(0, each=20), seed=0, replicates=2, most=5)
    assert (block["n"], block["same"]) == (15, 30)


# --- The block of a feature space


def test_cosines():
    from sklearn.metrics.pairwise import cosine_similarity

    vectors = np.array([[1.0, 0], [1, 1], [0, 0], [-3, 0], [1e-200, 0]])
    found = sep.cosine_matrix(vectors)
    np.testing.assert_allclose(found[:4, :4], cosine_similarity(vectors[:4]), atol=1e-12)
    assert found[0, 4] == 1


def test_separable_sources_and_a_control_at_chance():
    x, labels = gaussians(3, classes=3, each=60, apart=8.0)
    block = sep.separability(x.astype(np.float32), labels, ("real", "A", "B"), seed=0, real="real")
    assert json.loads(json.dumps(block, allow_nan=False)) == block
    assert (block["n"], block["dimension"]) == (180, 4)
    assert block["frechet_ratio"]["ci95"][0] > 10
    assert block["verification"]["auc"]["value"] > 0.99
    assert block["verification"]["eer"]["value"] < 0.02
    chance = block["control"]["expected"]
    assert chance == {"frechet_ratio": 1.0, "auc": 0.5, "eer": 0.5}
    low, high = block["control"]["frechet_ratio"]["ci95"]
    assert low < 1 < high
    for name in ("auc", "eer"):
        low, high = block["control"]["verification"][name]["ci95"]
        assert low < 0.5 < high


def test_photographs_do_not_pass_for_a_source():
    """Crops of few photographs: without groups the pictures themselves look like a source; with them chance is kept."""
    areas, blind, ratios = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(10), 6)
        x = 3 * rng.normal(size=(10, 4))[groups] + rng.normal(size=(60, 4))
        found = sep.control(x, seed=seed, groups=groups)
        areas.append(found["verification"]["auc"]["value"])
        ratios.append(found["frechet_ratio"]["value"])
        blind.append(sep.pair_verification(x, halves(60, groups=groups, seed=seed), seed=0, replicates=0)["auc"])
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)
    assert np.mean([auc["value"] for auc in blind]) > 0.55
    assert np.mean(np.log(ratios)) == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize(
    ("each", "groups", "reason"),
    [
        (0, None, "4 images"),
        (3, None, "4 images"),
        (8, np.zeros(16, np.int64), "single group"),
        (5, np.tile([0, 0, 0, 0, 1], 2), "fewer than 2"),
    ],
)
def test_too_little_for_a_ratio(each, groups, reason):
    found = sep.frechet_ratio(*gaussians(0, classes=2, each=each), 2, seed=0, groups=groups)
    assert found["value"] is found["ci95"] is None
    assert reason in found["reason"]


def test_too_little_for_an_interval_and_constant_features():
    found = sep.frechet_ratio(*gaussians(0, classes=2, each=4), 2, seed=0)
    assert found["value"] > 0
    assert found["ci95"] is None
    assert "too few" in found["reason"]
    labels = np.repeat([0, 1], 8)
    found = sep.frechet_ratio(np.ones((16, 3)) * labels[:, None], labels, 2, seed=0)
    assert found["value"] is None
    assert "do not differ" in found["reason"]


@pytest.mark.parametrize("each", [0, 1, 2, 3, 5, 9])
def test_any_small_input_is_answered(each):
    x, labels = gaussians(0, classes=2, each=each)
    for groups in (None, np.arange(2 * each) // 2):
        block = sep.separability(x, labels, ("real", "A"), seed=0, real="real", groups=groups)
        json.dumps(block, allow_nan=False)
    one = sep.pair_verification(x[:each], labels[:each], seed=0)
    assert one["auc"]["value"] is None
    assert "no pair" in one["reason"]


def test_separability_refuses_wrong_arguments():
    x, labels = gaussians(0)
    with pytest.raises((ValueError, TypeCheckError)):  # the second where types are checked at run time, as here
        sep.frechet_ratio(x[:-1], labels, 3, seed=0)
    with pytest.raises((ValueError, TypeCheckError)):
        sep.pair_verification(x, labels, seed=0, groups=labels[:-1])
    with pytest.raises(ValueError, match="finite"):
        sep.pair_verification(np.where(x > 1, np.nan, x), labels, seed=0)
    with pytest.raises(ValueError, match="unknown similarity"):
        sep.pair_verification(x, labels, seed=0, similarity="dot")
    with pytest.raises(ValueError, match="class indices"):
        sep.frechet_ratio(x, labels, 2, seed=0)
    with pytest.raises(ValueError, match="at least 2, 1 and 2"):
        sep.frechet_ratio(x, labels, 3, seed=0, blocks=1)
    with pytest.raises(ValueError, match="none of"):
        sep.separability(x, labels, "abc", seed=0, real="real")
