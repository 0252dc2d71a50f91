"""Every file of the corpus is read as it should be or refused for the right reason, and none is lost on the way."""

import csv
import os
import re
import tempfile
from pathlib import Path

import corpus
import jax
import numpy as np
import pytest
from corpus import SIDE
from golden_files import initialize

from configs import attribution
from configs import evaluate as config_file
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled, sources
from ganfp_jax.data.decode import Refused, decode_image, encode_png, reason_of
from ganfp_jax.data.listing import find_images, printable
from ganfp_jax.data.preprocess import decode_and_fit
from ganfp_jax.jobs import evaluate
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.checkpoint import Checkpoints

# Pillow warns about metadata that it cannot read, and about bombs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")

FILES = corpus.files()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sources, the second of them the corpus."""
    root = tmp_path_factory.mktemp("corpus") / "test"
    (root / "ProGAN").mkdir(parents=True)
    for index in range(3):
        encode_png(root / "ProGAN" / f"{index}.png", corpus.PICTURE + np.uint8(index))
    corpus.build(root / "real")
    return root


def fitted(pixels, remarks=""):
    """What a crop to the network's size makes of an image, and the note; or the reason of a refusal."""
    height, width = pixels.shape[:2]
    if min(height, width) < SIDE:
        return None, f"is {width}x{height}, smaller than {SIDE}x{SIDE}; resize=area would enlarge it"
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    note = "" if height == width == SIDE else f"cropped from {width}x{height}"
    return pixels[top : top + SIDE, left : left + SIDE], "; ".join(filter(None, (note, remarks)))


def close(image, file, pixels):
    return image.shape == pixels.shape and np.abs(image.astype(int) - pixels).max() <= file.atol


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len({file.name for file in FILES}) == len(FILES) >= 150
    assert all((file.pixels is None) == bool(file.reason) for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.encode("unicode_escape", "replace").decode()[:40])
def test_each_file_gives_its_pixels_or_its_reason(file, root):
    path = root / "real" / file.name
    if file.pixels is None:
        with pytest.raises(Refused) as refused:
            decode_image(path)
        assert re.fullmatch(file.reason, str(refused.value)), str(refused.value)
    else:
        image = decode_image(path)
        assert image.dtype == np.uint8 and image.flags.c_contiguous
        assert image.shape == file.pixels.shape
        assert np.abs(image.astype(int) - file.pixels).max() <= file.atol


def test_corpus_is_decoded_together_in_threads(root):
    found = decode_and_fit([root / "real" / file.name for file in FILES], SIDE)
    images = dict(zip(found.kept.tolist(), found.images, strict=True))
    for position, file in enumerate(FILES):
        if file.pixels is None:
            assert re.fullmatch(file.reason, found.refused[position])
            continue
        pixels, words = fitted(file.pixels, file.remarks)
        if pixels is None:
            assert found.refused[position] == words
        else:
            assert close(images[position], file, pixels)
            assert found.notes.get(position, "") == words


def test_a_listing_loses_nothing(root):
    folder = labelled.open_labelled(root)
    left_out = dict(folder.left_out)
    assert len(left_out) == len(folder.left_out)
    for file in FILES:
        name = printable(f"real/{file.name}")
        assert (name in folder.names) != (name in left_out)
        assert bool(file.left_out) == (name in left_out)
        assert re.fullmatch(file.left_out, left_out.get(name, ""))
    assert len(folder) + len(left_out) == 3 + len(FILES)
    same = sources.folder(root=root, resolution=SIDE)
    assert len(same) + len(same.rejected) == 3 + len(FILES)
    assert set(left_out.items()) < set(same.rejected)


