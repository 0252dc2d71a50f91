"""Views of an image: the eight turns and flips of the square, interpolating turns, shifts and crops.

The eight exact views are the dihedral group D4. Each is an optional transpose, then an optional reversal of
the rows, then an optional reversal of the columns, so all of them move pixels and none changes a value. Any
other whole number of degrees (`rot15`, `rot345`, `rot-15`) is a bilinear turn about the centre of the image,
whose border is continued by reflection. `rotD` turns counter-clockwise by D degrees, as `numpy.rot90` does.

`shift2_-1` moves the picture 2 pixels down and 1 to the left. `crop28` keeps the central 28x28 pixels,
`crop28_ul` those in the upper left corner (`ur`, `ll`, `lr`: the others), and `crop-4`, for any size of the
image, all but 4 rows and columns. Both copy whole pixels and fill the rest by reflection, never by resizing:
a generator's traces are bound to the pixel grid, and resampling would smooth them away. A crop keeps its place in
the frame; a shift moves the picture.

Turned views only help a classifier that was trained on turned images (`random_view`), so the views of the vote must
match the augmentation of the training.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, PRNGKeyArray, Shaped

from ganfp_jax.run.errors import UserError

Images = Shaped[Array | np.ndarray, "n h w c"]

# view -> (transpose, reverse the rows, reverse the columns), applied from left to right
_D4 = {
    "identity": (False, False, False),
    "rot90": (True, True, False),
    "rot180": (False, True, True),
    "rot270": (True, False, True),
    "mirror": (False, False, True),
    "vertical_flip": (False, True, False),
    "transpose": (True, False, False),
    "anti_transpose": (True, True, True),
}
_QUARTER_TURNS = {0: "identity", 90: "rot90", 180: "rot180", 270: "rot270"}

EXACT_VIEWS: tuple[str, ...] = tuple(_D4)
VIEW_SETS: dict[str, tuple[str, ...]] = {
    "identity": ("identity",),
    "mirror": ("identity", "mirror"),
    "seed": ("identity", "rot90", "rot270", "vertical_flip"),
    "d4": EXACT_VIEWS,
    "flips": ("identity", "mirror", "vertical_flip", "rot180"),
    "rotations": ("identity", "rot90", "rot180", "rot270"),
    "turns5": ("identity", "rot5", "rot355"),
    "turns15": ("identity", "rot15", "rot345"),
    "turns45": ("identity", "rot45", "rot315"),
    "shifts": ("identity", "shift1_0", "shift-1_0", "shift0_1", "shift0_-1"),
    "crops": ("identity", "crop-4", "crop-4_ul", "crop-4_ur", "crop-4_ll", "crop-4_lr"),
}
AUGMENTATIONS: tuple[str, ...] = ("none", "mirror", "d4")


def resolve_views(views: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the canonical names of a user's views, in the order given.

    Args:
        views: the name of a set (`VIEW_SETS`), or one view, or several separated by commas, or a sequence of
            view names. A string is looked up among the sets first, so `"mirror"` is (identity, mirror) and
            `["mirror"]` is the mirrored view alone.

    Returns:
        View names without repetition. Turns are reduced to 0..359 degrees (`rot-15` becomes `rot345`, `rot450`
        becomes `rot90`), and `shift0_0` becomes `identity`. Only the size of an image shows whether a crop or a
        shift fits, and that `crop28` and `crop-4` are the same on 32x32.

    Raises:
        UserError: there is no view, an unknown view, or the same view twice.
    """
    if isinstance(views, str):
        if views.strip() in VIEW_SETS:
            return VIEW_SETS[views.strip()]
        names = [name.strip() for name in views.split(",")]
    else:
        names = [str(name) for name in views]
    if not names or names == [""]:
        raise UserError(f"no views given: choose {_choices()}")
    resolved: list[str] = []
    for name in names:
        view = _canonical(name)
        if view in resolved:
            also = "" if view == name else f" ({name!r} is {view!r})"
            raise UserError(f"the view {view!r} is given twice{also}: leave one out, each view has one vote")
        resolved.append(view)
    return tuple(resolved)


def views_of_training(augment: str) -> str:
    """Returns the set of views that a network has seen in training with one of `AUGMENTATIONS`."""
    return "identity" if augment == "none" else augment


def single_view(views: Sequence[str]) -> int:
    """The place of the view that stands for the image where only one does: identity, or else the first."""
    return views.index("identity") if "identity" in views else 0


def check_size(views: Sequence[str], side: int) -> None:
    """Raises UserError unless all `views` can be made of images of `side` x `side` pixels; nothing is computed."""
    for view in views:
        _check_size(view, side)


@functools.cache  # every vote asks, and tracing a view takes longer than it does to vote on a few images
def _check_size(view: str, side: int) -> None:
    jax.eval_shape(functools.partial(apply_view, view=view), jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8))


