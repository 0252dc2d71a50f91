"""Commands where there is no console, no home, no name of the user, no room: they work, or say in one line why not."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganfp_jax.run import atomic, cache, console, errors

ROOT = Path(__file__).parents[2]
MISTAKE = "--config=configs/prepare.py:tinny"


def shell(line, **environment):
    """(status, stdout, stderr) of a line for the shell, in which $RUN is the command."""
    env = os.environ | {"RUN": f"{sys.executable} -m ganfp_jax.main", "PYTHONUNBUFFERED": ""} | environment
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "status", "err"),
    [
        ("$RUN --help | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("$RUN --help >&-", 0, ""),
        ("$RUN --help 2>&- >/dev/null", 0, ""),
        ("$RUN --help >/dev/full", 1, "error: what was printed cannot be written (No space left on device); "),
        (f"$RUN {MISTAKE} 2>&-", 2, ""),
        (f"$RUN {MISTAKE} 2>/dev/full", 2, ""),
        (f"$RUN {MISTAKE} 2>&1 | true; exit ${{PIPESTATUS[0]}}", 2, ""),
        (f"$RUN {MISTAKE} 0>&- >&- 2>&-", 2, ""),
        (f"LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii $RUN {MISTAKE}=é", 2, "error: "),
        ("$RUN --config=$'x\\n\\e[31m\\xff.py'", 2, "error: no config file x\\n\\x1b[31m\\udcff.py; choose from"),
        (f"$RUN --config={'x' * 5000}.py", 1, f"error: {'x' * 300}... cannot be written or read (File name too long)"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="a shell and devices of Linux")
def test_a_console_that_is_none(line, status, err):
    found, _, said = shell(line)
    assert (found, said.count("\n")) == (status, bool(err))
    assert said.startswith(err)


def test_what_libraries_say_never_lands_in_a_file(tmp_path):
    """Where stderr is closed, its number would be that of the first file that is opened."""
    code = "import os; from ganfp_jax.run import console; console.prepare(); open('file', 'w'); os.write(2, b'said')"
    environment = {"CODE": code, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    status, _, _ = shell(f'cd {tmp_path} && $PYTHON -c "$CODE" 0>&- >&- 2>&-', **environment)
    assert status == 0
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="users without a name")
@pytest.mark.parametrize("home", [None, "read-only"])
def test_a_user_without_a_home_or_a_name(tmp_path, home):
    """As in containers: env -i, a number that is in no passwd."""
    (tmp_path / "read-only").mkdir(mode=0o555)
    (tmp_path / "tmp").mkdir()
    env = {"PATH": os.environ["PATH"], "JAX_PLATFORMS": "cpu", "TMPDIR": str(tmp_path / "tmp")}
    if home:
        env["HOME"] = str(tmp_path / home)
    command = [
        sys.executable,
        "-m",
        "ganfp_jax.main",
        "--config=configs/generate.py:tiny",
        f"--workdir={tmp_path / 'run'}",
    ]
    other = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    if subprocess.run([*other, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces")
    done = subprocess.run([*other, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "run").rglob("*.png"))) == 8


def no_home():
    raise RuntimeError("Could not determine home directory")


@pytest.mark.parametrize("kind", ["no home", "a file", "read-only", "another's"])
def test_a_cache_somewhere_else(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if kind == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", no_home)
    elif kind == "a file":
        (tmp_path / "cache").touch()
    elif kind == "read-only":
        monkeypatch.setattr(os, "access", lambda path, mode: "tmp/ganfp" in str(path))
    else:
        monkeypatch.setattr(cache, "is_owned", lambda status: (tmp_path / "tmp").exists())
    found = cache.folder("compiled")
    assert found == tmp_path / "tmp" / f"ganfp_jax-{os.getuid()}" / "compiled"
    assert found.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_others_could_write_to_is_emptied(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = cache.folder("compiled")
    assert place == tmp_path / "ganfp_jax" / "compiled"
    (place / "program").touch()
    assert cache.folder("compiled") == place
    assert (place / "program").exists()
    place.chmod(0o777)
    assert cache.folder("compiled") == place
    assert list(place.iterdir()) == [] and place.stat().st_mode & 0o777 == 0o700


def test_jaxs_own_variables_overrule_the_cache(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    monkeypatch.setattr(cache, "folder", no_home)
    cache.keep_compiled()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_device_is_that_of_the_file_that_was_written(tmp_path, monkeypatch):
    """Which may lie elsewhere than the run folder."""
    monkeypatch.setattr(Path, "open", lambda path, mode: open("/dev/full", mode, 0))  # noqa: PTH123, SIM115
    with pytest.raises(OSError, match="No space") as full:
        atomic.write_bytes(tmp_path / "copy" / "1.png", b"content")
    said = errors.explain(full.value, Path("runs/audit"))
    assert said.startswith(f"no space left on the device of {tmp_path}/copy/1.png; free some")


def test_a_full_device_is_named_where_a_library_does_not():
    with pytest.raises(OSError, match="No space") as full, atomic.on_device_of(Path("/data/set")):
        raise RuntimeError("Write failed: No space left on device [28]")
    assert errors.explain(full.value, Path("runs/x")).startswith("no space left on the device of /data/set; free")
    with pytest.raises(RuntimeError, match="other"), atomic.on_device_of(Path("/data/set")):
        raise RuntimeError("other")


@pytest.mark.parametrize("number", sorted(errors.REMEDIES))
def test_what_the_system_refuses_is_one_line_with_a_remedy(number):
    error = OSError(number, os.strerror(number), "/some/file")
    said = errors.explain(error, Path("runs/x"))
    assert said.startswith(f"/some/file cannot be written or read ({os.strerror(number)}); ") and "foreseen" not in said


def test_quota_is_room():
    error = OSError(errno.EDQUOT, "Disk quota exceeded", "/home/file")
    assert errors.explain(error, None).startswith("no space left on the device of /home/file")


def test_errors_that_caused_each_other_are_told():
    """An error that is raised again from what it had caused is its own cause."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert errors.explain(first, None).startswith("ValueError: first")


def test_a_line_is_one_line():
    assert console.one_line("a\nb\x1b[2J\ud800é²") == "a\\nb\\x1b[2J\\ud800é²"


SAYING = """
import os, sys
from ganfp_jax.run import console
with console.manner(json_lines={json}, quiet={quiet}):
    print("table")
    os.system("echo library")
    console.emit({{"name": "\u00e9"}})
    console.note("note")
    print("warning", file=sys.stderr)
console.emit({{"name": "nobody asks any more"}})
print("after")
"""


@pytest.mark.parametrize(
    ("json", "quiet", "out", "err"),
    [
        (False, False, ["after", "library", "table"], ["note", "warning"]),
        (True, False, ["after", '{"name": "\\u00e9"}'], ["library", "note", "table", "warning"]),
        (True, True, ["after", '{"name": "\\u00e9"}'], ["warning"]),
        (False, True, ["after"], ["warning"]),
    ],
)
def test_results_alone_are_printed_or_nothing(json, quiet, out, err):
    code = SAYING.format(json=json, quiet=quiet)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (sorted(done.stdout.splitlines()), sorted(done.stderr.splitlines())) == (out, err)


@pytest.mark.skipif(sys.platform != "linux", reason="a device of Linux")
def test_results_that_cannot_be_written():
    code = SAYING.format(json=True, quiet=True)
    status, _, err = shell('$PYTHON -c "$CODE" >/dev/full', CODE=code, PYTHON=sys.executable)
    assert status == 1
    assert "UserError: the results cannot be written (No space left on device); give another place" in err
