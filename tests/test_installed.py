"""The package as its users have it: a wheel, made of the source archive, in an environment of its own."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUICK = ("--views=identity", "--baselines.methods=()", "--baselines.immunised_methods=()")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    build("sdist", ROOT, folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    build("wheel", next(folder.glob("ganfp_jax-*/")), folder)
    return next(folder.glob("*.whl"))


def build(kind, source, folder):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder], cwd=source, check=True)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a command in an environment that has the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, str(wheel)], check=True)
    packages = next((folder / "env" / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))

    def run(command, *arguments, status=0):
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        line = [str(python.with_name(command)), *map(str, arguments)]
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def images(installed):
    """Images of two sources, made there."""
    installed("ganfp", "generate:real", "--count=4", "--root=images")
    quiet = installed("ganfp", "generate", "--generator=photos32/progan", "--count=4", "--root=images", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    return Path("images")


def test_the_wheel_has_the_package_and_its_configs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    folders = {"ganfp_jax": ROOT / "ganfp_jax", "ganfp_jax/configs": ROOT / "configs"}
    files = {f"{name}/{path.relative_to(root)}": path for name, root in folders.items() for path in root.rglob("*")}
    files = {name: path for name, path in files.items() if path.is_file() and "__pycache__" not in name}
    assert names.keys() == files.keys()
    assert all(names[name] == path.read_bytes() for name, path in files.items())


def test_help(installed):
    assert "Verdicts\n  attribute " in installed("ganfp", "--help").stdout
    assert "\n  --tiles=64\n" in installed("ganfp", "attribute", "--help").stdout
    long = installed("python", "-m", "ganfp_jax.main", "--config=configs/attribute.py", "--help")
    assert long.stdout == installed("ganfp", "attribute", "--help").stdout


def test_attribute(installed, images):
    done = installed("ganfp", "attribute", images, "missing.png", "--views=identity", "--json", status=3)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {"image": "missing.png", "reason": "no such file"}
    assert len(lines) == 9 and all(line["verdict"] for line in lines[1:])
    assert "predictions: runs/attribute/predictions.csv" in done.stderr


def test_evaluate(installed, images):
    done = installed("ganfp", "evaluate", "--checkpoint=photos32", f"--data.root={images}", *QUICK, "--json", "--quiet")
    assert json.loads(done.stdout)["total"] == 8 and done.stderr == ""


def test_the_python_interface(installed, images):
    code = "from ganfp_jax import Attributor; import ganfp_jax, glob; files = sorted(glob.glob('images/*/*.png'))\n"
    code += "print(ganfp_jax.__file__, *(found.tiles for found in Attributor.load('photos32').attribute(files)))"
    file, *tiles = installed("python", "-c", code).stdout.split()
    assert not file.startswith(str(ROOT)) and tiles == ["1"] * 8
