"""Perturbations act on each image by itself, reproducibly, with the strength that their name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganfp_jax.data.perturb import (
    FILTERS,
    PERTURBATIONS,
    PUBLISHED,
    check_immunisation,
    check_perturbation,
    combine,
    family_of,
    immunise,
    in_words,
    perturb,
)
from ganfp_jax.run.errors import UserError

NAMES = [
    *("none", "jpeg75", "jpeg1", "jpeg100", "noise15", "noise0.5", "blur0.7", "blur3", "kernel1", "kernel5"),
    *("crop5", "crop20", "relight0.5", "relight2", "median3", "sharpen120", *PUBLISHED.values(), "combination"),
]


def textures(count=4, size=32, seed=0):
    rng = np.random.RandomState(seed)
    smooth = rng.randint(60, 200, (count, size // 4, size // 4, 3))
    return np.clip(smooth.repeat(4, 1).repeat(4, 2) + rng.randint(-8, 8, (count, size, size, 3)), 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_image_depends_on_itself_the_seed_and_its_place(name):
    images = textures()
    before = images.copy()
    result = perturb(images, name, seed=5)
    assert result.shape == images.shape and result.dtype == np.uint8
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(perturb(images, name, seed=5), result)
    np.testing.assert_array_equal(perturb(images[:2], name, seed=5), result[:2])
    others = images.copy()
    others[0] = 0
    np.testing.assert_array_equal(perturb(others, name, seed=5)[1:], result[1:])
    assert perturb(images[:0], name).shape == (0, 32, 32, 3)


def test_strength():
    images = np.full((3, 64, 64, 3), 128, np.uint8)
    error = perturb(images, "noise15", seed=1).astype(float) - 128
    assert abs(error.std() - 15) < 0.3 and abs(error.mean()) < 0.3
    assert not (perturb(images, "noise15", seed=1) == perturb(images, "noise15", seed=2)).all()
    assert not (error[0] == error[1]).all()

    def change(name):
        return np.abs(perturb(textures(), name).astype(float) - textures()).mean()

    assert change("none") == 0
    assert 0 < change("jpeg95") < change("jpeg75") < change("jpeg10")
    assert 0 < change("blur0.4") < change("blur0.7") < change("blur2")
    assert change("kernel1") == 0 < change("kernel3") < change("kernel9")
    assert 0 < change("crop5") < change("crop40")
    assert 0 < change("relight0.2") < change("relight1")
    assert change("median1") == 0 < change("median3") < change("median9")
    assert 0 < change("sharpen20") < change("sharpen200")


def test_blur_is_the_gaussian_and_keeps_constants():
    impulse = np.zeros((1, 33, 33, 3), np.uint8)
    impulse[0, 16, 16] = 255
    blurred = perturb(impulse, "blur1")[0, :, :, 0].astype(float)
    offsets = np.arange(-16, 17)
    kernel = np.exp(-(offsets**2) / 2)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    assert np.abs(blurred - 255 * kernel).max() <= 0.51
    assert (perturb(np.full((1, 16, 16, 3), 77, np.uint8), "blur0.7") == 77).all()


def test_median_takes_single_pixels_away_and_keeps_edges():
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[:, :, 8:] = 200
    edge = image.copy()
    image[0, 5, 3] = 255
    np.testing.assert_array_equal(perturb(image, "median3"), edge)


def test_sharpening_raises_the_contrast_of_edges_alone():
    image = np.full((6, 24, 24, 3), 60, np.uint8)
    image[:, :, 12:] = 120
    sharp = perturb(image, "sharpen100", seed=2).astype(int)
    assert (sharp[:, :, [0, -1]] == [[60], [120]]).all() and sharp.min() < 50 and sharp.max() > 130
    reach = {int((one[12, :, 0] != image[0, 12, :, 0]).sum()) for one in sharp}
    assert len(reach) > 1  # the radius is drawn


@pytest.mark.parametrize(
    "name",
    [
        *("", "jpeg", "jpeg0", "jpeg101", "jpeg7.5", "noise", "noise0", "blur0", "blurnan", "blur1e3", "zoom2"),
        *("kernel4", "kernel1.5", "median4", "sharpen0", "sharpen501", "crop91", "crop0", "relight5", "combination2"),
    ],
)
def test_unknown_names_list_the_choices(name):
    for call in (check_perturbation, lambda name: perturb(textures(1), name)):
        with pytest.raises(UserError, match=r"choose none, jpegQ .* noiseS .* blurS") as error:
            call(name)
        assert repr(name) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["noise-3", "jpeg50-", "jpeg50-101", "-", "noise5-noise20", "kernel3-8"])
def test_ranges_that_are_none(name):
    with pytest.raises(UserError, match=r"unknown perturbation .* a range of one of these such as jpeg50-95"):
        check_perturbation(name)
    with pytest.raises(UserError, match="'jpeg95-50' falls"):
        check_perturbation("jpeg95-50")


def test_known_names_pass_the_check():
    for name in NAMES:
        check_perturbation(name)
    families = dict.fromkeys(map(family_of, [*NAMES[:-1], "rescale2", "combination"]))
    assert list(families) == ["none", *PERTURBATIONS, "combination"]
    check_perturbation("rescale0.5-1.5+jpeg60-95+noise2")
    assert in_words("rescale0.75+jpeg75") == "rescaling by 0.75, then JPEG quality 75"
    with pytest.raises(UserError, match="unknown perturbation 'none'"):
        check_perturbation("jpeg75+none")


def test_the_order_of_the_draws_stays_as_it_is():
    """Trainings that were begun with these draws go on with them, and results can be repeated."""
    images = textures(30)
    drawn = immunise(images, np.random.default_rng(7), share=0.8, perturbations=("jpeg10-75", "noise5-20"))
    rng, expected = np.random.default_rng(7), images.copy()
    for place in np.flatnonzero(rng.random(30) < 0.8):
        if rng.integers(2) == 0:
            quality, _ = rng.integers(10, 76), rng.integers(2**32)
            expected[place] = perturb(images[[place]], f"jpeg{quality}")[0]
        else:
            deviation, seed = rng.uniform(5, 20), rng.integers(2**32)
            added = deviation * np.random.RandomState([seed, 0]).standard_normal(images[0].shape)
            expected[place] = np.rint(np.clip(images[place] + added, 0, 255))
    np.testing.assert_array_equal(drawn, expected)


def test_a_range_draws_every_strength_of_it():
    images = np.full((300, 16, 16, 3), 128, np.uint8)
    deviations = perturb(images, "noise5-20", seed=1).astype(float).std((1, 2, 3))
    assert 4.5 < deviations.min() < 6 and 19 < deviations.max() < 21.5
    assert abs(deviations.mean() - 12.5) < 1
    sharp = textures(60)
    by_range = perturb(sharp, "kernel1-9", seed=1)
    widths = [
        [width for width in (1, 3, 5, 7, 9) if (perturb(sharp[i : i + 1], f"kernel{width}") == by_range[i]).all()]
        for i in range(60)
    ]
    assert [len(fitting) for fitting in widths] == [1] * 60
    assert {fitting[0] for fitting in widths} == {1, 3, 5, 7, 9}
    # A lone strength is a range of one.
    np.testing.assert_array_equal(perturb(sharp, "crop10-10", seed=4), perturb(sharp, "crop10", seed=4))


def test_a_kernel_is_as_wide_as_it_says_and_sums_to_one():
    impulse = np.zeros((1, 21, 21, 3), np.uint8)
    impulse[0, 10, 10] = 255
    for width, sigma in ((3, 0.8), (5, 1.1), (9, 1.7)):
        blurred = perturb(impulse, f"kernel{width}")[0, :, :, 0].astype(float)
        reach = width // 2
        assert blurred[10, 10 - reach] > 0 or width == 9  # 255 times the corner of nine rounds to nothing
        assert not blurred[:, : 10 - reach].any() and not blurred[:, 11 + reach :].any()
        weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
        expected = 255 * np.outer(weights, weights) / weights.sum() ** 2
        assert np.abs(blurred[10 - reach : 11 + reach, 10 - reach : 11 + reach] - expected).max() <= 0.51
    assert (perturb(np.full((1, 16, 16, 3), 77, np.uint8), "kernel9") == 77).all()


def test_a_crop_is_a_part_of_the_image_enlarged():
    ramp = np.linspace(0, 250, 40)
    images = np.broadcast_to(ramp[None, None, :, None], (200, 40, 40, 3)).astype(np.uint8)
    cropped = perturb(images, "crop20", seed=2).astype(float)
    step = ramp[1]
    # Eight of forty columns are gone, so what is left rises four fifths as far, from a place that was drawn.
    slopes = cropped[:, 20, 35, 0] - cropped[:, 20, 5, 0]
    np.testing.assert_allclose(slopes, 30 * 0.8 * step, atol=2.1)
    starts = np.rint(cropped[:, 20, 0, 0] / step)
    assert set(starts) == set(range(9))
    assert (perturb(np.full((2, 16, 16, 3), 50, np.uint8), "crop5") == 50).all()
    tall = perturb(np.zeros((1, 40, 8, 3), np.uint8), "crop10")
    assert tall.shape == (1, 40, 8, 3)


def test_rescaling_changes_the_size_and_keeps_what_is_shown():
    images = textures(6, 64)
    smaller = perturb(images, "rescale0.75", seed=3)
    assert smaller.shape == (6, 48, 48, 3)
    assert perturb(np.zeros((1, 10, 30, 3), np.uint8), "rescale1.5").shape == (1, 15, 45, 3)
    assert perturb(images[:1], "rescale0.01").shape == (1, 1, 1, 3)
    np.testing.assert_allclose(smaller.mean((1, 2)), images.mean((1, 2)), atol=1.5)
    kinds = {filter: np.asarray(Image.fromarray(images[0]).resize((48, 48), filter)) for filter in FILTERS}
    drawn = {filter for seed in range(20) for filter, expected in kinds.items()
             if (perturb(images[:1], "rescale0.75", seed=seed)[0] == expected).all()}  # fmt: skip
    assert drawn == set(FILTERS)
    sizes = {perturb(images[:1], "rescale0.5-1.5", seed=seed).shape[1] for seed in range(40)}
    assert min(sizes) < 40 and max(sizes) > 88
    with pytest.raises(UserError, match="images of several sizes"):
        perturb(images, "rescale0.5-1.5")


def test_a_chain_applies_its_parts_in_their_order():
    images = textures(3, 64)
    expected = perturb(perturb(images, "rescale0.75", seed=2), "jpeg75", seed=2)
    np.testing.assert_array_equal(perturb(images, "rescale0.75+jpeg75", seed=2), expected)


def test_immunise_cuts_a_window_out_of_what_was_perturbed():
    images = np.arange(32 * 32, dtype=np.uint16).reshape(1, 32, 32, 1) // np.array([1, 32, 4], np.uint16)
    images = np.repeat(images.astype(np.uint8), 300, 0)
    settings = {"share": 0.0, "perturbations": (), "side": 8}
    windows = immunise(images, np.random.default_rng(0), **settings)
    assert windows.shape == (300, 8, 8, 3)
    corners = {(int(window[0, 0, 1]), int(window[0, 0, 0]) % 32) for window in windows}  # row, column
    assert {row for row, _ in corners} == {column for _, column in corners} == {0, 8, 16, 24}
    for window in windows[:20]:
        row, column = int(window[0, 0, 1]), int(window[0, 0, 0]) % 32
        np.testing.assert_array_equal(window, images[0, row : row + 8, column : column + 8])
    part = immunise(images[100:120], np.random.default_rng(0), first=100, total=300, **settings)
    np.testing.assert_array_equal(part, windows[100:120])
    several = {"share": 1.0, "perturbations": ("rescale0.25-2+jpeg50-95",), "side": 8}
    assert immunise(images[:9], np.random.default_rng(0), **several).shape == (9, 8, 8, 3)
    with pytest.raises(UserError, match=r"smaller than the network's 32x32; give a larger data\.crop_from"):
        immunise(images[:9], np.random.default_rng(0), **several | {"perturbations": ("rescale0.5",), "side": 32})


def test_relighting_is_smooth_and_as_strong_as_it_says():
    grey = np.full((40, 32, 32, 3), 90, np.uint8)
    lit = perturb(grey, "relight1", seed=3)
    assert (lit == lit[..., :1]).all()  # without colour
    linear = ((lit[..., 0] / 255 + 0.055) / 1.055) ** 2.4
    stops = np.log2(linear / ((90 / 255 + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(stops.min((1, 2)), -1, atol=0.03)
    np.testing.assert_allclose(stops.max((1, 2)), 1, atol=0.03)
    assert np.abs(np.diff(stops, axis=1)).max() < 0.6
    half = perturb(grey, "relight0.5", seed=3)
    assert (np.sign(half[..., 0].astype(int) - 90) * np.sign(lit[..., 0].astype(int) - 90) >= 0).all()  # the same light
    brightest = [divmod(int(image.argmax()), 32) for image in stops]
    assert len({(row // 16, column // 16) for row, column in brightest}) == 4  # from any side


def test_the_combination_is_each_attack_with_probability_one_half():
    flat = np.full((800, 8, 8, 3), 128, np.uint8)
    mixed = perturb(flat, "combination", seed=1)
    changed = (mixed != flat).any((1, 2, 3)).mean()
    # Neither blur nor crop changes a flat image, and a grey one is left alone by JPEG: noise or light, three of four.
    assert 0.7 < changed < 0.8
    np.testing.assert_array_equal(mixed, combine(flat, 1, np.arange(800)))
    images = textures(400, 16)
    combined = perturb(images, "combination", seed=1)
    untouched = (combined == images).all((1, 2, 3)).sum()
    assert 3 <= untouched <= 25  # one of 32 is left alone, and a kernel of one does nothing
    immune = immunise(images[:64], np.random.default_rng(0), share=1.0, perturbations=("combination",))
    assert 50 < (immune != images[:64]).any((1, 2, 3)).sum() <= 64


def test_the_published_ranges():
    assert PUBLISHED | {"relight": ""} == {
        "relight": "", "crop": "crop5-20", "blur": "kernel1-9", "jpeg": "jpeg10-75", "noise": "noise5-20",
    }  # fmt: skip
    assert list(PUBLISHED) == ["relight", "crop", "blur", "jpeg", "noise"]  # the order of the combination


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_seed(seed):
    assert perturb(textures(1, 8), "noise3", seed=seed).shape == (1, 8, 8, 3)


def test_immunise_perturbs_a_share_of_the_images_each_on_its_own():
    images = np.random.RandomState(0).randint(0, 256, (400, 16, 16, 3)).astype(np.uint8)
    kept = images.copy()

    def immunised(seed, **settings):
        return immunise(images, np.random.default_rng(seed), **settings)

    half = immunised(0, share=0.5, perturbations=("jpeg50-95",))
    changed = (half != images).any((1, 2, 3))
    assert 160 < changed.sum() < 240
    # One strength is a range of one: what was chosen is what `perturb` makes of it.
    fixed = immunised(0, share=1.0, perturbations=("jpeg75",))
    np.testing.assert_array_equal(fixed, perturb(images, "jpeg75"))
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(half, immunised(0, share=0.5, perturbations=("jpeg50-95",)))
    assert (half != immunised(1, share=0.5, perturbations=("jpeg50-95",))).any()
    np.testing.assert_array_equal(images, immunised(0, share=0.0, perturbations=()))


def test_immunise_draws_strengths_from_the_range():
    images = np.full((300, 8, 8, 3), 128, np.uint8)
    noisy = immunise(images, np.random.default_rng(0), share=1.0, perturbations=("noise5-20",))
    deviations = noisy.astype(float).std((1, 2, 3))
    assert 4 < deviations.min() < 7
    assert 18 < deviations.max() < 23
    both = immunise(images, np.random.default_rng(0), share=1.0, perturbations=("noise5-20", "blur1"))
    assert 100 < (both != images).any((1, 2, 3)).sum() < 200  # a blur leaves a flat image as it is


@pytest.mark.parametrize(
    ("share", "perturbations", "message"),
    [
        (0.5, (), "share 0.5 with perturbations none"),
        (0.0, ("jpeg75",), "share 0 with perturbations jpeg75"),
        (1.5, ("jpeg75",), "from 0 to 1"),
        (0.5, ("jpeg",), "unknown perturbation 'jpeg'"),
        (0.5, ("jpeg50-101",), "unknown perturbation 'jpeg101'"),
        (0.5, ("noise20-5",), "'noise20-5' falls"),
        (0.5, ("none",), "'none' is no perturbation"),
    ],
)
def test_immunisation_that_makes_no_sense(share, perturbations, message):
    with pytest.raises(UserError, match=message):
        check_immunisation(share, perturbations)


def test_of_alternatives_each_image_gets_one():
    images = np.random.RandomState(0).randint(0, 256, (40, 16, 16, 3)).astype(np.uint8)
    mixed = perturb(images, "none|jpeg50", seed=3)
    plain = (mixed == images).all((1, 2, 3))
    assert 10 < plain.sum() < 30
    np.testing.assert_array_equal(mixed[~plain], perturb(images, "jpeg50")[~plain])
    np.testing.assert_array_equal(perturb(images[5:6], "none|jpeg50", 3, np.array([5])), mixed[5:6])
    sizes = {perturb(images[:1], "none|rescale2+jpeg75", 0, np.array([k])).shape[1] for k in range(20)}
    assert sizes == {16, 32}
    with pytest.raises(UserError, match="images of several sizes; give one of these"):
        perturb(images, "none|rescale2")
    assert in_words("none|jpeg50-95") == "clean or JPEG quality 50–95"
    check_perturbation("none|jpeg50-95|combination")
    with pytest.raises(UserError, match="unknown perturbation"):
        check_perturbation("none|smear5")
