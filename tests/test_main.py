"""The command as a user meets it, bad use above all: one clear line, a status that is not 0, nothing lost."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganfp_jax.run.errors import UserError, explain
from ganfp_jax.run.run_folder import open_run

ROOT = Path(__file__).parent.parent


def run(*arguments):
    command = [sys.executable, "-m", "ganfp_jax.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout, done.stderr


def assert_one_line(result, *parts):
    status, _, err = result
    lines = [line for line in err.splitlines() if line.strip()]
    assert status == 2, err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for part in parts:
        assert str(part) in lines[0], lines[0]


def images(folder, count=3):
    from PIL import Image

    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (16, 16), (40 * i, 10, 200)).save(folder / f"image_{i}.png")


def train_on(root):
    return run("--config=configs/attribution.py:tiny", f"--workdir={root.parent / 'run'}", f"--config.data.root={root}")


def test_main_tells_of_a_misspelt_key():
    assert_one_line(run("--config=configs/progan.py:tiny", "--config.sed=1"), "sed", "seed")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--config.steps=5", "there is no config.steps; did you mean config.num_steps?"),
        ("--wrkdir=x", "--wrkdir is no flag; did you mean --workdir?"),
        ("--config.num_steps=many", "invalid literal for int() with base 10: 'many'"),
        ("--config.job=dance", "config.job is 'dance'"),
    ],
)
def test_what_is_wrong_with_a_flag(argument, words):
    assert_one_line(run("--config=configs/attribution.py:tiny", argument), words)


ALONE = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *of: None if name == "configs" else found(name, *of)
from ganfp_jax.main import main
sys.exit(main(["main", *sys.argv[1:]]))
"""


def test_a_config_finds_its_neighbours_wherever_it_lies(tmp_path):
    """The package alone is installed, and the configs are a folder somewhere."""
    shutil.copytree(ROOT / "configs", tmp_path / "elsewhere")
    command = [sys.executable, "-P", "-c", ALONE, f"--config={tmp_path / 'elsewhere' / 'mmdgan.py'}", "--config.sed=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_one_line((done.returncode, done.stdout, done.stderr), "there is no config.sed; did you mean config.seed")


def test_main_tells_of_an_unknown_variant():
    assert_one_line(run("--config=configs/progan.py:tinny"), "tinny", "photos, celeba, lsun, celeba-smoke, tiny")


def test_main_tells_of_an_unknown_config_file():
    assert_one_line(
        run("--config=configs/dance.py"), "no config file configs/dance.py; choose from configs/ablation.py, "
    )
    assert_one_line(run("--config=prgan.py:tiny"), "no config file prgan.py; did you mean configs/progan.py?")


def test_a_space_does_for_the_equals_sign():
    assert_one_line(run("--config", "configs/progan.py:tinny"), "tinny", "photos, celeba, lsun, celeba-smoke, tiny")


def test_no_config():
    assert_one_line(run(), "give --config=configs/")
    assert_one_line(run("configs/progan.py:tiny"), "no config: write --config=configs/progan.py:tiny")


def test_help_is_quick_and_lists_the_flags():
    status, out, err = run("--help")
    assert status == 0 and not err
    assert "--workdir" in out and "ganfp JOB --help" in out and "\n  attribute " in out


def test_help_on_a_job_is_its_docstring():
    status, out, _ = run("--config=configs/audit.py:tiny", "--help")
    assert status == 0
    assert out.startswith("Audit a labelled folder: does anything but a fingerprint") and "--workdir" in out


@pytest.mark.parametrize("job", ["attribution", "evaluate"])
def test_missing_folder(tmp_path, job):
    missing = tmp_path / "nowhere"
    arguments = [f"--config=configs/{job}.py:tiny", f"--workdir={tmp_path / 'run'}", f"--config.data.root={missing}"]
    if job == "evaluate":
        arguments += [f"--config.checkpoint={missing}"]
    assert_one_line(run(*arguments), missing)


def test_main_tells_of_an_empty_class(tmp_path):
    images(tmp_path / "data" / "real")
    (tmp_path / "data" / "ProGAN").mkdir()
    result = train_on(tmp_path / "data")
    assert_one_line(result, tmp_path / "data" / "ProGAN", "no image file")


def test_main_tells_of_one_class_only(tmp_path):
    images(tmp_path / "data" / "real")
    result = train_on(tmp_path / "data")
    assert_one_line(result, "one source only", "real")


def test_workdir_of_another_config(tmp_path):
    arguments = ["--config=configs/generate.py:tiny", f"--workdir={tmp_path}"]
    status, _, err = run(*arguments)
    assert status == 0, err
    assert len(list((tmp_path / "images" / "real").glob("*.png"))) == 8
    assert_one_line(run(*arguments, "--config.seed=5"), tmp_path, "seed (0 there, 5 now)", "another --workdir")
    status, _, err = run(*arguments)
    assert status == 0, err


def test_workdir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_line(run("--config=configs/generate.py:tiny", f"--workdir={tmp_path / 'file'}"), tmp_path / "file")


def test_a_generator_is_not_a_network(tmp_path):
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "config.json").write_text(json.dumps({"job": "train", "program": "gan"}))
    result = run("--config=configs/evaluate.py:tiny", f"--workdir={tmp_path}/r", f"--config.checkpoint={tmp_path}/gan")
    assert_one_line(result, tmp_path / "gan", "no attribution network")


def test_two_runs_in_one_workdir(tmp_path):
    with open_run(tmp_path, {"a": 1}):
        second = open_run(tmp_path, {"a": 1})
        with pytest.raises(UserError, match="another process is running"):
            second.__enter__()


def test_a_config_read_back_is_the_same_config(tmp_path):
    config = {"a": (1, 2), "b": {"c": None, "d": 1e-8}}
    for _ in range(2):
        with open_run(tmp_path, config):
            pass


def test_main_says_in_words_that_the_disk_is_full():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("could not save") from error
    except ValueError as error:
        assert explain(error, Path("runs/x")).startswith("no space left on the device of runs/x; free some")
    tensorstore = ValueError("INTERNAL: Error writing ... [No space left on device]")
    assert "no space left" in explain(tensorstore, Path("runs/x"))


def test_main_tells_of_unforeseen_errors_in_one_line():
    assert explain(RuntimeError("first\nsecond"), None).startswith("RuntimeError: first second (not foreseen")


def test_published_variants_ask_for_their_images(tmp_path):
    result = run("--config=configs/progan.py:celeba", f"--workdir={tmp_path / 'run'}")
    assert_one_line(result, "folder of real images is not set", "--config.data.folder.root=DIR")
