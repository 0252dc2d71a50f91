"""Files are whole or absent, and what killed processes left is cleared away; what running ones write is not."""

import os
import subprocess
import sys
import threading
import time

import pytest

from ganfp_jax.run import atomic, run_folder

SLOW_WRITER = """
import sys, time
from ganfp_jax.run import atomic
with atomic.writer(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("open", flush=True)
    time.sleep(60)
"""


def slow_writer(path):
    process = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "open\n"
    return process


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "é" * 127, "生" * 85])
def test_a_name_as_long_as_a_folder_takes(tmp_path, name):
    atomic.write_bytes(tmp_path / name, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_killed_writer_left_is_swept_away(tmp_path):
    (tmp_path / "below").mkdir()
    process = slow_writer(tmp_path / "below" / "image.png")
    (left,) = (tmp_path / "below").iterdir()
    atomic.sweep(tmp_path)
    assert left.exists()  # its writer lives
    process.kill()
    process.communicate()
    atomic.sweep(tmp_path)
    assert list((tmp_path / "below").iterdir()) == []


HOLDER = """
import sys, time
from ganfp_jax.run import atomic
with atomic.locked(sys.argv[1], wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_process_until_it_ends(tmp_path):
    path = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError), atomic.locked(path, wait=False):
        pass
    threading.Timer(0.2, holder.kill).start()
    clock = time.perf_counter()
    with atomic.locked(path, wait=True):
        assert 0.1 < time.perf_counter() - clock < 30
    holder.communicate()


@pytest.mark.parametrize(
    "name", ["image.png", ".hidden", ".notes.tmp", ".image.png.elsewhere-99999999-1.tmp", "image.png.tmp"]
)
def test_other_files_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    atomic.sweep(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_run_begins_with_a_sweep(tmp_path):
    process = slow_writer(tmp_path / "metrics.json")
    process.kill()
    process.communicate()
    with run_folder.open_run(tmp_path, {"job": "x"}):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "config.json"}


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic.writer(path) as file:
        file.write(b"new")
        file.flush()
        os.fsync(file.fileno())
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
