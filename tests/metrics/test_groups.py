import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfp_jax.metrics.groups import halves


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_halves_hold_whole_groups(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    sides = halves(len(groups), groups=groups, seed=seed)
    assert set(sides) <= {0, 1}
    assert all(len(set(sides[groups == g])) == 1 for g in groups)
    assert abs(np.sum(sides == 0) - np.sum(sides == 1)) <= max(sizes)
    alone = halves(len(groups), seed=seed)
    assert abs(np.sum(alone == 0) - np.sum(alone == 1)) <= 1
