"""The package can be imported where the system is no Unix, and whatever JAX keeps for itself."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Other packages may have their ways to do without; ours must not ask at all, as long as nothing needs them.
HIDE = """
import builtins, importlib, sys
ABSENT = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "jax._src")
found = builtins.__import__

def hidden(name, of=None, *rest, **named):
    caller = (of or {}).get("__name__", "")
    if caller.split(".")[0] == "ganfp_jax" or caller == "__main__":
        wanted = [name] + [f"{name}.{part}" for part in (rest[1] if len(rest) > 1 else named.get("fromlist")) or ()]
        if any(one == absent or one.startswith(absent + ".") for one in wanted for absent in ABSENT):
            raise ModuleNotFoundError(f"{caller} imports {name}")
    return found(name, of, *rest, **named)

builtins.__import__ = hidden
"""
ALL = """
import pathlib
for path in sorted(pathlib.Path("ganfp_jax").rglob("*.py")):
    module = ".".join(path.with_suffix("").parts)
    if "demo" not in module and "__main__" not in module:
        importlib.import_module(module)
from ganfp_jax import Attributor
print(Attributor.load("photos32").classes)
"""


def test_package_is_imported_without_the_modules_of_unix():
    done = subprocess.run([sys.executable, "-c", HIDE + ALL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'real'" in done.stdout


@pytest.mark.parametrize("statement", ["import fcntl", "from jax._src import distributed", "import jax._src.config"])
def test_the_check_finds_what_it_looks_for(statement):
    done = subprocess.run([sys.executable, "-c", f"{HIDE}\n{statement}"], cwd=ROOT, capture_output=True, text=True)
    assert "ModuleNotFoundError: __main__ imports" in done.stderr
