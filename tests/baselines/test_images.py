import numpy as np

from ganfp_jax.baselines.images import first_at_random


def test_first_at_random_draws_fewer_among_the_more_by_the_seed():
    labels = np.arange(60, dtype=np.int32) % 3
    few, many = (first_at_random(labels, count, seed=4) for count in (4, 11))
    assert set(few) < set(many)
    assert np.bincount(labels[many]).tolist() == [11, 11, 11]
    np.testing.assert_array_equal(few, first_at_random(labels, 4, seed=4))
    assert set(few) != set(first_at_random(labels, 4, seed=5))
