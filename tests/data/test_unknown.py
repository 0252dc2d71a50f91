"""Images of unknown sources: by kind and generator."""

import numpy as np
import pytest

from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.unknown import generator_of, open_unknown
from ganfp_jax.run.errors import UserError


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        encode_png(root / name, np.zeros((2, 2, 3), np.uint8))


def test_a_folder_of_images_is_one_kind(tmp_path):
    make(tmp_path / "unknown", "b.png", "a.png")
    (tmp_path / "unknown" / "notes.txt").write_text("no image")
    found = open_unknown(tmp_path / "unknown")
    assert found.classes == ("unknown",)  # no name of a source, so a kind may have it
    assert found.names == ("unknown/a.png", "unknown/b.png")
    assert [path.name for path in found.paths] == ["a.png", "b.png"]
    assert found.left_out == (("notes.txt", "not an image by its name"),)


def test_kinds_and_their_generators(tmp_path):
    make(tmp_path, "seed/run 1/x.png", "seed/run 1/more/y.png", "seed/run 2/x.png", "noise/0.png", "noise/1.png")
    found = open_unknown(tmp_path)
    assert found.classes == ("noise", "seed")
    assert found.labels.tolist() == [0, 0, 1, 1, 1]
    made_by = [generator_of(name) for name in found.names]
    assert made_by == ["noise/0.png", "noise/1.png", "seed/run 1", "seed/run 1", "seed/run 2"]


def test_of_a_split_set_the_test_is_taken(tmp_path):
    make(tmp_path, "train/ProGAN/0.png", "test/ProGAN/1.png")
    assert open_unknown(tmp_path).names == ("ProGAN/1.png",)


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "is not a folder"), ("empty", "has no source folders"), ("kinds", "no image file")]
)
def test_no_images_is_said(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "kinds" / "noise").mkdir(parents=True)
    with pytest.raises(UserError, match=words):
        open_unknown(tmp_path / name)
