"""MMD GAN's learning-rate rule: halve the rate when the samples stop getting closer to the real images.

Binkowski et al. 2018, arXiv 1801.01401: from time to time the three-sample test compares the codes (features) of new
samples with those of the oldest remembered samples. As long as the new codes are clearly closer to the real ones, they
replace the oldest; the third failure in a row cuts the rate.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, PyTree

from ganfp_jax.metrics.distances import three_sample_test
from ganfp_jax.run.errors import UserError

NUM_CODES = 2048  # codes of each set in the published test
MEMORY = 10


class PlateauState(struct.PyTreeNode):
    """The memory of the rule, in arrays that a checkpoint can hold.

    Attributes:
        codes: float32 (memory, n_codes, d); the first `filled` sets are in use, oldest first.
        filled: int32 scalar, number of sets in use.
        strikes: int32 scalar, failures since the last success or cut.
        scale: float32 scalar, factor on the learning rate; it starts at 1.
    """

    codes: PyTree
    filled: PyTree
    strikes: PyTree
    scale: PyTree


def init_plateau(size: int, *, memory: int = MEMORY, num_codes: int = NUM_CODES) -> PlateauState:
    """The empty memory for codes of length `size`."""
    codes = jnp.zeros((memory, num_codes, size))
    return PlateauState(codes, jnp.int32(0), jnp.int32(0), jnp.float32(1))


def make_plateau_rule(
    real_codes: Float[np.ndarray, "N d"],
    *,
    learning_rate: float,
    memory: int = MEMORY,
    num_codes: int = NUM_CODES,
    p_value: float = 0.1,
    strikes: int = 3,
    factor: float = 0.5,
    floor: float = 1e-6,
    keep: int = 3,
) -> Callable[[PlateauState, Float[np.ndarray, "n d"]], PlateauState]:
    """update(state, new_codes) -> state, on the host.

    Until `memory` sets are remembered, new ones are only appended. From then on each is tested against the oldest. A
    p <= `p_value` forgets the oldest, appends the new set and clears the strikes. Otherwise the memory stays and a
    strike is counted. The last strike multiplies `scale` by `factor`, keeps the newest `keep` sets, the new one among
    them, and clears the strikes.

    Args:
        real_codes: codes of real images; the rule uses the first `num_codes` of these and of every new set.
        learning_rate: rate on which `scale` is a factor.
        memory: sets remembered before testing begins.
        num_codes: codes of each set in the test.
        p_value: largest p of the test that counts as progress.
        strikes: failures in a row until the rate is cut.
        factor: factor on the rate at each cut.
        floor: lower bound of the rate after a cut.
        keep: sets that outlive a cut.

    Raises:
        UserError: a set (also of the update) has fewer than `num_codes` codes, or the settings make no rule.
    """
    check_plateau(learning_rate=learning_rate, memory=memory, strikes=strikes, factor=factor, floor=floor, keep=keep)

    def first(codes: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m d"]:
        if len(codes) < num_codes:
            raise UserError(f"plateau rule: {len(codes)} codes, {num_codes} are tested; give more or lower num_codes")
        return np.asarray(codes[:num_codes], np.float32)

    real = first(real_codes)

    def update(state: PlateauState, new_codes: Float[np.ndarray, "n d"]) -> PlateauState:
        new, remembered = first(new_codes), np.asarray(state.codes[: int(state.filled)])
        if len(remembered) < memory:
            return state.replace(codes=_fill(state, [*remembered, new]), filled=np.int32(len(remembered) + 1))
        if three_sample_test(real, new, remembered[0]) <= p_value:
            return state.replace(codes=_fill(state, [*remembered[1:], new]), strikes=np.int32(0))
        if int(state.strikes) + 1 < strikes:
            return state.replace(strikes=np.int32(int(state.strikes) + 1))
        scale = max(float(state.scale) * factor, floor / learning_rate)
        kept = [*remembered, new][-keep:]
        return PlateauState(_fill(state, kept), np.int32(keep), np.int32(0), np.float32(scale))

    return update


def check_plateau(*, learning_rate: float, memory: int, strikes: int, factor: float, floor: float, keep: int) -> None:
    """Raise `UserError` for settings that make no rule; see `make_plateau_rule`."""
    if not (1 <= keep <= memory and strikes >= 1 and 0 < factor < 1 and 0 < floor <= learning_rate):
        raise UserError(
            f"plateau rule with keep {keep}, memory {memory}, strikes {strikes}, factor {factor}, floor {floor}, "
            f"learning rate {learning_rate}: needs 1 <= keep <= memory, a strike, a factor in (0, 1) and "
            "0 < floor <= learning rate"
        )


def _fill(state: PlateauState, sets: list[np.ndarray]) -> np.ndarray:
    """The sets, oldest first, then zeros for the free places."""
    codes = np.zeros(state.codes.shape, np.float32)
    codes[: len(sets)] = sets
    return codes
