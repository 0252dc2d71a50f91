"""Views: exact pixel permutations that form the dihedral group, turns that interpolate, fair random views."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfp_jax.data.views import EXACT_VIEWS, VIEW_SETS, apply_view, pixels_of, random_view, resolve_views, rotate
from ganfp_jax.run.errors import UserError

NUMPY_VIEWS = {
    "identity": lambda x: x,
    "rot90": lambda x: np.rot90(x, 1, (1, 2)),
    "rot180": lambda x: np.rot90(x, 2, (1, 2)),
    "rot270": lambda x: np.rot90(x, 3, (1, 2)),
    "mirror": lambda x: np.flip(x, 2),
    "vertical_flip": lambda x: np.flip(x, 1),
    "transpose": lambda x: np.swapaxes(x, 1, 2),
    "anti_transpose": lambda x: np.flip(np.swapaxes(x, 1, 2), (1, 2)),
}


def numbered(size, n=1, channels=1, dtype=np.int32):
    """Images whose pixels all differ."""
    return np.arange(n * size * size * channels).reshape(n, size, size, channels).astype(dtype)


# --- exact views


@pytest.mark.parametrize("view", EXACT_VIEWS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, jnp.bfloat16, np.bool_])
def test_exact_views_are_the_numpy_ones_and_keep_the_dtype(view, dtype):
    images = numbered(5, n=3, channels=2).astype(dtype)
    seen = apply_view(images, view)
    assert seen.dtype == images.dtype
    np.testing.assert_array_equal(seen, NUMPY_VIEWS[view](images))


def test_exact_views_are_eight_distinct_ones():
    assert len(EXACT_VIEWS) == 8
    assert len({np.asarray(apply_view(numbered(3), view)).tobytes() for view in EXACT_VIEWS}) == 8


def test_exact_views_are_closed_under_composition():
    images = numbered(4)
    elements = {np.asarray(apply_view(images, view)).tobytes() for view in EXACT_VIEWS}
    for first, second in itertools.product(EXACT_VIEWS, repeat=2):
        assert np.asarray(apply_view(apply_view(images, first), second)).tobytes() in elements


@given(size=st.sampled_from([1, 2, 5]), seed=st.integers(0, 99), view=st.sampled_from(EXACT_VIEWS))
@settings(max_examples=40, deadline=None)
def test_exact_views_invert(size, seed, view):
    images = np.random.default_rng(seed).integers(0, 256, (2, size, size, 3), np.uint8)
    inverse = {"rot90": "rot270", "rot270": "rot90"}.get(view, view)  # every reflection is its own
    np.testing.assert_array_equal(apply_view(apply_view(images, view), inverse), images)


@pytest.mark.parametrize("view", ["rot90", "rot270", "transpose", "anti_transpose"])
def test_views_that_exchange_rows_and_columns_need_square_images(view):
    with pytest.raises(ValueError, match=f"{view}.*square images, not 4x6"):
        apply_view(np.zeros((1, 4, 6, 3), np.uint8), view)


@pytest.mark.parametrize("view", ["identity", "rot180", "mirror", "vertical_flip", "rot15"])
def test_other_views_take_any_rectangle(view):
    assert apply_view(np.zeros((1, 4, 6, 3), np.uint8), view).shape == (1, 4, 6, 3)


def test_apply_view_is_the_same_under_jit():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    for view in (*EXACT_VIEWS, "rot15", "shift-1_3", "crop5_ur"):
        jitted = jax.jit(apply_view, static_argnums=1)(images, view)
        np.testing.assert_allclose(jitted, apply_view(images, view), atol=1e-6)


# --- interpolating turns


@pytest.mark.parametrize("size", [1, 7, 8])
def test_quarter_turns_by_interpolation_are_the_exact_views(size):
    images = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    for degrees in range(-360, 721, 90):
        exact = apply_view(images, f"rot{degrees}")
        np.testing.assert_array_equal(exact, np.rot90(images, degrees // 90, (1, 2)))
        np.testing.assert_array_equal(rotate(images, degrees), exact)


@pytest.mark.parametrize(("degrees", "shape"), [(15, (9, 9)), (345, (8, 8)), (133, (5, 12)), (271, (2, 2))])
def test_rotate_agrees_with_scipy(degrees, shape):
    from scipy.ndimage import rotate as scipy_rotate

    images = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    expected = scipy_rotate(images, degrees, axes=(1, 2), reshape=False, order=1, mode="mirror")
    np.testing.assert_allclose(rotate(images, degrees), expected, atol=1e-5)


def test_rotate_is_counter_clockwise():
    images = np.zeros((1, 31, 31, 1), np.float32)
    images[0, 15, 25] = 1  # right of the centre; y points down
    row, column = np.unravel_index(np.argmax(rotate(images, 30)), (31, 31))
    assert (row, column) == (10, 24)


def test_rotate_keeps_floating_types_and_leaves_integers_unrounded():
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    turned = rotate(images, 15)
    assert turned.dtype == jnp.float32
    assert np.any(turned % 1 != 0)
    assert rotate(jnp.asarray(images, jnp.bfloat16), 15).dtype == jnp.bfloat16


@given(degrees=st.integers(-400, 400), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_rotate_stays_in_range_and_keeps_constants(degrees, seed):
    images = np.random.default_rng(seed).uniform(-1, 1, (1, 6, 6, 2)).astype(np.float32)
    turned = np.asarray(rotate(images, degrees))
    assert turned.min() >= images.min() - 1e-6
    assert turned.max() <= images.max() + 1e-6
    np.testing.assert_allclose(rotate(np.full((1, 6, 6, 2), 0.7, np.float32), degrees), 0.7, atol=1e-6)


def test_turning_there_and_back_is_nearly_the_smooth_image():
    grid = np.linspace(-1, 1, 32, dtype=np.float32)
    images = np.cos(2 * grid[:, None]) * np.sin(2 * grid)
    images = images[None, :, :, None]
    back = apply_view(apply_view(images, "rot15"), "rot-15")
    # the corners leave the picture and come back as reflections
    np.testing.assert_allclose(back[:, 6:-6, 6:-6], images[:, 6:-6, 6:-6], atol=0.01)


# --- shifts and crops


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16, np.bool_])
@pytest.mark.parametrize(("view", "down", "right"), [("shift2_0", 2, 0), ("shift-1_3", -1, 3), ("shift0_-4", 0, -4)])
def test_shifts_move_whole_pixels_and_reflect_the_border(view, down, right, dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(dtype)
    seen = apply_view(images, view)
    assert seen.dtype == images.dtype
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(seen, padded[:, 4 - down : 9 - down, 4 - right : 11 - right])


@given(down=st.integers(-4, 4), right=st.integers(-4, 4))
@settings(max_examples=40)
def test_a_shift_and_its_opposite_restore_the_inner_part(down, right):
    images = numbered(9)
    back = apply_view(apply_view(images, f"shift{down}_{right}"), f"shift{-down}_{-right}")
    # What went over one border is lost there; the rest, beyond the other border too, is as it was.
    rows = slice(max(0, -down), 9 - max(0, down))
    columns = slice(max(0, -right), 9 - max(0, right))
    np.testing.assert_array_equal(back[:, rows, columns], images[:, rows, columns])


@pytest.mark.parametrize(
    ("view", "before", "after"),  # rows and columns that are filled, above and left, below and right
    [
        ("crop4", (2, 2), (2, 2)),
        ("crop5", (1, 1), (2, 2)),
        ("crop-2", (1, 1), (1, 1)),
        ("crop6_ul", (0, 0), (2, 2)),
        ("crop6_ur", (0, 2), (2, 0)),
        ("crop6_ll", (2, 0), (0, 2)),
        ("crop-2_lr", (2, 2), (0, 0)),
        ("crop1", (3, 3), (4, 4)),
    ],
)
def test_crops_keep_their_pixels_in_place_and_reflect_the_rest(view, before, after):
    images = numbered(8, n=2, dtype=np.uint8)
    (top, left), (below, right) = before, after
    inner = images[:, top : 8 - below, left : 8 - right]
    seen = apply_view(images, view)
    assert seen.dtype == np.uint8
    mode = "edge" if view == "crop1" else "reflect"  # of one pixel there is nothing to reflect
    np.testing.assert_array_equal(seen, np.pad(inner, ((0, 0), (top, below), (left, right), (0, 0)), mode=mode))


def test_crops_and_shifts_must_fit_the_image():
    images = np.zeros((1, 8, 6, 3), np.uint8)
    assert apply_view(images, "crop5").shape == images.shape
    for view in ("crop6", "crop8", "crop-6", "crop40_ul"):
        with pytest.raises(UserError, match=f"'{view}' of 8x6 images would be .*smaller than the image"):
            apply_view(images, view)
    assert apply_view(images, "shift7_-5").shape == images.shape
    for view in ("shift8_0", "shift0_-6"):
        with pytest.raises(UserError, match=f"'{view}' moves the whole of a 8x6 image out of sight"):
            apply_view(images, view)


@pytest.mark.parametrize("name", VIEW_SETS)
def test_every_set_holds_identity_and_makes_views_that_differ(name):
    views = VIEW_SETS[name]
    assert "identity" in views
    seen = {np.asarray(apply_view(numbered(16, dtype=np.float32), view)).tobytes() for view in views}
    assert len(seen) == len(views)


# --- names


def test_resolve_views_knows_sets_views_and_lists():
    assert resolve_views("d4") == EXACT_VIEWS
    assert resolve_views("seed") == ("identity", "rot90", "rot270", "vertical_flip")
    assert resolve_views("mirror") == ("identity", "mirror")
    assert resolve_views(["mirror"]) == ("mirror",)
    assert resolve_views("rot180") == ("rot180",)
    assert resolve_views("identity, rot15,rot345") == ("identity", "rot15", "rot345")
    assert resolve_views(("rot-15", "rot375", "rot-270")) == ("rot345", "rot15", "rot90")
    assert resolve_views(["rot0"]) == resolve_views(["rot720"]) == resolve_views(["shift0_-0"]) == ("identity",)
    assert resolve_views("shift+2_-01,crop28, crop-4_lr") == ("shift2_-1", "crop28", "crop-4_lr")


@pytest.mark.parametrize("name", [*VIEW_SETS, *EXACT_VIEWS, "rot15", "shift-1_3", "crop28_ul"])
def test_resolve_views_leaves_resolved_views_alone(name):
    assert resolve_views(resolve_views(name)) == resolve_views(name)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ("", "no views given"),
        ([], "no views given"),
        ("upside_down", "unknown view 'upside_down'"),
        ("rot15.5", "unknown view 'rot15.5'"),
        ("rot", "unknown view 'rot'"),
        ("shift2", "unknown view 'shift2'"),
        ("shift2,1", "unknown view 'shift2'"),
        ("crop", "unknown view 'crop'"),
        ("crop0", "unknown view 'crop0'"),
        ("crop28_up", "unknown view 'crop28_up'"),
        ("shift1_0,shift+1_0", r"'shift1_0' is given twice \('shift\+1_0' is 'shift1_0'\)"),
        ("identity,", "unknown view ''"),
        (["d4", "rot15"], "'d4' is a set of views, give it alone"),
        ("identity,identity", "'identity' is given twice"),
        ("rot345,rot-15", r"'rot345' is given twice \('rot-15' is 'rot345'\)"),
    ],
)
def test_resolve_views_says_what_is_wrong(views, message):
    with pytest.raises(UserError, match=message) as error:
        resolve_views(views)
    assert "\n" not in str(error.value)
    if "twice" not in message:
        assert all(name in str(error.value) for name in (*VIEW_SETS, *EXACT_VIEWS))


# --- random views


@pytest.mark.parametrize(
    ("augment", "elements"),
    [("none", ("identity",)), ("mirror", ("identity", "mirror")), ("d4", EXACT_VIEWS)],
)
def test_random_view_draws_every_element_uniformly(augment, elements):
    n = 8000
    images = np.broadcast_to(numbered(3, dtype=np.uint8), (n, 3, 3, 1))
    seen = jax.jit(random_view, static_argnums=2)(jnp.asarray(images), jax.random.key(0), augment)
    assert seen.dtype == jnp.uint8
    drawn, counts = np.unique(np.asarray(seen).reshape(n, -1), axis=0, return_counts=True)
    expected = {np.asarray(apply_view(images[:1], view)).tobytes() for view in elements}
    assert {row.tobytes() for row in drawn} == expected
    share = 1 / len(elements)
    assert np.all(np.abs(counts - n * share) <= 4 * np.sqrt(n * share * (1 - share)))


def test_random_view_is_a_function_of_the_key():
    images = jnp.asarray(numbered(4, n=16))
    key = jax.random.key(1)
    np.testing.assert_array_equal(random_view(images, key, "d4"), random_view(images, key, "d4"))
    other = random_view(images, jax.random.key(2), "d4")
    assert not np.array_equal(random_view(images, key, "d4"), other)


def test_random_view_says_what_is_wrong():
    images = jnp.zeros((1, 4, 6, 3))
    with pytest.raises(UserError, match="unknown augmentation 'flip': choose one of none, mirror, d4"):
        random_view(images, jax.random.key(0), "flip")
    with pytest.raises(ValueError, match="square images, not 4x6"):
        random_view(images, jax.random.key(0), "d4")
    assert random_view(images, jax.random.key(0), "mirror").shape == images.shape


@pytest.mark.parametrize("view", [*EXACT_VIEWS, "rot15", "rot-90", "shift2_-1", "crop5", "crop-3_ul"])
def test_a_view_is_the_sum_of_the_pixels_that_it_is_said_to_be(view):
    images = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    places, shares = pixels_of(view, 8)
    assert places.shape == shares.shape == (4 if view == "rot15" else 1, 64)
    made = (images.reshape(2, 64, 3)[:, places] * shares[..., None]).sum(1).reshape(images.shape)
    np.testing.assert_allclose(made, apply_view(images, view), rtol=0, atol=1e-6)
