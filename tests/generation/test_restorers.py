"""Networks of installed packages: every row of the table on a photograph, its shift, its colours and its tiles."""

import importlib.util
import itertools
import re

import numpy as np
import pytest

from ganfp_jax.data import sources
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.restorers import find, tiles
from ganfp_jax.generation.restorers.networks import NETWORKS
from ganfp_jax.generation.restorers.photographs import reduced
from ganfp_jax.generation.restorers.tiles import Window

PACKAGES = ("ncnn", *sorted({network.package for network in NETWORKS.values()}))
MISSING = [package for package in PACKAGES if importlib.util.find_spec(package.replace("-", "_")) is None]
needs_networks = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
ONE_OF_EACH = (
    *("realesrgan-x4plus-anime", "animevideov3-x2", "realcugan-se-x3-no-denoise", "realcugan-pro-x2-no-denoise"),
    *("realcugan-se-x4-conservative", "realcugan-nose-x2-no-denoise", "waifu2x-cunet-x2", "waifu2x-cunet-x1-noise2"),
    *("waifu2x-upconv-photo-x2", "waifu2x-upconv-anime-x2-noise1", "srmdnf-x2", "srmd-x3-noise3"),
)
# The least PSNR against the photograph in dB, by the scale; swapped, shifted or garbled pixels have less.
LEAST = {1: 40.0, 2: 22.0, 3: 19.0, 4: 17.0}


@pytest.fixture(scope="module")
def photograph():
    """A colourful part of a photograph, 288x288."""
    return decode_image(sources.photo_path("astronaut"))[24:312, 100:388]


def restored(name, photograph, window=Window(24, 48, 72, 72), tile=96):  # noqa: B008 - a tuple
    restorer = find.load(name if ":" in name else f"ncnn:{name}", white=1, threads=1)
    picture = reduced(photograph, 2, restorer.scale)
    (image,) = tiles.restore(restorer, picture, [window], tile)
    return image


def psnr(first, second):
    return 10 * np.log10(255**2 / np.mean((first.astype(float) - second) ** 2))


@needs_networks
def test_every_network_of_the_table_restores_the_photograph(photograph):
    real = reduced(photograph, 2)[24:72, 48:96]
    table = {name: network for name, network in NETWORKS.items() if not re.search("noise([1-9]|10)$", name)}
    table |= {name: NETWORKS[name] for name in ONE_OF_EACH}
    for name, network in table.items():
        image = restored(name, photograph, Window(24, 48, 48, 48), 48 // network.scale)
        assert image.shape == real.shape and image.dtype == np.uint8
        assert psnr(image, real) > LEAST[network.scale], name
        assert np.abs(image.mean((0, 1)) - real.mean((0, 1))).max() < 8, name


@needs_networks
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_restored_picture_is_neither_shifted_nor_in_other_colours_and_always_the_same(name, photograph):
    real = reduced(photograph, 2)
    image = restored(name, photograph)
    near = {
        (down, across): psnr(image, real[24 + down : 96 + down, 48 + across : 120 + across])
        for down, across in itertools.product((-1, 0, 1), repeat=2)
    }
    assert max(near, key=near.get) == (0, 0)
    np.testing.assert_array_equal(restored(name, photograph), image)
    orange = (photograph * (1, 0.55, 0.1)).astype(np.uint8)
    means = restored(name, orange).mean((0, 1)) - reduced(orange, 2)[24:96, 48:120].mean((0, 1))
    assert np.abs(means).max() < 8  # red and blue differ by over a hundred


@needs_networks
@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if NETWORKS[name].local])
def test_a_local_network_gives_the_same_pixels_by_tiles(name, photograph):
    window = Window(7, 31, 90, 90)
    whole = restored(name, photograph, window, tile=0).astype(int)
    for tile in (17, 40):
        assert np.abs(restored(name, photograph, window, tile) - whole).max() <= 1  # float32, added in another order


@needs_networks
def test_a_network_that_pools_globally_depends_on_the_tile(photograph):
    window = Window(24, 48, 72, 72)
    whole = restored("realcugan-se-x2-no-denoise", photograph, window, tile=0).astype(int)
    assert np.abs(restored("realcugan-se-x2-no-denoise", photograph, window, tile=40) - whole).mean() > 0.2
