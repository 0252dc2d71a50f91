"""The loop as a user meets it: resuming after a kill, stopping, broken numbers, broken checkpoints."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from ganfp_jax.training import checkpoint

ROOT = Path(__file__).parent.parent


def run_main(workdir, config, *overrides, wait=True):
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config={config}", f"--workdir={workdir}", *overrides]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not wait:
        return process
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def logged_step(workdir):
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def saved_steps(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdigit())


def wait_until(condition, process, seconds=200):
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    pytest.fail("it never came so far")


def metrics_without_clock(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def assert_same_run(a, b):
    step_a, tree_a, _ = checkpoint.load(a)
    step_b, tree_b, _ = checkpoint.load(b)
    assert step_a == step_b
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(tree_a), jax.tree.leaves_with_path(tree_b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
    assert metrics_without_clock(a) == metrics_without_clock(b)


RUNS = {
    "progan": ("configs/progan.py:tiny", "--config.growing.total_kimg=3.2", "--config.growing.fade_kimg=1.6"),
    "sngan": ("configs/sngan.py:tiny", "--config.num_steps=200"),
    "attribution": ("configs/attribution.py:tiny", "--config.num_steps=200"),
}


@pytest.mark.parametrize("family", RUNS)
def test_a_killed_run_resumes_bit_for_bit(family, tmp_path, labelled_root):
    config, *overrides = RUNS[family]
    overrides += ["--config.checkpoint_every=40", "--config.log_every=5"]
    overrides += [f"--config.data.root={labelled_root}"] if family == "attribution" else ["--config.sample_every=60"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    status, _, err = run_main(undisturbed, config, *overrides)
    assert status == 0, err

    process = run_main(killed, config, *overrides, wait=False)
    # For ProGAN, step 50 lies inside the fade-in of its second resolution.
    wait_until(lambda: logged_step(killed) >= 50 and len(saved_steps(killed)) > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert saved_steps(killed)[-1] < saved_steps(undisturbed)[-1]

    status, _, err = run_main(killed, config, *overrides)
    assert status == 0, err
    assert_same_run(undisturbed, killed)
    for sample in (undisturbed / "samples").glob("*"):
        assert sample.read_bytes() == (killed / "samples" / sample.name).read_bytes()


def test_ctrl_c_saves_and_says_so(tmp_path):
    workdir = tmp_path / "run"
    overrides = ["--config.num_steps=100000", "--config.checkpoint_every=100000", "--config.log_every=5"]
    process = run_main(workdir, "configs/sngan.py:tiny", *overrides, wait=False)
    wait_until(lambda: logged_step(workdir) >= 20, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    [step] = saved_steps(workdir)
    assert f"saved at step {step} of 100000" in err
    assert "Traceback" not in err
    assert logged_step(workdir) == step


def test_nan_stops_with_the_last_good_step(tmp_path):
    workdir = tmp_path / "run"
    status, _, err = run_main(workdir, "configs/sngan.py:tiny", "--config.num_steps=8")
    assert status == 0, err
    # The same run goes on at a rate that throws the weights far away: the loss is not finite within a few steps.
    config = json.loads((workdir / "config.json").read_text())
    config["num_steps"], config["optimizer"]["learning_rate"] = 40, 1e38
    (workdir / "config.json").write_text(json.dumps(config))
    status, _, err = run_main(
        workdir, "configs/sngan.py:tiny", "--config.optimizer.learning_rate=1e38", "--config.num_steps=40"
    )
    assert status == 2
    assert "not finite at step" in err
    assert "the last good checkpoint is step 8" in err
    assert saved_steps(workdir) == [8]


def test_a_broken_checkpoint_is_named(tmp_path):
    workdir = tmp_path / "run"
    overrides = ["--config.num_steps=16", "--config.checkpoint_every=8"]
    status, _, err = run_main(workdir, "configs/sngan.py:tiny", *overrides)
    assert status == 0, err
    for path in (workdir / "checkpoints" / "16").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    status, _, err = run_main(tmp_path / "images", "configs/generate.py", f"--config.generator={workdir}")
    assert status == 2, err
    assert f"checkpoint {workdir / 'checkpoints' / '16'} cannot be read" in err
    assert "delete that folder to use step 8" in err
    assert len(err.strip().splitlines()) == 1
