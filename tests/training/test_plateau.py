"""Every branch of the three-sample learning-rate rule, and the resuming of its state."""

import jax
import numpy as np
import pytest

from ganfp_jax.metrics.distances import three_sample_test
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import plateau
from ganfp_jax.training.plateau import init_plateau, make_plateau_rule

SIZE, N = 4, 64
RATE = 1e-4


def codes(distance, seed=0):
    """Codes whose mean lies `distance` away from that of the real ones."""
    return (np.random.RandomState(seed).randn(N, SIZE) + distance).astype(np.float32)


REAL = codes(0.0, seed=100)
SETTINGS = {"learning_rate": RATE, "memory": 4, "num_codes": N, "keep": 2}


def filled(distances):
    update = make_plateau_rule(REAL, **SETTINGS)
    state = init_plateau(SIZE, memory=4, num_codes=N)
    for i, distance in enumerate(distances):
        state = update(state, codes(distance, seed=i))
    return update, state


def test_published_values():
    import inspect

    defaults = {name: p.default for name, p in inspect.signature(make_plateau_rule).parameters.items()}
    published = {
        "memory": 10, "num_codes": 2048, "p_value": 0.1, "strikes": 3, "factor": 0.5, "floor": 1e-6, "keep": 3,
    }  # fmt: skip
    assert {name: defaults[name] for name in published} == published
    assert init_plateau(16).codes.shape == (10, 2048, 16)


def test_plateau_rule_appends_the_first_sets_without_a_test(monkeypatch):
    monkeypatch.setattr(plateau, "three_sample_test", lambda *sets: pytest.fail("tested too early"))
    _, state = filled([1.0, 2.0, 3.0])  # getting worse: nobody asks yet
    assert (state.filled, state.strikes, state.scale) == (3, 0, 1)
    for i in range(3):
        np.testing.assert_array_equal(state.codes[i], codes(1.0 + i, seed=i))
    assert not state.codes[3].any()


def test_plateau_rule_forgets_the_oldest_and_clears_the_strikes_on_progress():
    update, state = filled([2.0, 1.9, 1.8, 1.7])
    state = state.replace(strikes=np.int32(2))
    new = codes(0.5, seed=9)
    assert three_sample_test(REAL, new, state.codes[0]) <= 0.1
    after = update(state, new)
    assert (after.filled, after.strikes, after.scale) == (4, 0, 1)
    np.testing.assert_array_equal(after.codes, [*state.codes[1:], new])


def test_the_test_is_against_the_oldest():
    update, state = filled([0.2, 2.0, 2.0, 2.0])
    after = update(state, codes(1.0, seed=9))  # better than the newest, worse than the oldest
    assert after.strikes == 1


def test_plateau_rule_counts_a_failure_as_a_strike_and_leaves_memory_alone():
    update, state = filled([0.5] * 4)
    new = codes(0.8, seed=9)
    assert three_sample_test(REAL, new, state.codes[0]) > 0.1
    for strikes in (1, 2):
        after = update(state, new)
        assert (after.filled, after.strikes, after.scale) == (4, strikes, 1)
        np.testing.assert_array_equal(after.codes, state.codes)
        state = after


def test_plateau_rule_cuts_at_the_third_strike_and_keeps_the_newest():
    update, state = filled([0.5] * 4)
    for i in range(3):
        before, state = state, update(state, codes(0.8, seed=10 + i))
    assert (state.filled, state.strikes, state.scale) == (2, 0, 0.5)
    np.testing.assert_array_equal(state.codes[:2], [before.codes[3], codes(0.8, seed=12)])
    assert not state.codes[2:].any()
    state = update(state, codes(3.0))  # memory has room again: appended, not tested
    assert (state.filled, state.strikes) == (3, 0)


def test_plateau_rule_starts_its_count_again_after_a_success():
    update, state = filled([2.0] * 4)
    bad, good = codes(2.5, seed=9), codes(0.1, seed=10)
    for new, strikes in ((bad, 1), (bad, 2), (good, 0), (bad, 1)):
        state = update(state, new)
        assert (state.strikes, state.scale) == (strikes, 1)


def test_the_rate_stops_at_the_floor():
    update, state = filled([0.5] * 4)
    scales = []
    for _ in range(8):
        state = state.replace(strikes=np.int32(2), filled=np.int32(4), codes=np.stack([codes(0.5)] * 4))
        state = update(state, codes(0.8, seed=9))
        scales.append(float(state.scale) * RATE)
    assert scales == pytest.approx([max(RATE * 0.5**k, 1e-6) for k in range(1, 9)], rel=1e-6)


def test_only_the_first_codes_count():
    state = init_plateau(SIZE, memory=4, num_codes=N)
    rule = make_plateau_rule(np.concatenate([REAL, REAL + 9]), **SETTINGS)
    after = rule(state, np.concatenate([codes(0.5), codes(9.0)]))
    np.testing.assert_array_equal(after.codes[0], codes(0.5))
    with pytest.raises(UserError, match="10 codes, 64 are tested"):
        rule(state, REAL[:10])
    with pytest.raises(UserError, match="10 codes, 64 are tested"):
        make_plateau_rule(REAL[:10], **SETTINGS)


def test_a_state_from_a_checkpoint_goes_on():
    """Arrays of JAX, as restored, give what NumPy's give; shapes and dtypes never change."""
    update, state = filled([2.0, 1.9, 1.8, 1.7])
    restored = jax.tree.map(jax.numpy.asarray, state)
    for new in (codes(0.5, seed=9), codes(3.0, seed=10)):
        a, b = update(state, new), update(restored, new)
        jax.tree.map(np.testing.assert_array_equal, a, b)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), a) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


@pytest.mark.parametrize("bad", [{"keep": 5}, {"strikes": 0}, {"factor": 1.0}, {"floor": 1.0}, {"keep": 0}])
def test_settings_that_make_no_rule(bad):
    with pytest.raises(UserError, match="plateau rule with"):
        make_plateau_rule(REAL, **(SETTINGS | bad))
