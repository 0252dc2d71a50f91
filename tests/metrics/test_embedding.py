import numpy as np
import pytest

from ganfp_jax.metrics.embedding import tsne
from ganfp_jax.run.errors import UserError


@pytest.fixture
def two_clusters():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2, 60)).astype(np.float32)
    return np.concatenate([centre + 0.1 * rng.normal(size=(40, 60)).astype(np.float32) for centre in centres])


def test_embedding_keeps_far_clusters_apart(two_clusters):
    points = tsne(two_clusters, seed=0)
    assert points.shape == (80, 2)
    first, second = points[:40], points[40:]
    apart = np.linalg.norm(first.mean(0) - second.mean(0))
    assert apart > 2 * max(np.linalg.norm(part - part.mean(0), axis=1).max() for part in (first, second))


def test_embedding_is_a_function_of_the_seed(two_clusters):
    points = tsne(two_clusters, seed=1)
    np.testing.assert_array_equal(points, tsne(two_clusters, seed=1))
    assert not np.array_equal(points, tsne(two_clusters, seed=2))


def test_embedding_does_not_count_the_length_of_a_fingerprint():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(30, 8)).astype(np.float32)
    np.testing.assert_array_equal(tsne(features, seed=0), tsne(4 * features, seed=0))


@pytest.mark.parametrize("number", [4, 7])
def test_few_vectors(number):
    features = np.random.default_rng(0).normal(size=(number, 5)).astype(np.float32)
    features[0] = 0
    assert np.isfinite(tsne(features, seed=0)).all()


@pytest.mark.parametrize("shape", [(3, 8), (20, 1)])
def test_embedding_of_too_little(shape):
    with pytest.raises(UserError, match="t-SNE needs at least 4 vectors of two values"):
        tsne(np.ones(shape, np.float32), seed=0)
