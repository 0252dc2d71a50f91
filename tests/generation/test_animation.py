import numpy as np
import pytest
from PIL import Image

from ganfp_jax.generation.animation import KINDS, write_animation
from ganfp_jax.run.errors import UserError


def noise(count, shape=(6, 10, 3)):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_time_and_repetition(tmp_path, kind):
    frames = noise(5)
    write_animation(tmp_path / "walk", iter(frames), kind=kind, count=5, fps=20)
    with Image.open(tmp_path / "walk") as opened:
        assert (opened.n_frames, opened.size) == (5, (10, 6))
        assert opened.info["loop"] == 0  # for ever
        for index in range(5):
            opened.seek(index)
            assert opened.info["duration"] == pytest.approx(50)
            shown = np.asarray(opened.convert("RGB"))
            if kind == "apng":
                np.testing.assert_array_equal(shown, frames[index])
            else:  # 60 pixels have fewer than 256 colours
                np.testing.assert_allclose(shown.astype(int), frames[index], atol=8)


def test_an_apng_keeps_equal_frames_apart_and_is_a_png_to_whom_knows_no_animations(tmp_path):
    frames = np.repeat(noise(1), 4, axis=0)
    write_animation(tmp_path / "walk.png", iter(frames), kind="apng", count=4, fps=3)
    with Image.open(tmp_path / "walk.png") as opened:
        assert (opened.format, opened.n_frames, opened.mode) == ("PNG", 4, "RGB")
        assert opened.default_image is False  # the picture of the PNG is the first frame
        np.testing.assert_array_equal(np.asarray(opened), frames[0])
        for index in range(4):
            opened.seek(index)
            assert opened.info["duration"] == pytest.approx(1000 / 3)  # exact, not cut to milliseconds
            np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), frames[index])


@pytest.mark.parametrize("given", [2, 4])
def test_a_wrong_count_leaves_no_file(tmp_path, given):
    with pytest.raises(ValueError, match=f"of 3 frames was given {given}"):
        write_animation(tmp_path / "walk.png", iter(noise(given)), kind="apng", count=3, fps=10)
    assert not list(tmp_path.iterdir())


def test_frames_of_two_sizes(tmp_path):
    with pytest.raises(ValueError, match="frame 1 is"):
        write_animation(tmp_path / "x", iter([noise(1)[0], noise(1, (4, 4, 3))[0]]), kind="apng", count=2, fps=10)


@pytest.mark.parametrize(("bad", "message"), [({"kind": "mp4"}, "choose from apng, gif"), ({"fps": 0}, "give 1 to 50")])
def test_bad_settings(tmp_path, bad, message):
    with pytest.raises(UserError, match=message):
        write_animation(tmp_path / "x", iter(noise(2)), **{"kind": "gif", "count": 2, "fps": 10} | bad)
