"""The commands that pages show: the shell and the flags of ml_collections make the same config of them again."""

import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags as absl_flags
from ml_collections import config_flags

from ganfp_jax.run.command import command, quoted

ROOT = Path(__file__).parents[2]


def config_of(line, monkeypatch):
    """The config that a command line asks for, and its other flags."""
    python, *arguments = shlex.split(line)
    assert [python, *arguments[:2]] == ["python", "-m", "ganfp_jax.main"]
    monkeypatch.chdir(ROOT)  # configs are named from there
    monkeypatch.setattr(sys, "argv", arguments[1:])  # where ml_collections looks for the keys
    values = absl_flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    absl_flags.DEFINE_string("workdir", None, "", flag_values=values)
    assert values(arguments[1:])[1:] == []
    return values.config.to_dict(), values.workdir


@pytest.mark.parametrize("variant", ["default", "tiny"])
@pytest.mark.parametrize("name", ["evaluate", "ablation", "robustness", "inspect_fingerprints"])
def test_the_command_gives_the_config_again(name, variant, monkeypatch):
    config = importlib.import_module(f"configs.{name}").get_config(variant).to_dict()
    config.pop("command", None)
    config["seed"] = 11
    config["checkpoint"] = 'runs/it\'s "mine" $HOME/größe'
    config["data"] = {"root": "a folder/of images; rm *", "resize": "area", "layout": "auto"}
    if name == "inspect_fingerprints":
        config["fingerprint_limit"] = 0.25
    else:
        config["baselines"] |= {"methods": (), "immunised_methods": ("knn",), "images_per_source": 3}
    if name == "evaluate":
        config |= {"early_stopping": True, "perturb": "jpeg75"}
    if name == "ablation":
        config |= {"view_sets": ["d4", "identity,rot15"], "bootstrap": 7}
    if name == "robustness":
        del config["checkpoint"]
        config |= {"networks": {"a": "runs/a b", "x": "y's"}, "attacks": ("combination",), "immunised": ""}
    read, workdir = config_of(command(name, config, whole=("networks",)), monkeypatch)
    read.pop("command", None)
    assert json.loads(json.dumps(read)) == json.loads(json.dumps(config))
    assert workdir is None


def test_a_part_of_a_config_and_a_run_folder(monkeypatch):
    line = command("attribution", {"immunise": {"share": 0.0, "perturbations": ()}}, workdir="runs/my own")
    assert line == (
        "python -m ganfp_jax.main --config=configs/attribution.py '--workdir=runs/my own' --config.immunise.share=0.0 "
        "'--config.immunise.perturbations=()'"
    )
    config, workdir = config_of(line, monkeypatch)
    assert config["immunise"] == {"share": 0.0, "perturbations": ()}
    assert workdir == "runs/my own"


@pytest.mark.parametrize("name", ["a.png", "-x $HOME `id`.png", 'it\'s "mine".png', "größe 生成.png", "a\\b.png"])
def test_files_stand_at_the_end_as_the_shell_reads_them(name):
    line = command("attribute", {"checkpoint": "photos32"}, files=[name, "b.png"])
    assert shlex.split(line)[-3:] == ["--", name, "b.png"]
    assert command("attribute", {}).endswith("attribute.py")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the escapes are those of bash")
@pytest.mark.parametrize(
    "name", [b"two\nlines 'x' \\.png", b"byte\xffab.png", b"\x1b[31m.png", "\u202egnp.exe".encode()]
)
def test_what_no_line_can_show_is_escaped(name):
    word = quoted(os.fsdecode(name))
    assert word.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert said.stdout == name