def apply_view(images: Shaped[Array | np.ndarray, "n h w c"], view: str) -> Shaped[Array, "n h w c"]:
    """Returns the `view` of every image.

    Args:
        images: `(N, H, W, C)`, any dtype and range.
        view: one of `EXACT_VIEWS`, `rotD`, a shift or a crop (see the module). Static under `jax.jit`.

    Returns:
        Images of the same shape. Interpolating turns return unrounded floats (see `rotate`), all other views
        keep dtype and values.

    Raises:
        UserError: the view is unknown, a shift leaves nothing of the image, or a crop is not smaller than it.
        ValueError: the view exchanges rows and columns, and the images are not square.
    """
    view = _canonical(view)
    if view in _D4:
        return _move(images, view)
    family_match = _in_family(view)
    assert family_match  # a canonical name is an exact view or in a family
    family, match = family_match
    return family.apply(images, match)


def _move(images: Shaped[Array | np.ndarray, "n h w c"], view: str) -> Shaped[Array, "n h w c"]:
    transpose, reverse_rows, reverse_columns = _D4[view]
    images = jnp.asarray(images)
    if transpose:
        _require_square(images.shape[1:3], f"the view {view!r}")
        images = images.swapaxes(1, 2)
    if reverse_rows:
        images = images[:, ::-1]
    if reverse_columns:
        images = images[:, :, ::-1]
    return images


def pixels_of(view: str, side: int) -> tuple[Int32[np.ndarray, "t p"], Float32[np.ndarray, "t p"]]:
    """Returns a view as sums of pixels, for programs that make it elsewhere.

    Args:
        view: as for `apply_view`.
        side: of square images, in pixels.

    Returns:
        For each of the P = side**2 pixels of the view, in rows, the places of the T pixels of the image that it is made
        of, and what each counts: one pixel that counts 1, or four in a turn that interpolates.

    Raises:
        UserError: as `apply_view`.
    """
    places = np.arange(side * side, dtype=np.int32).reshape(1, side, side, 1)
    moved = apply_view(places, view)
    if moved.dtype == places.dtype:
        return np.asarray(moved).reshape(1, -1), np.ones((1, side * side), np.float32)
    corners = _bilinear_corners(side, side, int(_canonical(view).removeprefix("rot")))
    index, weight = zip(*corners, strict=True)
    return np.stack(index), np.stack(weight)


def rotate(images: Shaped[Array | np.ndarray, "n h w c"], degrees: int) -> Float[Array, "n h w c"]:
    """Turns images counter-clockwise about their centre, keeping their size: bilinear, reflected border.

    The border pixel itself is not repeated (`d c b | a b c d | c b a`). On square images, multiples of 90
    degrees give exactly the pixels of the exact views.

    Args:
        images: `(N, H, W, C)`. Integers are converted to float32, floating types are kept.
        degrees: whole number of degrees, any sign. Static under `jax.jit`.

    Returns:
        Floats of the same shape, within the range of the input; never rounded back to integers.
    """
    images = jnp.asarray(images)
    n, height, width, channels = images.shape
    dtype = images.dtype if jnp.issubdtype(images.dtype, jnp.floating) else jnp.dtype(jnp.float32)
    pixels = images.reshape(n, height * width, channels)
    turned = jnp.zeros(pixels.shape, jnp.float32)
    for index, weight in _bilinear_corners(height, width, degrees % 360):
        corner = pixels.at[:, index].get(mode="promise_in_bounds")
        turned += corner.astype(jnp.float32) * weight[None, :, None]
    return turned.reshape(images.shape).astype(dtype)


def random_view(images: Shaped[Array, "n h w c"], key: PRNGKeyArray, augment: str = "d4") -> Shaped[Array, "n h w c"]:
    """Draws an exact view of every image, independently and uniformly, as training augmentation.

    Args:
        images: `(N, H, W, C)`, any dtype; values are moved, never changed.
        key: random key, used up here.
        augment: `"none"`, `"mirror"` (identity or mirror) or `"d4"` (each of the eight views with probability
            1/8: three fair coins decide on transpose, vertical flip and mirror). Static under `jax.jit`.

    Raises:
        UserError: `augment` is unknown.
        ValueError: `augment` is `"d4"`, and the images are not square.
    """
    if augment not in AUGMENTATIONS:
        raise UserError(f"unknown augmentation {augment!r}: choose one of {', '.join(AUGMENTATIONS)}")
    if augment == "none":
        return images
    coins = jax.random.bernoulli(key, shape=(3, len(images), 1, 1, 1))
    if augment == "d4":
        _require_square(images.shape[1:3], "the augmentation 'd4'")
        images = jnp.where(coins[0], images.swapaxes(1, 2), images)
        images = jnp.where(coins[1], images[:, ::-1], images)
    return jnp.where(coins[2], images[:, :, ::-1], images)


def _canonical(view: str) -> str:
    """Returns the canonical name of a view; UserError if there is no such view."""
    if view in _D4:
        return view
    if found := _in_family(view):
        family, match = found
        return family.canonical(match)
    hint = f"{view!r} is a set of views, give it alone; " if view in VIEW_SETS else ""
    raise UserError(f"unknown view {view!r}: {hint}choose {_choices()}")


def _in_family(view: str) -> "tuple[Family, re.Match[str]] | None":
    for family in FAMILIES.values():
        if match := family.pattern.fullmatch(view):
            return family, match
    return None


