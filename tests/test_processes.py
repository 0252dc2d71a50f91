"""Two processes on one machine train and evaluate as one does, and only the first of them writes."""

import csv
import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from command_line import ROOT, run_main

from ganfp_jax import processes
from ganfp_jax.data import perturb
from ganfp_jax.errors import UserError
from ganfp_jax.training import checkpoint


def run_two(workdir, config, *overrides):
    """The job in two processes: (status, standard output, standard error) of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config={config}", f"--workdir={workdir}", *overrides]
    command += [f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    started = [
        subprocess.Popen(
            [*command, f"--process_id={i}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for i in range(2)
    ]
    results = [process.communicate(timeout=600) for process in started]
    return [(process.returncode, *texts) for process, texts in zip(started, results, strict=True)]


@pytest.fixture(scope="module")
def trained(labelled_root, tmp_path_factory):
    """The same training by two processes and by one."""
    root = tmp_path_factory.mktemp("processes")
    overrides = [f"--config.data.root={labelled_root}", "--config.num_steps=8", "--config.checkpoint_every=8"]
    # On disk, so that each process reads its own part; half of the images are perturbed.
    overrides += ["--config.data.cache_gib=0", "--config.log_every=4"]
    for status, _, err in run_two(root / "two", "configs/attribution.py:tiny", *overrides):
        assert status == 0, err
    status, _, err = run_main(root / "one", "configs/attribution.py:tiny", *overrides)
    assert status == 0, err
    return root


def test_two_processes_train_as_one(trained):
    step, two, metadata = checkpoint.load(trained / "two")
    like_step, one, like_metadata = checkpoint.load(trained / "one")
    assert (step, metadata) == (like_step, like_metadata) == (8, metadata)
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(two), jax.tree.leaves_with_path(one), strict=True):
        if "params" in jax.tree_util.keystr(path):
            np.testing.assert_allclose(x, y, atol=1e-5, err_msg=jax.tree_util.keystr(path))


def test_one_of_them_writes(trained):
    files = {path.name.split(".")[0] for path in (trained / "two").iterdir()}
    assert files == {path.name.split(".")[0] for path in (trained / "one").iterdir()}
    assert len(list((trained / "two").glob("events.*"))) == 1
    rows = [json.loads(line) for line in (trained / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8]


def test_two_processes_evaluate_as_one(trained, labelled_root):
    overrides = [f"--config.data.root={labelled_root / 'train'}", f"--config.checkpoint={trained / 'two'}"]
    overrides += ["--config.perturb=noise5", "--config.baselines.methods=()"]
    (status, out, err), (other_status, other_out, other_err) = run_two(
        trained / "evaluated-two", "configs/evaluate.py:tiny", *overrides
    )
    assert (status, other_status) == (0, 0), err + other_err
    assert "predictions:" in out and "predictions:" not in other_out
    status, _, err = run_main(trained / "evaluated-one", "configs/evaluate.py:tiny", *overrides)
    assert status == 0, err
    tables = []
    for name in ("evaluated-two", "evaluated-one"):
        with (trained / name / "predictions.csv").open() as file:
            tables.append(list(csv.reader(file)))
    for two, one in zip(*tables, strict=True):
        assert two[:3] == one[:3] and two[4] == one[4]
    metrics = [json.loads((trained / name / "metrics.json").read_text()) for name in ("evaluated-two", "evaluated-one")]
    assert metrics[0]["confusion"] == metrics[1]["confusion"] and metrics[0]["total"] > 10


def test_a_refusal_of_the_first_ends_both(trained, labelled_root):
    overrides = [f"--config.data.root={labelled_root}", "--config.num_steps=9"]
    (status, _, err), (other_status, _, other_err) = run_two(trained / "two", "configs/attribution.py:tiny", *overrides)
    assert (status, other_status) == (2, 2)
    assert "holds a run with another config" in err and "the first process was refused" in other_err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--coordinator=127.0.0.1:1"], "needs --num_processes=N and --process_id"),
        (["--coordinator=127.0.0.1:1", "--num_processes=2", "--process_id=2"], "needs --num_processes=N"),
        (["--coordinator=here", "--num_processes=2", "--process_id=0"], "is not HOST:PORT"),
    ],
)
def test_mistakes(tmp_path, flags, message):
    status, _, err = run_main(tmp_path / "run", "configs/attribution.py:tiny", *flags)
    assert status == 2 and message in err and err.count("\n") == 1


def test_other_jobs_run_in_one_process(tmp_path):
    status, _, err = run_main(tmp_path / "run", "configs/generate.py:tiny", "--coordinator=auto")
    assert status == 2 and "the job generate runs in one process" in err


def test_one_process_is_all_of_them():
    assert processes.first() and not processes.several()
    assert processes.gather(b"x") == [b"x"] and processes.anywhere(True) and not processes.anywhere(False)
    np.testing.assert_array_equal(processes.share(np.arange(5)), np.arange(5))


def test_start_refuses_before_it_waits():
    with pytest.raises(UserError, match="got None and None"):
        processes.start("127.0.0.1:1", None, None)


def test_a_part_of_a_batch_is_perturbed_as_in_the_whole():
    images = np.random.RandomState(0).randint(0, 256, (16, 8, 8, 3), np.uint8)
    settings = {"share": 0.5, "perturbations": ("jpeg50-95", "noise5-20")}
    whole = perturb.immunise(images, np.random.default_rng(3), **settings)
    for first in (0, 8):
        part = perturb.immunise(images[first : first + 8], np.random.default_rng(3), first=first, total=16, **settings)
        np.testing.assert_array_equal(part, whole[first : first + 8])
    assert 2 < (whole != images).any((1, 2, 3)).sum() < 14
