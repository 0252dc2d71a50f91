"""The curves of experiments/scaling: their points, their tables, and what stops them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.scaling import __main__ as scaling
from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parents[2]


def record(label, found, **settings):
    return {"part": "p", "label": label, "settings": settings, "found": found, "machine": {}}


def test_a_table_has_a_line_a_point_and_as_many_cells_as_headers():
    parts = scaling.make_parts("full", (1000, 50_000))
    seconds = {"median": 0.5, "low": 0.4, "high": 0.6}
    found = {
        "devices": {"step_images_per_second": 1, "vote_images_per_second": 2, "losses": [1.0], "logits": [[1.0]]},
        "folder": {"seconds": 10.0, "peak_mib": 300.0},
    }
    for name, part in parts.items():
        some = found.get(name, {"seconds": seconds, "peak_mib": 10.0, "parameters": 1_000_000})
        records = [record(label, some, **settings) for label, settings in part.points.items()]
        lines = scaling.table(part, records).splitlines()
        assert len(lines) == 2 + len(part.points)
        assert {line.count("|") for line in lines} == {len(part.headers) + 1}


def test_memory_by_further_file_is_measured_from_the_smallest_folder():
    records = [
        record(f"{files:,}", {"seconds": 2.0, "peak_mib": mib}, files=files)
        for files, mib in ((1000, 300), (3000, 302))
    ]
    assert scaling.folder_cells(records[0], records) == ("1,000", "2.0", "2.00", "300", "")
    assert scaling.folder_cells(records[1], records) == ("3,000", "2.0", "0.67", "302", "1.02")


def test_devices_that_differ_stop_the_run():
    same = {"losses": [2.0, 1.0], "logits": [[1.0, -4.0]]}
    records = [record("1 device", same), record("2 devices", same | {"losses": [2.0, 1.001]})]
    scaling.check_agreement(records)
    records.append(record("2 processes", same | {"logits": [[1.1, -4.0]]}))
    with pytest.raises(UserError, match=r"2 processes: logits differ by 2\.5e-02"):
        scaling.check_agreement(records)
    records[-1]["found"]["logits"] = [[np.nan, -4.0]]
    with pytest.raises(UserError, match="2 processes: logits differ by nan"):
        scaling.check_agreement(records)


def test_points_that_are_there_are_not_measured_again(tmp_path):
    command = [sys.executable, "-m", "experiments.scaling", "--variant=tiny", "--parts", "classes", f"--out={tmp_path}"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["2", "5"]
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (tmp_path / "results.jsonl").read_text().splitlines() == lines
    assert len({text.stdout[: text.stdout.rindex("|")] for text in (first, again)}) == 1


def test_a_point_that_fails_says_why():
    settings = scaling.make_parts("tiny", ())["classes"].points["2"] | {"model": {"fmap_bass": 8}}
    with pytest.raises(UserError, match=r"a point failed: .*fmap_bass"):
        scaling.measure(settings)
