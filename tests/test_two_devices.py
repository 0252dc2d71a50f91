"""What needs two devices, and once more what must hold with XLA's convolutions too, in a process that has them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARKED = re.compile(r"pytest\.mark\.(two_devices|both_convolutions)")
FILES = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if MARKED.search(path.read_text())]


@pytest.mark.parametrize("steps", [True, False])  # which take about as long as the others together
def test_what_is_marked_holds_in_a_process_with_two_devices(steps):
    files = [path for path in FILES if path.endswith("test_steps.py") == steps]
    env = os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--override-ini=addopts="]
    command += ["--import-mode=importlib", "-m", "two_devices or both_convolutions", *files]
    done = subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
    assert len(files) == (1 if steps else 7)
