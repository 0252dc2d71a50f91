"""The library of convolutions, built in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


NO_COMPILER = not any(map(shutil.which, ("c++", "g++", "clang++")))


def say(code, **environment):
    """What a process with one CPU device prints."""
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "GANFP_KERNELS": "auto"} | environment
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.split("\n")[-2]


BUILD = "from ganfp_jax.models.cpu import library; print(library.available())"
