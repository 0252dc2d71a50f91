"""The job `interpolate` on a tiny trained generator: its files, its anchors, and what it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import run_job

from configs import interpolate as config_file
from ganfp_jax.generation import sampler
from ganfp_jax.jobs import interpolate
from ganfp_jax.report.grid import BACKGROUND
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

ROOT = Path(__file__).parents[2]


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "ganfp_jax.main", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """The run folder of an SNGAN after two steps: its images are noise, but every latent has its own."""
    workdir = tmp_path_factory.mktemp("gan")
    run_job("sngan:tiny", workdir, {"num_steps": 2})
    return workdir


@pytest.fixture(scope="module")
def uniform_gan(gan, tmp_path_factory):
    """The same weights, as if trained on latents in a cube."""
    workdir = tmp_path_factory.mktemp("uniform") / "gan"
    shutil.copytree(gan, workdir)
    config = json.loads((workdir / "config.json").read_text())
    config["latents"]["distribution"] = "uniform"
    write_json(workdir / "config.json", config)
    return workdir


def walk(generator, workdir, **settings):
    config = config_file.get_config("tiny").to_dict() | {"generator": str(generator), "batch_size": 8} | settings
    interpolate.run(config, workdir)
    return workdir / "walk"


def frames(folder):
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("frame_*.png"))]


def generated(gan, seed, count):
    return np.concatenate(list(sampler.Sampler(gan).stream(seed, count, 8)))


@pytest.fixture(scope="module")
def loop(gan, tmp_path_factory):
    return walk(gan, tmp_path_factory.mktemp("loop"))


def test_the_files_of_a_walk(gan, loop):
    names = sorted(path.name for path in loop.iterdir())
    assert names == [*(f"frame_{i:05d}.png" for i in range(24)), "strip.png", "walk.json", "walk.png"]
    record = json.loads((loop / "walk.json").read_text())
    assert record["anchors"] == [{"frame": 8 * i, "seed": i, "image": 0} for i in range(3)]
    origin = sampler.Sampler(gan).origin
    assert {key: record[key] for key in origin} == origin
    assert (record["num_frames"], record["mode"], record["loop"], record["source"]) == (24, "spherical", True, "SNGAN")


def test_the_animation_shows_the_frames_enlarged(loop):
    stills = frames(loop)
    with Image.open(loop / "walk.png") as opened:
        assert (opened.n_frames, opened.size, opened.info["loop"]) == (24, (256, 256), 0)
        for index, still in enumerate(stills):
            opened.seek(index)
            assert opened.info["duration"] == 125  # milliseconds at 8 frames a second
            np.testing.assert_array_equal(np.asarray(opened)[8::16, 8::16], still)


def test_the_strip_has_a_row_for_each_pair_of_anchors(loop):
    strip, stills = np.asarray(Image.open(loop / "strip.png")), frames(loop)
    assert strip.shape == (3 * 65 - 1, 9 * 65 - 1, 3)  # 16x16 enlarged four times, a pixel between neighbours
    assert (strip[64] == BACKGROUND).all()
    for row, column, frame in ((0, 0, 0), (0, 8, 8), (1, 3, 11), (2, 0, 16), (2, 8, 0)):
        cell = strip[65 * row : 65 * row + 64, 65 * column : 65 * column + 64]
        np.testing.assert_array_equal(cell[2::4, 2::4], stills[frame])


def test_anchors_are_the_images_that_generate_makes(gan, loop, tmp_path):
    for index, seed in enumerate((0, 1, 2)):
        np.testing.assert_array_equal(frames(loop)[8 * index], generated(gan, seed, 1)[0])
    of_one_seed = frames(walk(gan, tmp_path, seeds=(), seed=5, count=4, frames=2, loop=False))
    assert len(of_one_seed) == 10
    np.testing.assert_array_equal(of_one_seed[::3], generated(gan, 5, 4))


def test_neighbouring_frames_are_alike(loop):
    stills = np.stack(frames(loop)).astype(float)
    steps = np.abs(np.roll(stills, -1, axis=0) - stills).mean((1, 2, 3))  # (24,): the last is the one that closes it
    apart = np.abs(np.roll(stills, -8, axis=0) - stills).mean((1, 2, 3))
    assert steps.min() > 0
    assert steps.max() < apart.min()


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_generators_of_uniform_latents(uniform_gan, tmp_path, mode):
    stills = frames(walk(uniform_gan, tmp_path, mode=mode, frames=1))
    assert len(stills) == 6
    np.testing.assert_array_equal(stills[2], generated(uniform_gan, 1, 1)[0])


def test_no_frames_between_and_a_gif(gan, tmp_path):
    folder = walk(gan, tmp_path, frames=0, loop=False, format="gif", scale=1)
    with Image.open(folder / "walk.gif") as opened:
        assert (opened.n_frames, opened.size) == (3, (16, 16))
    assert np.asarray(Image.open(folder / "strip.png")).shape == (2 * 65 - 1, 2 * 65 - 1, 3)


def test_a_walk_is_made_again_after_an_interruption_or_with_newer_weights(gan, loop, tmp_path):
    folder = tmp_path / "walk"
    shutil.copytree(loop, folder)
    write_json(folder / "walk.json", json.loads((loop / "walk.json").read_text()) | {"step": 1, "digest": "older"})
    for name in ("frame_00003.png", "walk.png", "strip.png"):
        (folder / name).unlink()
    again = walk(gan, tmp_path)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in loop.iterdir()
    }


def test_another_walk_and_foreign_files_are_left_alone(gan, loop, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in loop.iterdir()}
    with pytest.raises(UserError, match="holds a walk with other anchors, num_frames, frames; give another"):
        walk(gan, tmp_path, root=str(loop), frames=3)
    assert {path: path.stat().st_mtime_ns for path in loop.iterdir()} == before
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "frame_00001.png").write_text("someone's")
    with pytest.raises(UserError, match=r"film has no walk\.json"):
        walk(gan, tmp_path, root=str(tmp_path / "film"))
    (tmp_path / "film" / "walk.json").write_text("[")
    with pytest.raises(UserError, match="is damaged"):
        walk(gan, tmp_path, root=str(tmp_path / "film"))
    assert (tmp_path / "film" / "frame_00001.png").read_text() == "someone's"
    with pytest.raises(UserError, match=r"cannot write to config\.root"):
        walk(gan, tmp_path, root=str(tmp_path / "film" / "frame_00001.png"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "cubic"}, "choose from linear, spherical"),
        ({"seeds": (4,)}, r"config.seeds is \(4,\): a walk needs two anchors"),
        ({"seeds": (), "count": 1}, "config.count is 1: a walk needs two anchors"),
        ({"seeds": (1, -1)}, "-1 in config.seed or config.seeds is no whole number"),
        ({"seeds": ("1", "2")}, "'1' in config.seed or config.seeds is no whole number"),
        ({"frames": -1}, "config.frames is -1"),
        ({"fps": 60}, "config.fps is 60"),
        ({"format": "mp4"}, "choose from apng, gif"),
    ],
    ids=str,
)
def test_walk_refuses_bad_settings_before_anything_is_written(gan, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        walk(gan, tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_the_command(gan, loop, tmp_path):
    done = command("--config=configs/interpolate.py:tiny", f"--workdir={tmp_path}", f"--config.generator={gan}")
    assert done.returncode == 0, done.stderr
    assert f"24 frames in {tmp_path / 'walk'}" in done.stdout
    for one, other in zip(frames(tmp_path / "walk"), frames(loop), strict=True):
        np.testing.assert_allclose(one.astype(int), other, atol=1)  # another batch size: sums in another order


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--config.mode=cubic"], ["cubic", "linear, spherical"]),
        (["--config.seeds=7,"], ["(7,)", "two anchors"]),
        (["--config.generator=tests"], ["tests is not a run folder"]),
    ],
    ids=["mode", "one anchor", "no run folder"],
)
def test_errors_take_one_line(tmp_path, arguments, parts):
    done = command("--config=configs/interpolate.py:tiny", f"--workdir={tmp_path}", *arguments)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]
