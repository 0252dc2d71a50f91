"""Running the command line in another process, and reading what it left in its run folder."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_main(workdir, config, *overrides, wait=True, environment=()):
    """Runs a job, or starts it without waiting."""
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config={config}", f"--workdir={workdir}", *overrides]
    env = os.environ | dict(environment)
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not wait:
        return process
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def logged_step(workdir):
    path = workdir / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may be half written
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