def _choices() -> str:
    examples = ", ".join(family.example for family in FAMILIES.values())
    return f"a set ({', '.join(VIEW_SETS)}) or views among {', '.join(EXACT_VIEWS)}, {examples}"


def _one_turn(turn: re.Match[str]) -> str:
    degrees = int(turn[1]) % 360
    return _QUARTER_TURNS.get(degrees, f"rot{degrees}")


def _turn(images: Images, turn: re.Match[str]) -> Shaped[Array, "n h w c"]:
    return rotate(images, int(turn[1]))


def _one_shift(shift: re.Match[str]) -> str:
    down, right = int(shift[1]), int(shift[2])
    return f"shift{down}_{right}" if down or right else "identity"


def _shift(images: Images, shift: re.Match[str]) -> Shaped[Array, "n h w c"]:
    height, width = images.shape[1:3]
    down, right = int(shift[1]), int(shift[2])
    if abs(down) >= height or abs(right) >= width:
        raise UserError(
            f"the view {shift[0]!r} moves the whole of a {height}x{width} image out of sight: shift it less"
        )
    return _copy(images, _reflect(np.arange(height) - down, height), _reflect(np.arange(width) - right, width))


def _crop(images: Images, crop: re.Match[str]) -> Shaped[Array, "n h w c"]:
    height, width = images.shape[1:3]
    sides = [int(crop[1]) + (size if int(crop[1]) < 0 else 0) for size in (height, width)]
    if not (0 < sides[0] < height and 0 < sides[1] < width):
        raise UserError(
            f"the view {crop[0]!r} of {height}x{width} images would be {sides[0]}x{sides[1]}: a crop must be smaller "
            "than the image and hold a pixel"
        )
    corner = crop[2] or ""
    top = {"u": 0, "l": height - sides[0]}.get(corner[:1], (height - sides[0]) // 2)
    left = {"l": 0, "r": width - sides[1]}.get(corner[1:], (width - sides[1]) // 2)
    rows, columns = _reflect(np.arange(height) - top, sides[0]), _reflect(np.arange(width) - left, sides[1])
    return _copy(images, top + rows, left + columns)


def _copy(images: Images, rows: np.ndarray, columns: np.ndarray) -> Shaped[Array, "n h w c"]:
    """Returns images made of the given rows and columns."""
    pixels = jnp.asarray(images).at[:, rows].get(mode="promise_in_bounds")
    return pixels.at[:, :, columns].get(mode="promise_in_bounds")


class Family(NamedTuple):
    """A family of views with numbers in their names.

    `canonical` maps a match of `pattern` to the canonical name. `apply` makes the view; its arguments are the images
    and the match of that name. An error shows `example`.
    """

    pattern: re.Pattern[str]
    canonical: Callable[[re.Match[str]], str]
    apply: Callable[[Images, re.Match[str]], Shaped[Array, "n h w c"]]
    example: str


FAMILIES: dict[str, Family] = {
    "rot": Family(re.compile(r"rot([+-]?[0-9]{1,6})"), _one_turn, _turn, "rotD for D whole degrees (rot15)"),
    "shift": Family(
        re.compile(r"shift([+-]?[0-9]{1,4})_([+-]?[0-9]{1,4})"),
        _one_shift,
        _shift,
        "shiftR_C for R pixels down and C to the right (shift-1_3)",
    ),
    "crop": Family(
        re.compile(r"crop(-?[1-9][0-9]{0,3})(?:_(ul|ur|ll|lr))?"),
        lambda crop: crop[0],
        _crop,
        "cropS for the central SxS pixels (crop28), crop-S for S rows and columns fewer, either with _ul, _ur, _ll or "
        "_lr for a corner (crop28_ul)",
    ),
}
"""The families by the first part of a view's name."""


def _require_square(sides: tuple[int, ...], what: str) -> None:
    height, width = sides
    if height != width:
        raise ValueError(f"{what} exchanges rows and columns: it needs square images, not {height}x{width}")


@functools.lru_cache(maxsize=64)
def _bilinear_corners(height: int, width: int, degrees: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Returns the four neighbours of every source point: flat pixel indices and weights, int32 and float32 `(H*W,)`.

    NumPy computes them in double precision while the caller is traced; the compiled function holds them as
    constants.
    """
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None, :] - (width - 1) / 2
    # rounded, so that quarter turns hit the pixels exactly instead of missing them by 1e-15
    source_y = np.round(cosine * y + sine * x + (height - 1) / 2, 9).ravel()
    source_x = np.round(cosine * x - sine * y + (width - 1) / 2, 9).ravel()
    top, left = np.floor(source_y).astype(int), np.floor(source_x).astype(int)
    down, right = source_y - top, source_x - left
    corners = []
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            index = _reflect(row, height) * width + _reflect(column, width)
            corners.append((index.astype(np.int32), (row_weight * column_weight).astype(np.float32)))
    return tuple(corners)


def _reflect(index: np.ndarray, size: int) -> np.ndarray:
    """Maps indices of an endless line, mirrored at its end pixels, into its `size` pixels."""
    if size == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * (size - 1))
    return np.minimum(index, 2 * (size - 1) - index)
