"""MMD GAN's learning-rate rule: halve the rate when the samples stop getting closer to the real images.

Binkowski et al. 2018, arXiv 1801.01401: from time to time the codes (features) of new samples are compared with those
of the oldest remembered samples by the three-sample test. As long as the new ones are clearly closer to the real codes
they are remembered and the oldest forgotten; the third failure in a row cuts the rate.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, PyTree

from ganfp_jax.metrics.distances import three_sample_test
from ganfp_jax.run.errors import UserError

NUM_CODES = 2048  # codes of each set that the published test takes
MEMORY = 10


class PlateauState(struct.PyTreeNode):
    """What the rule remembers, in arrays that a checkpoint can hold.

    Attributes:
        codes: (memory, n_codes, d) float32; the first `filled` are in use, oldest first.
        filled: int32 scalar.
        strikes: int32 scalar, failures since the last success or cut.
        scale: float32 scalar, the factor on the learning rate, at first 1.
    """

    codes: PyTree
    filled: PyTree
    strikes: PyTree
    scale: PyTree


def init_plateau(size: int, *, memory: int = MEMORY, num_codes: int = NUM_CODES) -> PlateauState:
    """Nothing remembered yet; `size` is the length of a code."""
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
    """update(state, new_codes) -> state, on the host; with the published sizes about 2 s on two CPU cores.

    Until `memory` sets are remembered, new ones are only appended. From then on they are tested against the oldest:
    p <= `p_value` forgets it, appends the new set and clears the strikes; otherwise memory stays and a strike is
    counted. The last strike multiplies `scale` by `factor`, keeps the newest `keep` sets, the new one among them, and
    clears the strikes.

    Args:
        real_codes: codes of real images; the first `num_codes` are used, as they are of every new set.
        learning_rate: the rate that `scale` is a factor on.
        memory: sets remembered before testing begins.
        num_codes: codes of each set that are tested.
        p_value: largest p of the test that counts as progress.
        strikes: failures in a row until the rate is cut.
        factor: of the rate at each cut.
        floor: the rate never falls below it by a cut.
        keep: sets that outlive a cut.

    Raises:
        UserError: fewer than `num_codes` codes (also by the update), or settings that make no rule.
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
    """The sets, oldest first, and zeros in the places that are free."""
    codes = np.zeros(state.codes.shape, np.float32)
    codes[: len(sets)] = sets
    return codes
