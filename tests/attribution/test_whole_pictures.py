"""Larger pictures on a page: whole, with a map; images of the network's size as ever."""

import io

import numpy as np
import opinions
import pytest
from PIL import Image

from ganfp_jax.attribution import whole_pictures
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.labelled import Images
from ganfp_jax.data.tiles import TILING

VIEWS = ("identity", "mirror")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for source in opinions.weights().about["classes"]:
        (root / source).mkdir()
        for i, size in enumerate([(16, 16), (30, 48), (300, 500)]):
            encode_png(root / source / f"{i}.png", rng.integers(0, 256, (*size, 3), np.uint8))
    return labelled.open_labelled(root)


def size(png):
    return Image.open(io.BytesIO(png)).size


def test_wrong_pictures_have_a_map_where_they_are_larger(folder):
    rows = [
        {"name": name, "votes": {"real": 900}, "views": [{"name": view, "called": "real"} for view in VIEWS]}
        for name in folder.names[:3]
    ]
    attributor = opinions.attributor_of(opinions.weights())
    small, wide, large = whole_pictures.with_maps(rows, attributor, Images(folder, 16), TILING, "majority")
    assert "map" not in small and size(small["views"][1]["picture"]) == (16, 16) and small["votes"] == {"real": 900}
    for row, expected in ((wide, (48, 30)), (large, (240, 144))):
        assert size(row["picture"]) == expected and row["votes"] == {"real": 2} and "views" not in row
        assert size(row["map"]["picture"])[0] == 240
        assert {entry["name"] for entry in row["map"]["legend"]} <= set(attributor.classes)


def test_samples_are_whole_pictures(folder):
    shown = whole_pictures.samples(Images(folder, 16), ["real"], TILING)
    assert shown["real"]["caption"] == "the first 3 test pictures, whole"
    assert size(shown["real"]["picture"]) == (3 * 96 + 2 * 4, 96)
    assert not whole_pictures.samples(Images(folder, 16).part([]), ["real"], TILING)
