"""The shipped set `restorers64`: photographs that no network has touched, and what networks make of them."""

import numpy as np
import pytest
from restoring import needs_networks

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.verdict import NOTHING, UNSURE
from ganfp_jax.data import sources
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.restorers import find, photographs, writing
from ganfp_jax.interop import shipped

SET = "restorers64"
FAMILIES = ("real", "lanczos", "realesrgan", "animevideo", "realcugan", "waifu2x", "srmd")
SHOWN = ("coffee", "astronaut", "rocket")
NAMES = [name for name in sources.PHOTOS if name != "motorcycle_right"]


@pytest.fixture(scope="module")
def attributor():
    return Attributor.load(SET)


def test_it_knows_families_and_is_calibrated_to_spare_photographs(attributor):
    assert attributor.classes == FAMILIES
    assert attributor.resolution == 64
    assert shipped.generators(SET) == []
    found = attributor.calibration_for("d4", "majority")
    assert found.spared == "real"
    assert found.per_class["real"]["wrong"] == 0 and found.per_class["real"]["images"] > 200
    assert found.dependence is not None


def test_photographs_are_not_accused(attributor):
    pictures = [decode_image(sources.photo_path(name)) for name in NAMES]
    verdicts = [one.verdict for one in attributor.attribute(pictures)]
    assert set(verdicts) <= {"real", UNSURE}
    assert verdicts.count("real") >= len(NAMES) // 2


def restored(generator, tmp_path):
    """What a restorer makes of a window of embedded photographs that are reduced by 1.5."""
    found = [photograph for photograph in photographs.find("embedded")[0] if photograph.name in SHOWN]
    settings = writing.Settings(
        crop=192, crops=1, cluster=1, min_luma_std=10, reduction=1.5, tile=-1, input_jpeg=0, seed=0
    )
    writing.write_restored(find.load(generator, white=1, threads=1), tmp_path, found, settings, source_name="a")
    return [decode_image(path) for path in sorted((tmp_path / "a").glob("*.png"))]


@pytest.mark.parametrize(
    ("generator", "family"),
    [
        ("pillow:lanczos-x2", "lanczos"),
        pytest.param("ncnn:waifu2x-upconv-photo-x2", "waifu2x", marks=needs_networks),
        pytest.param("ncnn:srmdnf-x2", "srmd", marks=needs_networks),
    ],
)
def test_a_restored_photograph_is_named_by_its_family(attributor, generator, family, tmp_path):
    said = attributor.attribute(restored(generator, tmp_path))
    assert [one.predicted for one in said].count(family) >= 2
    assert not {one.verdict for one in said} - {family, UNSURE}


def test_a_flat_picture_has_nothing_to_see(attributor):
    (said,) = attributor.attribute([np.full((300, 200, 3), 99, np.uint8)])
    assert said.verdict == NOTHING
