"""A run that was killed and goes on is bit for bit the run that was never stopped, for every family."""

import json
import signal

import jax
import numpy as np
import pytest
from command_line import logged_step, run_main, saved_steps, wait_until
from running import run_job

from configs import progan
from ganfp_jax.training import checkpoint, growing


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
    "progan": {"growing.total_kimg": 3.2, "growing.fade_kimg": 2.4},
    "sngan": {"num_steps": 200},
    "cramergan": {"num_steps": 200},
    "mmdgan": {"num_steps": 200},
    "attribution": {"num_steps": 200},
    "fingerprint": {"num_steps": 120},
}
LABELLED = ("attribution", "fingerprint")
# Three processes that compile for themselves; for one family, as well as they can.
THREE_PROCESSES = {
    "sngan": {"JAX_ENABLE_COMPILATION_CACHE": "0"},
    "attribution": {"JAX_ENABLE_COMPILATION_CACHE": "0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"},
}
KILL_AT = 50


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
    """Begins the training in another process and kills it after step `KILL_AT`, once a checkpoint was written."""
    environment = THREE_PROCESSES.get(family, {})
    process = run_main(*command_of(family, workdir, settings), wait=False, environment=environment)
    wait_until(lambda: logged_step(workdir) >= KILL_AT and len(saved_steps(workdir)) > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def command_of(family, workdir, settings):
    return workdir, f"configs/{family}.py:tiny", *(f"--config.{key}={value}" for key, value in settings.items())


@pytest.mark.parametrize("family", RUNS)
def test_a_killed_run_resumes_bit_for_bit(family, tmp_path, labelled_root):
    settings = RUNS[family] | {"checkpoint_every": 40, "log_every": 5}
    settings |= {"data.root": labelled_root} if family in LABELLED else {}
    settings |= {"sample_every": 60} if family != "attribution" else {}
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
    for name in samples:
        assert (undisturbed / "samples" / name).read_bytes() == (killed / "samples" / name).read_bytes()
