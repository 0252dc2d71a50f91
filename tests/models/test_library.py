"""The kept library of kernels: what is not the one that we wrote, for this machine, is never loaded but built anew."""

import ctypes
import functools
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kernels import BUILD, NO_COMPILER, say

from ganfp_jax.models.cpu import library
from ganfp_jax.run import cache
from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    """The process's own answer stays as it is: kernels that are registered cannot be so again from another file."""
    monkeypatch.setattr(library, "available", functools.cache(library.available.__wrapped__))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The library as one compilation leaves it; the tests copy what they damage."""
    if NO_COMPILER:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("cache")
    assert say(BUILD, XDG_CACHE_HOME=str(folder)) == "True"
    return folder / "ganfp_jax" / "kernels"


class Loaded(ctypes.CDLL):
    """What would be loaded, and is not."""

    def __init__(self, name):
        self.content = Path(name).read_bytes()


@pytest.fixture
def kept(tmp_path, monkeypatch, built):
    """A cache that holds it, of this process; what is built there anew is an empty library."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GANFP_KERNELS", "auto")
    folder = cache.folder("kernels")
    for path in built.iterdir():
        library._write(folder / path.name, path.read_bytes())
    monkeypatch.setattr(library.ctypes, "CDLL", Loaded)
    monkeypatch.setattr(library, "_register", lambda loaded: None)
    monkeypatch.setattr(library, "_compile", lambda compiler: b"built anew")
    return folder


def load():
    library.available.cache_clear()
    return library._load(again=False).content


def test_the_library_is_built_once_for_a_user(built):
    (path,) = built.glob("*.so")
    assert {each.suffix for each in built.iterdir()} == {".so", ".sha256"}
    inode = path.stat().st_ino
    assert say(BUILD, XDG_CACHE_HOME=str(built.parent.parent), GANFP_KERNELS="required") == "True"
    assert path.stat().st_ino == inode
    assert {stat.S_IMODE(each.stat().st_mode) for each in (built, *built.iterdir())} == {0o700, 0o600}


def test_a_sound_library_is_loaded(kept, built):
    (path,) = built.glob("*.so")
    assert load() == path.read_bytes()


def change(content):
    def damage(folder):
        (path,) = folder.glob("*.so")
        path.write_bytes(content(path.read_bytes()))

    return damage


def flipped(data):
    return data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]


def pipe(folder):
    (path,) = folder.glob("*.so")
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "cut": change(lambda data: data[: len(data) // 2]),
    "flipped": change(flipped),
    "empty": change(lambda data: b""),
    "garbage": change(lambda data: b"garbage" * 99),
    "no digest": lambda folder: next(folder.glob("*.sha256")).unlink(),
    "digest of another": lambda folder: next(folder.glob("*.sha256")).write_text("0" * 64),
    "open to others": lambda folder: next(folder.glob("*.so")).chmod(0o622),
    "in an open folder": lambda folder: folder.chmod(0o777),
    "in a folder of an open one": lambda folder: folder.parent.chmod(0o777),
    "a pipe": pipe,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_library_that_is_not_ours_is_built_anew(kept, name):
    DAMAGE[name](kept)
    assert load() == b"built anew"
    assert load() == b"built anew"  # and kept
    assert {stat.S_IMODE(each.stat().st_mode) for each in (kept, *kept.iterdir())} == {0o700, 0o600}


def test_the_library_of_another_processor_is_built_anew(kept, monkeypatch):
    """Also where it lies under the name of this one's."""
    (path,) = kept.glob("*.so")
    monkeypatch.setattr(library, "_processor", lambda: "another")
    renamed = kept / f"convolution-{library._key()}.so"
    path.rename(renamed)
    library._digest_of(path).rename(library._digest_of(renamed))
    assert load() == b"built anew"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners")
def test_the_folder_of_another_user_is_not_used(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.setattr(library.tempfile, "gettempdir", lambda: str(tmp_path))
    assert cache.folder("kernels") is None  # this one is not theirs, and neither is what is made here
    with pytest.raises(library.CannotBuild, match="set XDG_CACHE_HOME"):
        load()


def test_a_process_survives_a_damaged_library(built, tmp_path):
    """One that was cut short ended it with SIGBUS."""
    folder = tmp_path / "ganfp_jax" / "kernels"
    folder.mkdir(parents=True, mode=0o700)
    for path in built.iterdir():
        library._write(folder / path.name, path.read_bytes())
    DAMAGE["cut"](folder)
    assert say(BUILD, XDG_CACHE_HOME=str(tmp_path)) == "True"


def attempt(**environment):
    """(seconds, stdout, stderr) of a process that asks for the kernels."""
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "GANFP_KERNELS": "auto"} | environment
    clock = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return time.perf_counter() - clock, done.stdout.splitlines()[-1], done.stderr


def test_auto_says_in_one_line_why_there_are_no_kernels(tmp_path):
    _, answer, said = attempt(XDG_CACHE_HOME=str(tmp_path), CXX="false")
    assert answer == "False"
    assert said.count("\n") == 1
    assert "cannot be built (false ended with status 1); XLA's are used" in said
    with pytest.raises(subprocess.CalledProcessError) as failed:
        attempt(XDG_CACHE_HOME=str(tmp_path), CXX="false", GANFP_KERNELS="required")
    assert "GANFP_KERNELS=required, but the kernels cannot be built: false ended with" in failed.value.stderr


COMPILERS = {
    "#!/bin/sh\nexit 3": "c++ ended with status 3",
    "#!/bin/sh\necho x.cc:1: error: no such thing": "x.cc:1: error: no such thing",
    "#!/bin/sh\necho 'error: \033[31mred\033[0m' >&2; exit 1": r"error: \x1b[31mred\x1b[0m",
    "#!/bin/sh\nsleep 1000 & sleep 1000": "c++ did not end in 1 seconds",
}


@pytest.mark.parametrize(("script", "reason"), COMPILERS.items())
def test_a_compiler_that_fails_is_remembered_until_it_is_another(tmp_path, monkeypatch, capsys, script, reason):
    monkeypatch.setenv("GANFP_KERNELS", "auto")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler = tmp_path / "c++"
    compiler.write_text(script)
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", "c++")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(library, "PATIENCE", 1 if "sleep" in script else 60)
    runs = []
    run = library._run
    monkeypatch.setattr(library, "_run", lambda *arguments: (runs.append(1), run(*arguments))[1])
    for before in ("", "c++ failed before: "):
        library.available.cache_clear()
        assert not library.available()
        assert f"({before}{reason})" in capsys.readouterr().err
    assert len(runs) == 1
    monkeypatch.setenv("GANFP_KERNELS", "required")  # asks again
    library.available.cache_clear()
    with pytest.raises(UserError, match="required, but the kernels cannot be built"):
        library.available()
    assert len(runs) == 2
    monkeypatch.setenv("GANFP_KERNELS", "auto")
    compiler.write_text(f"{script}\n# updated")
    library.available.cache_clear()
    assert not library.available()
    assert len(runs) == 3


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("g++ '-O2", "CXX=g++ '-O2 cannot be understood: No closing quotation"),
        ("/no/such", "No such file or directory"),
    ],
)
def test_a_compiler_that_is_none(tmp_path, monkeypatch, capsys, compiler, reason):
    monkeypatch.setenv("GANFP_KERNELS", "auto")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    library.available.cache_clear()
    assert not library.available()
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1
