"""Do two versions of this project leave the same files?

    git worktree add ../before v0.2.0
    python -m experiments.reliability.two_versions ../before             # every config's :tiny, quarter of an hour
    python -m experiments.reliability.two_versions ../before --configs quickstart evaluate

Every config's `:tiny` is run by the version in the given checkout and by this one, in the same order, each in a folder
of its own, where later jobs use what earlier ones made. Compared is what `experiments.reliability.crashes` compares:
files by name, their bytes, arrays of checkpoints, records of data sets, JSON and pages but for clock readings; and what
is printed but for its numbers. Ends with status 1 if anything differs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.reliability.crashes import contents
from ganfp_jax.run.progress import progress

THIS = Path(__file__).parents[2]


def names_of(checkout: Path) -> list[str]:
    """The configs of a version; the study first, since the others use its images and networks."""
    names = sorted(path.stem for path in (checkout / "configs").glob("*.py") if path.stem != "__init__")
    return sorted(names, key="quickstart".__ne__)


def run_all(checkout: Path, names: list[str], base: Path) -> dict[str, str]:
    """Runs the `:tiny` of each config in `base`; config -> what it printed, but for numbers, and its exit status."""
    base.mkdir(parents=True)
    (base / "configs").symlink_to(checkout / "configs")  # the same command for both, which pages repeat
    printed = {}
    with progress(len(names), checkout.name, "job") as bar:
        for name in names:
            parts = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{name}.py:tiny"]
            environment = os.environ | {"PYTHONPATH": str(checkout)}
            done = subprocess.run(parts, cwd=base, env=environment, capture_output=True, text=True, check=False)
            printed[name] = re.sub(r"[\d.,:]+", "", done.stdout) + f"status {done.returncode}"
            bar.update()
    return printed


def different(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What differs in two values of JSON, by the path of its keys."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            place = f"{where}.{key}"
            if key not in after:
                yield f"{place} is missing"
            elif key not in before:
                yield f"{place} is new"
            else:
                yield from different(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from different(old, new, f"{where}[{number}]")
    elif before != after:
        yield f"{where} differs" + (f" ({before!r} -> {after!r})" if len(f"{before!r}{after!r}") < 200 else "")


def main() -> int:
    """Runs both, compares and prints; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout of the other version")
    parser.add_argument("--configs", nargs="+", help="by name (default: all that both versions have)")
    parser.add_argument("--out", type=Path, help="where both versions' folders are kept (default: nowhere)")
    args = parser.parse_args()
    both = [name for name in names_of(args.before) if name in names_of(THIS)]
    names = [name for name in both if not args.configs or name in args.configs]
    with tempfile.TemporaryDirectory() as scratch:
        base = args.out or Path(scratch)
        said = []
        for version, checkout in (("before", args.before.resolve()), ("after", THIS)):
            said.append(run_all(checkout, names, base / version))
        found = [contents_of_all(base / version) for version in ("before", "after")]
    lines = [f"{name}: prints otherwise" for name in names if said[0][name] != said[1][name]]
    lines += [line.removeprefix(".") for line in different(found[0], found[1])]
    count = len(found[0].keys() | found[1].keys())
    print("\n".join(lines))
    print(f"{len(names)} jobs, {count:,} files and arrays compared, {len(lines)} differences")
    return int(bool(lines))


def contents_of_all(base: Path) -> dict[str, Any]:
    """The contents of every run folder in `base`, with the folder before each name."""
    folders = sorted({path.parent for path in base.rglob("config.json")})
    whole = contents(base)
    for folder in folders:
        whole |= {
            f"{folder.relative_to(base)}/{name}": value
            for name, value in contents(folder).items()
            if name == "checkpoint" or name.startswith(("array ", "records "))
        }
    passed_over = ("/checkpoints/", "events.", ".lock", "configs")
    return {name: value for name, value in whole.items() if not any(part in name for part in passed_over)}


if __name__ == "__main__":
    sys.exit(main())
