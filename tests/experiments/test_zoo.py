"""The photographs that the shipped weights were made of: the table, and how crops are taken."""

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image

from experiments.zoo import photographs
from ganfp_jax.data.decode import decode_image
from ganfp_jax.run.errors import UserError


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two pictures, one of them a cut-out with a transparent rim, and a table that lists them."""
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 256, (90, 120, 3), np.uint8)
    cut = np.concatenate([rng.integers(0, 256, (90, 90, 3), np.uint8), np.zeros((90, 90, 1), np.uint8)], axis=-1)
    cut[20:70, 20:70, 3] = 255
    rows = []
    for name, array in (("plain", plain), ("cut", cut)):
        path = tmp_path / "share" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(array).save(path)
        rows.append([name, "pkg", f"share/{name}.png", hashlib.sha256(path.read_bytes()).hexdigest(), name, "train"])
    table = tmp_path / "photographs.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([photographs.Photograph._fields, *([*row, "somebody", "CC0-1.0"] for row in rows)])
    monkeypatch.setattr(photographs, "TABLE", table)
    return tmp_path


def crops(packages, name, count, **settings):
    folder = packages / name
    names = photographs.write_crops(
        folder, packages, **{"split": "train", "resolution": 16, "seed": 0} | settings, count=count
    )
    return names, {path.name: decode_image(path) for path in sorted(folder.glob("*.png"))}


def test_the_table_is_sound():
    rows = photographs.listed("train") + photographs.listed("valid")
    assert len({row.name for row in rows}) == len(rows) > 150
    sides: dict[object, set[str]] = {}
    for row in rows:
        sides.setdefault((row.package, row.scene), set()).add(row.split)
        sides.setdefault(row.sha256, set()).add(row.split)  # one picture is there under two names
        assert row.author and row.licence and len(row.sha256) == 64
    assert all(len(side) == 1 for side in sides.values()), "a scene or a picture on both sides"


def test_crops_are_opaque_and_never_twice(packages):
    names, images = crops(packages, "out", 20)
    assert names == ["cut", "plain"]
    assert len(images) == 20
    assert len({image.tobytes() for image in images.values()}) == 20
    # reduced by 1.7 the opaque window is about 29 pixels: places 16 apart from its rim do not exist
    assert sum(name.startswith("cut") for name in images) <= 4
    assert all(image.shape == (16, 16, 3) and image.std() > 5 for image in images.values())


def test_native_crops_have_the_pixels_of_the_middle(packages, monkeypatch):
    monkeypatch.setattr(photographs, "MIDDLE", 40)
    _, images = crops(packages, "out", 8, native=True)
    whole = np.asarray(Image.open(packages / "share" / "plain.png"))
    middle = whole[25:65, 40:80]
    places = [(top, left) for top in range(0, 25, 8) for left in range(0, 25, 8)]
    plain = [image for name, image in images.items() if name.startswith("plain")]
    for image in plain:
        assert any((image == middle[top : top + 16, left : left + 16]).all() for top, left in places)
    assert len(plain) == 4 and len(images) == 8


def test_a_shorter_set_is_the_beginning_of_a_longer_one(packages):
    _, few = crops(packages, "few", 6)
    _, many = crops(packages, "many", 20)
    assert few.keys() <= many.keys()
    for name, image in few.items():
        np.testing.assert_array_equal(image, many[name])
    _, other = crops(packages, "other", 6, seed=1)
    assert any((image != few[name]).any() for name, image in other.items() if name in few)


def test_too_few_places_is_said(packages):
    with pytest.raises(UserError, match=r"the train photographs have \d+ crops of 16x16, not 1000"):
        crops(packages, "out", 1000)


def test_another_picture_is_refused(packages):
    (packages / "share" / "plain.png").write_bytes((packages / "share" / "cut.png").read_bytes())
    with pytest.raises(UserError, match="is another picture than the one that was used: pkg has another version"):
        crops(packages, "out", 4)


def test_a_missing_package_is_named(packages):
    (packages / "share" / "cut.png").unlink()
    with pytest.raises(UserError, match=r"cut.png is missing: install pkg, or unpack it and give the folder"):
        crops(packages, "out", 4)
