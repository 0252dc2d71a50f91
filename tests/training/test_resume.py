"""A run that was killed and goes on is bit for bit the run that was never stopped, for every family."""

import json
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from command_line import ROOT, logged_step, run_main, saved_steps
from running import run_job

from configs import progan
from ganfp_jax.training import checkpoint, growing
from ganfp_jax.training.checkpoint_choice import scores


def metrics_without_clock(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("images_per_second", "input_wait")} for row in rows]


def assert_same_run(a, b):
    step_a, tree_a, _ = checkpoint.load(a)
    step_b, tree_b, _ = checkpoint.load(b)
    assert step_a == step_b
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(tree_a), jax.tree.leaves_with_path(tree_b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
    assert metrics_without_clock(a) == metrics_without_clock(b)


RUNS = {
    "progan": {"growing.total_kimg": 0.56, "growing.fade_kimg": 0.4},
    "sngan": {"num_steps": 24},
    "cramergan": {"num_steps": 24},
    "mmdgan": {"num_steps": 24, "step.ema_decay": 0.9, "checkpoint_choice": "best_swd"},
    "attribution": {"num_steps": 24},
    "fingerprint": {"num_steps": 24},
}
LABELLED = ("attribution", "fingerprint")
# Three processes that compile for themselves; for one family, as well as they can.
THREE_PROCESSES = {
    "cramergan": {"JAX_ENABLE_COMPILATION_CACHE": "0"},
    "attribution": {"JAX_ENABLE_COMPILATION_CACHE": "0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": ""},
}
KILL_AT = 18
KILLED = """
import os, signal, sys, time
from pathlib import Path
from ganfp_jax import main
from ganfp_jax.training.logs import Logs

kill_at, workdir = int(sys.argv.pop(1)), sys.argv.pop(1)
scalars = Logs.scalars

def and_killed(logs, step, values):
    scalars(logs, step, values)
    if step >= kill_at:
        while not any(path.name.isdigit() for path in Path(workdir, "checkpoints").glob("*")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

Logs.scalars = and_killed
sys.exit(main.main())
"""


def fade_in():
    """The second resolution of ProGAN's run here."""
    config = progan.get_config("tiny")
    config.update_from_flattened_dict(RUNS["progan"])
    schedule = {key: value for key, value in config.growing.to_dict().items() if key != "repeats"}
    return growing.plan_stages(resolution=config.resolution, **schedule)[1]


def finish(family, workdir, settings):
    """The training to its end, in a process of its own for some families."""
    if family not in THREE_PROCESSES:
        run_job(f"{family}:tiny", workdir, settings)
        return
    status, _, err = run_main(*command_of(family, workdir, settings), environment=THREE_PROCESSES[family])
    assert status == 0, err


def kill(family, workdir, settings):
    """The training in another process, which kills itself after step `KILL_AT`, once a checkpoint was written."""
    command = [sys.executable, "-c", KILLED, str(KILL_AT), str(workdir), f"--workdir={workdir}"]
    _, config, *overrides = command_of(family, workdir, settings)
    command += [f"--config={config}", *overrides]
    env = os.environ | THREE_PROCESSES.get(family, {})
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def command_of(family, workdir, settings):
    return workdir, f"configs/{family}.py:tiny", *(f"--config.{key}={value}" for key, value in settings.items())


@pytest.mark.parametrize("family", RUNS)
def test_a_killed_run_resumes_bit_for_bit(family, tmp_path, labelled_root):
    settings = RUNS[family] | {"checkpoint_every": 8, "log_every": 2}
    settings |= {"data.root": labelled_root} if family in LABELLED else {}
    settings |= {"sample_every": 12} if family != "attribution" else {}
    settings |= {} if family in LABELLED else {"eval_every": 12}
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(family, undisturbed, settings)
    kill(family, killed, settings)
    resumed = saved_steps(killed)[-1]
    assert resumed < saved_steps(undisturbed)[-1]
    if family == "progan":  # both where it was stopped and where it goes on
        stage = fade_in()
        assert stage.first < resumed <= logged_step(killed) < stage.fade_until < stage.last
    samples = sorted(path.name for path in (undisturbed / "samples").glob("*"))
    assert bool(samples) == (family != "attribution")

    finish(family, killed, settings)
    assert_same_run(undisturbed, killed)
    assert scores(undisturbed) == scores(killed)
    assert bool(scores(killed)) == (family == "mmdgan")
    for name in samples:
        assert (undisturbed / "samples" / name).read_bytes() == (killed / "samples" / name).read_bytes()
