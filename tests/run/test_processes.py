"""Two processes on one machine train and evaluate as one does, and only the first of them writes."""

import csv
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import ROOT, logged_step, run_main, saved_steps, wait_until
from running import run_job

from ganfp_jax.data import perturb
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import checkpoint, loop


def start_two(command):
    """The command in two processes; `{address}` in it becomes the first one's and `{id}` 0 and 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        subprocess.Popen(
            [part.replace("{address}", address).replace("{id}", str(i)) for part in command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]


def ends_of(started):
    """(status, standard output, standard error) of each process, when it has ended."""
    results = [process.communicate(timeout=600) for process in started]
    return [(process.returncode, *texts) for process, texts in zip(started, results, strict=True)]


def command_of(name, workdir, settings):
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{name}.py:tiny", f"--workdir={workdir}"]
    command += [f"--config.{key}={value}" for key, value in settings.items()]
    return [*command, "--coordinator={address}", "--num_processes=2", "--process_id={id}"]


def run_two(name, workdir, settings):
    """The job in two processes: (status, standard output, standard error) of each."""
    return ends_of(start_two(command_of(name, workdir, settings)))


def run_both(name, root, settings):
    """The job in two processes, in `root`/two, and in this one, in `root`/one."""
    for status, _, err in run_two(name, root / "two", settings):
        assert status == 0, err
    run_job(f"{name}:tiny", root / "one", settings)


def assert_same_parameters(workdir, like, left_out=lambda path: False):
    (step, state, metadata), (like_step, like_state, like_metadata) = map(checkpoint.load, (workdir, like))
    assert (step, metadata) == (like_step, like_metadata)
    compared = 0
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(state), jax.tree.leaves_with_path(like_state), strict=True):
        name = jax.tree_util.keystr(path)
        if "params" in name and not left_out(name):
            np.testing.assert_allclose(x, y, atol=1e-5, err_msg=name)
            compared += 1
    assert compared > 8
    return step


@pytest.fixture(scope="module")
def trained(labelled_root, tmp_path_factory):
    """The same training by two processes and by one."""
    root = tmp_path_factory.mktemp("processes")
    settings = {"data.root": labelled_root, "num_steps": 8, "checkpoint_every": 8, "log_every": 4}
    # On disk, so that each process reads its own part; half of the images are perturbed.
    run_both("attribution", root, settings | {"data.cache_gib": 0.0})
    return root


def test_two_processes_train_as_one(trained):
    assert assert_same_parameters(trained / "two", trained / "one") == 8


def test_one_of_them_writes(trained):
    files = {path.name.split(".")[0] for path in (trained / "two").iterdir()}
    assert files == {path.name.split(".")[0] for path in (trained / "one").iterdir()}
    assert len(list((trained / "two").glob("events.*"))) == 1
    rows = [json.loads(line) for line in (trained / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8]


def test_two_processes_evaluate_as_one(trained, labelled_root):
    settings = {"data.root": labelled_root / "train", "checkpoint": trained / "two", "perturb": "noise5"}
    settings["baselines.methods"] = ()
    (status, out, err), (other_status, other_out, other_err) = run_two("evaluate", trained / "evaluated-two", settings)
    assert (status, other_status) == (0, 0), err + other_err
    assert "predictions:" in out and "predictions:" not in other_out
    run_job("evaluate:tiny", trained / "evaluated-one", settings)
    tables = []
    for name in ("evaluated-two", "evaluated-one"):
        with (trained / name / "predictions.csv").open() as file:
            tables.append(list(csv.reader(file)))
    for two, one in zip(*tables, strict=True):
        assert two[:3] == one[:3] and two[4] == one[4]
    metrics = [json.loads((trained / name / "metrics.json").read_text()) for name in ("evaluated-two", "evaluated-one")]
    assert metrics[0]["confusion"] == metrics[1]["confusion"] and metrics[0]["total"] > 10


def test_a_refusal_of_the_first_ends_both(trained, labelled_root):
    settings = {"data.root": labelled_root, "num_steps": 9}
    (status, _, err), (other_status, _, other_err) = run_two("attribution", trained / "two", settings)
    assert (status, other_status) == (2, 2)
    assert "config.num_steps is 9, the run there was begun with 8" in err
    assert "process 0 failed, and the others end with it: " in other_err
    assert "config.num_steps is 9, the run there was begun with 8" in other_err


def test_a_gan_that_one_process_is_asked_to_stop_goes_on_as_if_nothing_had_been(tmp_path):
    """Both stop at one step; the same command again ends where one process that was never stopped does."""
    settings = {"num_steps": 30, "batch_size": 8, "log_every": 1, "eval_images": 0}
    settings |= {"eval_every": 30, "sample_every": 30, "checkpoint_every": 30, "step.critic_steps": 1}
    command = command_of("sngan", tmp_path / "two", settings)
    started = start_two(command)
    wait_until(lambda: logged_step(tmp_path / "two") >= 1, started[0])
    started[1].send_signal(signal.SIGTERM)
    for status, _, err in ends_of(started):
        assert status == 130, err
        assert "stopped: saved at step" in err
    (stopped,) = saved_steps(tmp_path / "two")
    assert 0 < stopped < 30 and stopped % loop.ASK_EVERY == 0
    for status, _, err in ends_of(start_two(command)):
        assert status == 0, err
    run_job("sngan:tiny", tmp_path / "one", settings)
    # A bias before a batch norm has no gradient but rounding, of which Adam makes whole steps.
    assert_same_parameters(tmp_path / "two", tmp_path / "one", lambda name: "generator" in name and "bias" in name)


def test_two_processes_train_the_fingerprint_network_as_one(tmp_path, labelled_root):
    settings = {"num_steps": 3, "batch_size": 8, "log_every": 3, "sample_every": 3, "checkpoint_every": 3}
    run_both("fingerprint", tmp_path, settings | {"data.root": labelled_root})
    assert assert_same_parameters(tmp_path / "two", tmp_path / "one") == 3


FAILING = """
import sys, threading, time
from ganfp_jax.run import processes
coordinator, process, failing = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
processes.start(coordinator, 2, process)
processes.anywhere(False)
processes.end_with_others()
print(time.time(), flush=True)
if process == failing:
    processes.end(2, "x.png was readable when the run began, but now: truncated file")
