import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from skimage import data

from ganfp_jax import baselines
from ganfp_jax.baselines import local
from ganfp_jax.data import triples
from ganfp_jax.run.errors import UserError

FEATURES = (local.block_log_dct, local.cooccurrences, local.both)


def grey(values) -> np.ndarray:
    return np.asarray(values, np.uint8)[None, ..., None].repeat(3, -1)


def crops(picture: np.ndarray, count: int, seed: int, size: int = 32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, np.subtract(picture.shape[:2], size), (count, 2))
    return np.stack([picture[y : y + size, x : x + size] for y, x in places])


def blurred(images: np.ndarray) -> np.ndarray:
    """Each image reduced by two and enlarged again."""
    pictures = (Image.fromarray(image) for image in images)
    small = ((p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS), p.size) for p in pictures)
    return np.stack([np.asarray(p.resize(size, Image.Resampling.LANCZOS)) for p, size in small])


def test_triples_of_a_row_by_hand():
    found = local.cooccurrences(grey([[10, 10, 11, 13, 12]]))[0].reshape(2, 3, 2, 5, 5, 5)  # axis, order, row or column
    expected = np.zeros_like(found)
    expected[1, 0, 0, 2, 3, 4] = expected[1, 0, 0, 3, 4, 1] = 0.5  # 0 1 2 -1
    expected[1, 1, 0, 2, 2, 0] = 1  # 1 1 -3, halved and rounded to even: 0 0 -2
    np.testing.assert_allclose(found**2, expected, atol=1e-6)  # no triple of order 3, and none in columns


def test_a_stripe_is_seen_across_it_only():
    stripes = grey(np.tile([0, 2], (12, 6)))
    found = local.cooccurrences(stripes)[0].reshape(2, 3, 2, 125) ** 2
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[0, :, :, 62], 1, rtol=1e-6)  # along the stripes all differences are 0
    assert found[1, 0, 0, [104, 20]].sum() == pytest.approx(1)  # 2 -2 2 and -2 2 -2
    assert found[1, 0, 1, [124, 0]].sum() == pytest.approx(1)  # in a column 2 2 2 and -2 -2 -2


def test_flat_blocks_by_hand():
    image = np.concatenate([np.full((16, 16), 10), np.full((16, 16), 20)], axis=1)
    mean, spread = local.block_log_dct(grey(image))[0].reshape(2, 3, 16, 16)
    logs = np.log([160.1, 320.1])  # 16 x 10 and 16 x 20, as the transform is orthonormal
    assert mean[0, 0, 0] == pytest.approx(logs.mean(), rel=1e-5)
    assert spread[0, 0, 0] == pytest.approx(logs.std(), rel=1e-4)
    np.testing.assert_allclose(mean.reshape(-1)[1:], np.log(0.1), atol=1e-3)
    np.testing.assert_allclose(spread.reshape(-1)[1:], 0, atol=1e-3)


def test_blocks_of_noise_against_the_transform_of_one_block():
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), dtype=np.uint8)
    channel = local.ycbcr(image)[1, 0].astype(float)
    logs = [np.log(np.abs(dctn(b, norm="ortho")) + 0.1) for r in np.split(channel, 2) for b in np.split(r, 3, axis=1)]
    mean, spread = local.block_log_dct(image)[0].reshape(2, 3, 16, 16)
    np.testing.assert_allclose(mean[1], np.mean(logs, axis=0), atol=1e-4)
    np.testing.assert_allclose(spread[1], np.std(logs, axis=0), atol=1e-3)


def test_colours_are_those_of_jfif():
    image = np.random.default_rng(0).integers(0, 256, (1, 20, 20, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image[0]).convert("YCbCr")).astype(float) - (0, 128, 128)
    np.testing.assert_allclose(np.moveaxis(local.ycbcr(image)[:, 0], 0, -1), expected, atol=1.01)
    assert np.abs(triples.luma(image)[0] - expected[..., 0]).max() <= 1


@pytest.mark.parametrize("change", [lambda x: x[:, ::-1], lambda x: x[:, :, ::-1], lambda x: np.tile(x, (1, 2, 2, 1))])
def test_a_mirrored_or_repeated_image_has_the_same_blocks(change):
    images = crops(data.astronaut(), 3, seed=0, size=64)
    np.testing.assert_allclose(local.block_log_dct(change(images)), local.block_log_dct(images), atol=5e-3)


def test_a_turned_image_has_the_blocks_with_frequencies_exchanged():
    images = crops(data.astronaut(), 3, seed=0, size=64)
    found = local.block_log_dct(np.rot90(images, axes=(1, 2))).reshape(3, 6, 16, 16)
    np.testing.assert_allclose(found.swapaxes(2, 3).reshape(3, -1), local.block_log_dct(images), atol=5e-3)


def test_a_mirrored_image_has_the_triples_in_reverse():
    images = crops(data.astronaut(), 2, seed=0)
    found = local.cooccurrences(images[:, :, ::-1]).reshape(2, 2, 3, 2, 5, 5, 5)
    expected = local.cooccurrences(images).reshape(found.shape)
    np.testing.assert_array_equal(found[:, 0, :, 1], expected[:, 0, :, 1])  # columns remain
    np.testing.assert_array_equal(found[:, 1, 1, 0], expected[:, 1, 1, 0].transpose(0, 3, 2, 1))  # even order
    for order in (0, 2):  # odd orders change their sign, too
        reverse = expected[:, 1, order, 0].transpose(0, 3, 2, 1)[:, ::-1, ::-1, ::-1]
        np.testing.assert_array_equal(found[:, 1, order, 0], reverse)


@pytest.mark.parametrize("features", FEATURES)
def test_numbers_do_not_depend_on_the_size_nor_on_other_images(features):
    images = crops(data.astronaut(), local.CHUNK + 3, seed=1)
    found = features(images)
    assert found.shape == (
        local.CHUNK + 3,
        {"block_log_dct": 1536, "cooccurrences": 1500, "both": 3036}[features.__name__],
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(features(images[-1:]), found[-1:], atol=1e-5)
    assert features(crops(data.astronaut(), 1, seed=1, size=83)).shape[1] == found.shape[1]


@pytest.mark.parametrize("name", ["logistic_block_log_dct", "logistic_cooccurrences", "logistic_local"])
def test_local_tells_a_blurred_photograph_from_a_sharp_one_in_other_photographs_and_sizes(name):
    seen, fresh = crops(data.astronaut(), 60, seed=0), crops(data.chelsea(), 60, seed=1, size=48)
    labels = np.arange(2).repeat(60)
    fitted = baselines.fit(name, np.concatenate([seen, blurred(seen)]), labels, ["sharp", "blurred"])
    predicted, _ = baselines.predict(fitted, np.concatenate([fresh, blurred(fresh)]))
    assert (predicted == labels).mean() > 0.7
    with pytest.raises(UserError, match="images of 8x8, trained on 32x32"):
        baselines.predict(fitted, fresh[:, :8, :8])
