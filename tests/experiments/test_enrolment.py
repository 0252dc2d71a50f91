"""The experiment on enrolment: images of other trainings are divided, and none is on both sides."""

import numpy as np

from experiments.enrolment.__main__ import SIZES, place_seeds
from ganfp_jax.data.decode import encode_png


def test_images_of_another_training_are_enrolled_or_tested(tmp_path):
    folder = tmp_path / "seeds" / "SNGAN-seed-1"
    folder.mkdir(parents=True)
    for i in range(11):
        encode_png(folder / f"{i:02d}.png", np.full((4, 4, 3), i, np.uint8))
    (tmp_path / "seeds" / "notes.txt").write_text("no generator")
    assert place_seeds(tmp_path / "images", tmp_path / "seeds", SIZES["tiny"]) == ["SNGAN-seed-1"]
    new, test = (
        {path.name for path in (tmp_path / "images" / split / "SNGAN-seed-1").iterdir()} for split in ("new", "test")
    )
    assert (len(new), len(test)) == (5, 6)
    assert not new & test
