"""The fuzzer makes the same files again, damages what it should, and notices every way in which one can fail."""

import argparse
import json
import os
import random
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from experiments.reliability import fuzz_decoder, mutations
from experiments.reliability.fuzz_decoder import READ, REFUSED, Outcome, fuzz, make_file, read_twice
from experiments.reliability.seeds import seeds
from ganfp_jax.data.decode import Refused, decode_image

SOUND = seeds()


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for Linux: the memory limit needs /proc")


def settings(tmp_path, **changes):
    return argparse.Namespace(**{"files": 12, "seed": 0, "workers": 1, "seconds": 10.0, "memory": 2.0} | changes)


def test_every_seed_is_sound_and_every_format_is_there(tmp_path):
    assert len(SOUND) > 40
    assert {"PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"} <= {name.split()[0] for name in SOUND}
    for name, content in SOUND.items():
        (tmp_path / "file").write_bytes(content)
        if name in ("TIFF F", "TIFF I", "PPM 16-bit"):
            with pytest.raises(Refused, match="no defined white"):
                decode_image(tmp_path / "file")
        else:
            assert decode_image(tmp_path / "file").shape == (24, 24, 3), name


def test_files_are_the_same_again_and_differ():
    made = [make_file(3, number, SOUND) for number in range(200)]
    assert made == [make_file(3, number, dict(SOUND)) for number in range(200)]
    assert make_file(4, 0, SOUND) != made[0]
    assert sum(content != SOUND[name] for name, content in made) > 180


@pytest.mark.parametrize(
    "mutation", [*mutations.BLIND, *dict.fromkeys(m for _, own in mutations.BY_FORMAT for m in own)]
)
def test_every_mutation_changes_files(mutation):
    fitting = [
        content for content in SOUND.values() if mutation in mutations.BLIND or mutation in mutations._own(content)
    ]
    assert fitting
    rng = random.Random(0)
    changed = [mutation(content, rng) != content for content in fitting for _ in range(40)]
    assert np.mean(changed) > 0.5


def test_checksums_of_a_png_are_right_again():
    for number in range(50):
        content = mutations.png_chunks(SOUND["PNG RGB"], random.Random(number))
        place = 8
        while place < len(content):
            (length,) = struct.unpack_from(">I", content, place)
            (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
            assert checksum == zlib.crc32(content[place + 4 : place + 8 + length])
            place += 12 + length
        assert place == len(content)


# --- what is noticed


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ((np.zeros((2, 2, 3), np.uint8),) * 2, READ),
        ((Refused("empty file"),) * 2, REFUSED),
        ((RuntimeError("x"),), "other exception"),
        ((MemoryError(),), "other exception"),
        ((Refused("two\nlines"),) * 2, "bad reason"),
        ((Refused(""),) * 2, "bad reason"),
        ((Refused("x" * 251),) * 2, "bad reason"),
        ((Refused("file.img is bad"),) * 2, "bad reason"),
        ((np.zeros((2, 2), np.uint8),) * 2, "bad array"),
        ((np.zeros((2, 2, 3)),) * 2, "bad array"),
        ((np.zeros((2, 2, 3), np.uint8)[:, ::-1],) * 2, "bad array"),
        ((np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)), "two outcomes"),
        ((np.zeros((2, 2, 3), np.uint8), Refused("empty file")), "two outcomes"),
        ((Refused("empty file"), Refused("not an image")), "two outcomes"),
    ],
)
def test_verdicts(results, verdict, monkeypatch):
    left = list(results)

    def decode(path):
        result = left.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(fuzz_decoder, "decode_image", decode)
    assert read_twice(Path("file.img")).verdict == verdict


def test_memory_that_nobody_wrote_is_noticed(monkeypatch):
    monkeypatch.setattr(fuzz_decoder, "decode_image", lambda path: np.empty((40, 40, 3), np.uint8))
    assert read_twice(Path("file.img")).verdict == "two outcomes"


def misbehave(connection, seed, numbers, folder, memory_gib):
    """A worker that dies of file 3, takes for ever over file 5, and has trouble with file 7."""
    connection.send(None)
    for number in numbers:
        if number == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 5:
            time.sleep(60)
        connection.send(Outcome("two outcomes" if number == 7 else READ, "", 2048))


@pytest.mark.parametrize("workers", [1, 3])
def test_crashes_and_hangs_are_counted_and_the_others_read_all_the_same(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_decoder, "work", misbehave)
    result, failures = fuzz(settings(tmp_path, workers=workers, seconds=1.0))
    assert {number: outcome.verdict for number, outcome in failures.items()} == {
        3: "crash",
        5: "hang",
        7: "two outcomes",
    }
    assert failures[3].detail == f"exit code {-signal.SIGSEGV}"
    assert result["read"] == 9 and result["failures"] == {"crash": 1, "hang": 1, "two outcomes": 1}
    assert result["peak_mib"] == 2


def test_fuzz_decoder_as_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fuzz_decoder", "--files=150", "--workers=2", f"--out={tmp_path / 'out'}"])
    with pytest.raises(SystemExit) as end:
        fuzz_decoder.main()
    assert end.value.code == 0
    result = json.loads((tmp_path / "out" / "results.jsonl").read_text())
    assert result["read"] + result["refused"] == 150 and result["read"] > 20 < result["refused"]
    assert sum(result["reasons"].values()) == result["refused"] and not result["failures"]
    assert f"| all | 150 | {result['read']} | {result['refused']} | 0 |" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.jsonl"]


def test_failures_are_kept_and_end_the_command_with_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fuzz_decoder, "work", misbehave)
    monkeypatch.setattr("sys.argv", ["fuzz_decoder", "--files=4", f"--out={tmp_path}"])
    with pytest.raises(SystemExit) as end:
        fuzz_decoder.main()
    assert end.value.code == 1
    assert (tmp_path / "failures" / "0-3.img").read_bytes() == make_file(0, 3, SOUND)[1]
    assert "file 3: crash" in capsys.readouterr().err
