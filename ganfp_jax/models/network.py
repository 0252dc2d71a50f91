"""The base class of all networks and the checks of their settings; each network checks its own limits."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from flax import linen as nn

from ganfp_jax.run.errors import UserError

Count = Annotated[int, "1 or more"]
"""The type of a setting that counts things."""


class Network(nn.Module):
    """A network of the registry `ganfp_jax.models.MODELS`.

    Its settings are its fields. A `Count` takes numbers from 1, and a `Literal` the values that it lists; `check`
    refuses what else makes no network.

    Attributes:
        smallest: the smallest side of the images; every side is a power of two.
        resolution: side of the images.
    """

    smallest: ClassVar[int] = 1
    resolution: int

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` where settings that are possible one by one make no network together."""

    @nn.nowrap
    def normalizes_by_batch(self) -> bool:
        """Whether the trained network still normalises by the batch, so that images depend on their neighbours."""
        return False


def check_settings(kind: type[Network], types: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raises `UserError` for a resolution or another setting that is impossible by itself.

    Args:
        kind: class of the network.
        types: name of each field -> its type.
        settings: name of some fields -> their values.
    """
    resolution = settings["resolution"]
    if not isinstance(resolution, int) or resolution < kind.smallest or resolution & (resolution - 1):
        raise UserError(f"resolution {resolution} is not a power of two of at least {kind.smallest}")
    for key, value in settings.items():
        if Count in (types[key], *get_args(types[key])) and value is not None and value < 1:
            raise UserError(f"{key} is {value}; give 1 or more")
    for key, value in settings.items():
        if get_origin(types[key]) is Literal and value not in (choices := get_args(types[key])):
            raise UserError(f"{key} {value!r} is unknown; choose one of {', '.join(choices)}")


def check_bottom_width(width: int, resolution: int, *, doublings: int) -> None:
    """Raises `UserError` unless at least `doublings` doublings lead from `width` to `resolution`."""
    sides = [resolution >> k for k in range(doublings, resolution.bit_length())]
    if width not in sides:
        raise UserError(f"bottom_width {width} is none of {sides}")