def test_what_lies_in_a_folder_that_cannot_be_read(root):
    """In a child of the file system that root's privileges do not reach: another user's eyes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "real"
        corpus.File("closed.png", corpus.PNG).write(folder)
        corpus.File("open.png", corpus.PNG).write(folder)
        corpus.File("below/unseen.png", corpus.PNG).write(folder)
        Path(place).chmod(0o755)
        (folder / "closed.png").chmod(0)
        (folder / "below").chmod(0)
        mine = os.geteuid()
        if not mine:
            os.seteuid(65534)  # root reads everything
        try:
            found = find_images(folder)
            kept = decode_and_fit(found.images, SIDE)
            with pytest.raises(UserError, match="below cannot be read: permission denied"):
                labelled.open_labelled(folder / "below")
        finally:
            os.seteuid(mine)
            (folder / "below").chmod(0o755)
    assert [path.name for path in found.images] == ["closed.png", "open.png"]
    assert found.left_out == [(folder / "below", "cannot be read: permission denied")]
    assert kept.kept.tolist() == [1] and kept.refused == {0: "cannot be read: permission denied"}


def test_a_reason_is_one_line_without_a_path():
    assert reason_of(Refused("is a folder")) == "is a folder"
    assert reason_of(OSError(36, "File name too long", "x.png")) == "cannot be read: file name too long"
    assert reason_of(ValueError("two\nlines")) == "broken image: two lines"


# --- through the job


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The run folder of an untrained network."""
    workdir = tmp_path_factory.mktemp("runs") / "visnet"
    config = attribution.get_config("tiny").to_dict()
    net = models.create(**config["model"], resolution=SIDE, num_classes=2)
    params = initialize(net, jax.random.key(0))["params"]
    workdir.mkdir()
    write_json(workdir / "config.json", config)
    checkpoints = Checkpoints(workdir, keep=1)
    checkpoints.save(
        0, {"network": {"params": params, "stats": {}}}, {"classes": ["ProGAN", "real"], "resolution": SIDE}
    )
    checkpoints.close()
    return workdir


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_and_rejected_name_every_file(root, network, tmp_path, capsys):
    config = config_file.get_config("tiny").to_dict()
    config |= {
        "checkpoint": str(network),
        "views": "identity",
        "tiles": 0,
        "data": {"root": str(root.parent), "resize": "crop", "layout": "auto"},
    }
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    evaluate.run(config | {"command": "", "job": "evaluate"}, tmp_path)
    predicted = {row["image"] for row in rows(tmp_path / "predictions.csv")}
    rejected = {row["image"]: row["reason"] for row in rows(tmp_path / "rejected.csv")}
    notes = {row["image"]: row["note"] for row in rows(tmp_path / "notes.csv")}
    assert not predicted & rejected.keys()
    assert predicted | rejected.keys() == {printable(f"real/{file.name}") for file in FILES} | {
        f"ProGAN/{index}.png" for index in range(3)
    }
    for file in FILES:
        name = printable(f"real/{file.name}")
        if file.left_out:
            assert re.fullmatch(file.left_out, rejected[name])
        elif file.pixels is None:
            assert re.fullmatch(file.reason, rejected[name])
        else:
            pixels, words = fitted(file.pixels, file.remarks)
            assert (rejected if pixels is None else notes).get(name, "") == words
            assert (name in predicted) == (pixels is not None)
    out = capsys.readouterr().out
    assert f"{len(rejected)} files could not be used: {tmp_path / 'rejected.csv'}" in out
    assert str(tmp_path / "notes.csv") in out
    assert "\x1b[" not in out


def test_a_verdict_says_what_was_done_to_the_image(root, network):
    attributor = Attributor.load(network)
    cut, whole = attributor.attribute([root / "real" / name for name in ("wide.png", "rgb.png")], views="identity")
    assert cut.note == "6 tiles, 100.0% of 40x17" and whole.note == ""
    (area,) = attributor.attribute([root / "real" / "one_pixel.png"], views="identity", resize="area")
    assert area.note == "enlarged from 1x1"
    assert attributor.attribute([]) == []
    for wrong in (np.zeros((1, 16, 16, 3)), np.zeros((2, 16, 16), np.uint8), np.zeros((1, 16, 16, 4), np.uint8)):
        with pytest.raises(UserError, match=r"image 0: is (float64|uint8) of shape .* not uint8 \(height, width, 3\)"):
            attributor.attribute(wrong)
    with pytest.raises(UserError, match="takes a list of images, not one"):
        attributor.attribute(root / "real" / "rgb.png")
    for refused, reason in {"empty.png": "empty file", "grey12.tif": "12-bit"}.items():
        with pytest.raises(UserError, match=f"{refused}: {reason}"):
            attributor.attribute([root / "real" / refused])


def test_pillow_images_are_converted_as_files_are(root, network):
    from PIL import Image

    attributor = Attributor.load(network)
    for name in ("grey16.png", "rgba.png", "turned.png", "palette_alpha.png"):
        path = root / "real" / name
        assert attributor.attribute([Image.open(path)], views="identity") == attributor.attribute(
            [path], views="identity"
        )
    with pytest.raises(UserError, match="image 0: floating-point pixels"):
        attributor.attribute([Image.open(root / "real" / "floats.tif")], views="identity")
