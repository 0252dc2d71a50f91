"""What was decoded is what has the digest."""

import hashlib
import types

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.data.decode import Refused, decoded
from ganfp_jax.data.identified import Identified

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_it_knows_what_was_decoded(tmp_path, suffix, kind):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(NOISE).save(path)
    file = Identified(path)
    assert file.sha256 == ""
    with decoded(file) as picture:
        assert picture.pixels.shape == NOISE.shape
    content = path.read_bytes()
    assert (file.sha256, file.num_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert file.format == kind and file.changed.endswith(" UTC") and len(file.changed) == 23


def test_a_file_that_changes_has_the_digest_of_what_was_read_last(tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(b"one")
    file = Identified(str(path))
    assert file.read_bytes() == b"one"
    path.write_bytes(b"two")
    assert file.sha256 == hashlib.sha256(b"one").hexdigest()
    assert file.read_bytes() == b"two" and file.sha256 == hashlib.sha256(b"two").hexdigest()
    assert file.format == ""


def test_an_image_inside_another_file_is_identified_by_its_own_bytes(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "image.png")
    content = (tmp_path / "image.png").read_bytes()
    record = types.SimpleNamespace(name="image.png", read_bytes=lambda: content)
    file = Identified(record, "all.tar/image.png", "all.tar")
    with decoded(file):
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (file.name, file.path, file.asked, file.changed) == ("image.png", "all.tar/image.png", "all.tar", "")


def test_bad_files_are_refused_as_others_are(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "raw.nef").write_bytes(b"II*\0")
    for name, words in {"empty.png": "empty file", "missing.png": "no such file", "raw.nef": "raw photographs"}.items():
        with pytest.raises(Refused, match=words), decoded(Identified(tmp_path / name)):
            pass