threading.Event().wait()  # as in a collective, out of reach of exceptions and of the other's signals
"""


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_ends_all_at_once_and_all_say_why(failing):
    ended = ends_of(start_two([sys.executable, "-c", FAILING, "{address}", "{id}", str(failing)]))
    said = "x.png was readable when the run began, but now: truncated file"
    for process, (status, out, err) in enumerate(ended):
        assert status == 2 and time.time() - float(out.split()[-1]) < 60  # JAX alone notices after 100 s, if at all
        other = "" if process == failing else f"process {failing} failed, and the others end with it: "
        assert f"error: {other}{said}\n" in err


KILLED = """
import os, signal, sys, threading
import numpy as np
from ganfp_jax.run import processes
coordinator, process, killed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
processes.start(coordinator, 2, process)
processes.end_with_others()
print("error of Python", file=sys.stderr)
os.write(2, b"error of C++\\n")
if process == killed:
    os.kill(os.getpid(), signal.SIGKILL)
try:
    processes.anywhere(False)
    threading.Event().wait()
except Exception as error:
    processes.end(1, str(error))
"""


def test_a_killed_first_process_ends_the_other_with_one_line():
    killed, (status, _, err) = ends_of(start_two([sys.executable, "-c", KILLED, "{address}", "{id}", "0"]))
    assert killed[0] == -signal.SIGKILL
    assert status in (1, -signal.SIGABRT)  # C++ ends it, if no collective has noticed before
    told = sorted(line for line in err.splitlines() if not line.startswith("[Gloo]"))
    assert told == sorted(["error of Python", "error of C++", f"error: {processes.LOST}"])


def test_processes_that_were_started_alike_agree():
    alike = {"config": {"seed": 0, "data": {"root": "a"}}, "workdir": "runs/a", "versions": {"jax": "1"}}
    assert processes.disagreement([alike, alike]) == ""
    other = alike | {"config": {"seed": 1, "data": {"root": "b"}}}
    assert processes.disagreement([alike, alike, other]) == (
        "the processes were not started alike: config.data.root ('a' in process 0, 'b' in 2), "
        "config.seed (0 in process 0, 1 in 2); give all of them the same command"
    )
    newer = alike | {"versions": {"jax": "2"}}
    assert "versions.jax ('1' in process 0, '2' in 1)" in processes.disagreement([alike, newer])
    processes.agree(alike["config"], Path("runs/a"))  # one process agrees with itself


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")])
def test_a_port_in_use_is_told_before_jax_meets_it(family, host):
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = rf"--coordinator=127\.0\.0\.1:{port}: port {port} cannot be used \(Address already in use\)"
        with pytest.raises(UserError, match=told):
            processes.start(f"127.0.0.1:{port}", 2, 0)
    processes._check_port(f"127.0.0.1:{port}")  # free again


def test_a_first_process_that_does_not_answer_is_told():
    waiting = "from ganfp_jax.run import processes; processes.START = 1; processes.start('127.0.0.1:1', 2, 1)"
    ended = subprocess.run([sys.executable, "-c", waiting], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --coordinator=127.0.0.1:1: the first process does not answer within 1 sec")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("127.0.0.1:1", 2, 2), "needs --num_processes=N"),
        (("here", 2, 0), "is not HOST:PORT"),
        (("here:65536", 2, 0), "is not HOST:PORT"),
    ],
)
def test_start_refuses_before_it_waits(arguments, message):
    with pytest.raises(UserError, match=message):
        processes.start(*arguments)


def test_flags_that_are_missing_are_told_in_one_line(tmp_path):
    status, _, err = run_main(tmp_path / "run", "configs/attribution.py:tiny", "--coordinator=127.0.0.1:1")
    assert status == 2 and "needs --num_processes=N and --process_id" in err and "got None and None" in err
    assert err.count("\n") == 1


def test_other_jobs_run_in_one_process(tmp_path):
    status, _, err = run_main(tmp_path / "run", "configs/generate.py:tiny", "--coordinator=auto")
    assert status == 2 and "the job generate runs in one process" in err


def test_one_process_is_all_of_them():
    assert processes.first() and not processes.several()
    assert processes.gather(b"x") == [b"x"] and processes.anywhere(True) and not processes.anywhere(False)
    np.testing.assert_array_equal(processes.share(np.arange(5)), np.arange(5))


def test_a_part_of_a_batch_is_perturbed_as_in_the_whole():
    images = np.random.RandomState(0).randint(0, 256, (16, 8, 8, 3), np.uint8)
    settings = {"share": 0.5, "perturbations": ("jpeg50-95", "noise5-20")}
    whole = perturb.immunise(images, np.random.default_rng(3), **settings)
    for first in (0, 8):
        part = perturb.immunise(images[first : first + 8], np.random.default_rng(3), first=first, total=16, **settings)
        np.testing.assert_array_equal(part, whole[first : first + 8])
    assert 2 < (whole != images).any((1, 2, 3)).sum() < 14
