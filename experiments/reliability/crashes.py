"""Does a job that is killed at any moment, and started again, leave what an undisturbed one leaves?

    python -m experiments.reliability.crashes                     # 20 kills of each job, about an hour on two cores
    python -m experiments.reliability.crashes --kills=1 --jobs generate evaluate

Each job is run once undisturbed; then, again and again in a new folder, it is killed (SIGKILL) at a random moment of
that time and started anew with the same command. Compared are the files by name, their bytes, the arrays of all
checkpoints and the records of data sets; of metrics.jsonl, metrics.json and the pages all but clock readings. An
attribution is also shared by two processes, each with a shard, of which one is killed and started anew: the merged
files are compared with those of one process, byte for byte. Then: a device that is full, a folder that cannot be
written to (both need the right to mount), and two runs in one folder. Prints a table, writes crashes.jsonl, and ends
with status 1 if anything differs.
"""

import argparse
import contextlib
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.run import atomic
from ganfp_jax.run.progress import progress

HERE = Path(__file__).parent
SHARDS = "attribute in shards"
# Keys of JSON files that no two runs agree on.
CLOCKS = {"images_per_second", "input_wait", "seconds", "seconds_fit", "seconds_predict", "created"}


def command(config: str, workdir: Path, **settings: object) -> list[str]:
    """The command line of a job."""
    parts = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{config}", f"--workdir={workdir}"]
    return parts + [f"--config.{key}={value}" for key, value in settings.items()]


def jobs(base: Path) -> dict[str, tuple[str, dict[str, object]]]:
    """Job -> (config, settings): long enough that most moments fall into the work itself."""
    often = {"checkpoint_every": 10, "log_every": 5}
    images: dict[str, object] = {"data.root": base / "images"}
    return {
        "train a GAN": ("progan.py:tiny", {**often, "growing.total_kimg": 1.6, "sample_every": 20}),
        "train attribution": ("attribution.py:tiny", {**often, **images, "num_steps": 200}),
        "train fingerprint": ("fingerprint.py:tiny", {**often, **images, "num_steps": 80, "sample_every": 20}),
        "generate": ("generate.py", {"generator": base / "gan", "count": 3000}),
        "evaluate": ("evaluate.py:tiny", {**images, "checkpoint": base / "attribution"}),
        "prepare": ("prepare.py", images),
        "attribute": ("attribute.py:tiny", _attribution(base)),
    }


def _attribution(base: Path) -> dict[str, object]:
    return {"images": base / "images", "checkpoint": base / "attribution", "part_size": 200}


def prepare(base: Path) -> None:
    """A generator, a labelled set and a network for the jobs to work on."""
    run(command("progan.py:tiny", base / "gan"))
    root = base / "images"
    run(command("generate.py:real", base / "real", root=root, count=1500, resolution=16))
    run(command("generate.py", base / "generated", generator=base / "gan", root=root, count=1500))
    run(command("attribution.py:tiny", base / "attribution", **{"data.root": root}))


def run(parts: list[str]) -> None:
    """Runs a job to its end.

    Raises:
        SystemExit: it fails.
    """
    done = subprocess.run(parts, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(parts)} ended with status {done.returncode}: {done.stderr[-2000:]}")


def contents(folder: Path) -> dict[str, Any]:
    """What a run left: file -> its content, without what no two runs agree on; checkpoints as their arrays."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == ".lock":
            continue
        if name.startswith("events."):  # named after the time; one for each start
            found["events"] = True
        elif name.startswith("checkpoints/"):
            found["/".join(name.split("/")[:2])] = True  # the arrays are compared below
        elif path.suffix in (".json", ".jsonl"):
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            found[name] = [_timeless(json.loads(line)) for line in lines]
        elif path.suffix == ".html":
            # Its numbers stand in metrics.json too; here they are left out, since some of them come from clocks.
            found[name] = re.sub(r"[\d.,:]+", "", path.read_text())
        elif "array_record" in name:
            found[name] = True  # its records are compared below: their fields are written in any order
        else:
            found[name] = path.read_bytes()
    dataset = folder / "dataset"
    if dataset.exists():
        from ganfp_jax.data import labelled

        for split in labelled.splits(dataset) or (None,):
            listed = labelled.open_labelled(dataset, split)
            contents_of = [record.read_bytes() for record in listed.paths]
            found[f"records {split}"] = (listed.names, listed.labels.tolist(), contents_of)
    if (folder / "checkpoints").exists():
        from ganfp_jax.training import checkpoint

        step, state, metadata = checkpoint.load(folder)
        found["checkpoint"] = (step, metadata)
        import jax

        for where, leaf in jax.tree.leaves_with_path(state):
            found[f"array {jax.tree_util.keystr(where)}"] = np.asarray(leaf).tobytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in CLOCKS}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The names of all that is missing, left over or different."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def kill_and_resume(parts: list[str], after: float | None) -> bool:
    """Starts a job, kills it after some seconds (None: never), and runs it again; whether that was before its end."""
    process = subprocess.Popen(parts, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    killed = process.poll() is None
    process.kill()
    process.wait()
    run(parts)
    return killed


def shards(base: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Two processes, each with a shard, of which one is killed and run again; their merged files are compared."""
    config, settings = jobs(base)["attribute"]
    run(command(config, base / "whole", **settings))
    expected, killed, wrong, seconds = _answers(base / "whole"), 0, [], 0.0
    folder, merged = base / "shards", base / "merged"
    with progress(kills, SHARDS, "kill") as bar:
        for kill in range(-1, kills):  # the first time, nothing is killed: how long does it take?
            clock = time.perf_counter()
            one, other = (command(config, folder / str(k), **settings, shard=f"{k}/2") for k in rng.sample((0, 1), 2))
            beside = subprocess.Popen(other, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            killed += kill_and_resume(one, rng.uniform(0.0, seconds) if kill >= 0 else None)
            wrong += [] if beside.wait() == 0 else ["status"]
            seconds = seconds or time.perf_counter() - clock
            run(command("merge.py", merged, parts=folder))
            wrong += differences(expected, _answers(merged))
            shutil.rmtree(folder)
            shutil.rmtree(merged)
            bar.update(int(kill >= 0))
    shutil.rmtree(base / "whole")
    return _row(SHARDS, kills, killed, seconds, expected, wrong)


def _answers(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", "config.json")}


def _row(
    job: str, kills: int, killed: int, seconds: float, expected: dict[str, Any], wrong: list[str]
) -> dict[str, Any]:
    return {
        "job": job,
        "kills": kills,
        "before_the_end": killed,
        "seconds": round(seconds, 1),
        "compared": len(expected),
        "differences": sorted(set(wrong)),
    }


@contextlib.contextmanager
def mounted(options: str) -> Iterator[Path | None]:
    """A small file system in memory, mounted with `options`; None where that is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        asked = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", name]
        if shutil.which("mount") is None or subprocess.run(asked, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def refusals(base: Path) -> list[dict[str, Any]]:
    """A full device, a folder that cannot be written to, a folder in use: each must be one clear line."""
    config, settings = jobs(base)["train attribution"]
    rows = []
    for what, options, expected in (
        ("full device", "size=300k", "no space left"),
        ("read-only folder", "ro,size=1m", "cannot write to"),
    ):
        with mounted(options) as folder:
            if folder is None:
                rows.append({"job": what, "kills": 0, "skipped": "mounting is not allowed here"})
                continue
            done = subprocess.run(
                command(config, folder / "run", **settings), capture_output=True, text=True, check=False
            )
            rows.append(_refusal(what, done.returncode, done.stderr, expected))
    workdir = base / "in-use"
    first = subprocess.Popen(command(config, workdir, **settings), stderr=subprocess.DEVNULL)
    while not (workdir / "metrics.jsonl").exists():
        time.sleep(0.05)
    second = subprocess.run(command(config, workdir, **settings), capture_output=True, text=True, check=False)
    first.kill()
    first.wait()
    rows.append(_refusal("folder in use", second.returncode, second.stderr, "another process is running in"))
    return rows


def _refusal(what: str, status: int, said: str, expected: str) -> dict[str, Any]:
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    good = status == 2 and len(lines) == 1 and expected in lines[0]
    without_place = [line.replace(tempfile.gettempdir(), "").replace("//", "/") for line in lines[:1]]
    wrong = [] if good else ["refusal"]
    return {"job": what, "kills": 0, "status": status, "said": without_place, "differences": wrong}


def main() -> int:
    """Runs, compares, writes and prints; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each job")
    names = [*jobs(Path()), SHARDS]
    parser.add_argument("--jobs", nargs="+", choices=names, default=names)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=HERE, help="where crashes.jsonl goes (default: beside this file)")
    args = parser.parse_args()
    rng, rows = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        prepare(base)
        for job in filter(SHARDS.__ne__, args.jobs):
            config, settings = jobs(base)[job]
            undisturbed = base / "undisturbed"
            run(command(config, undisturbed, **settings))  # compiles
            shutil.rmtree(undisturbed)
            clock = time.perf_counter()
            run(command(config, undisturbed, **settings))
            seconds = time.perf_counter() - clock
            expected, killed, wrong = contents(undisturbed), 0, []
            with progress(args.kills, job, "kill") as bar:
                for _ in range(args.kills):
                    workdir = base / "killed"
                    killed += kill_and_resume(command(config, workdir, **settings), rng.uniform(0.0, seconds))
                    wrong += differences(expected, contents(workdir))
                    shutil.rmtree(workdir)
                    bar.update()
            shutil.rmtree(undisturbed)
            rows.append(_row(job, args.kills, killed, seconds, expected, wrong))
        if SHARDS in args.jobs:
            rows.append(shards(base, args.kills, rng))
        rows += refusals(base)
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "crashes.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    print(table(rows))
    return int(any(row.get("differences") for row in rows))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| job | kills | before its end | files and arrays compared | differences |", "| --- " * 5 + "|"]
    for row in rows:
        if "skipped" in row:
            lines.append(f"| {row['job']} | | | | not tried: {row['skipped']} |")
        elif "said" in row:
            verdict = "one clear line" if not row["differences"] else f"wrong answer: {row['said']}"
            lines.append(f"| {row['job']} | | | | {verdict} |")
        else:
            wrong = ", ".join(row["differences"]) or "none"
            lines.append(f"| {row['job']} | {row['kills']} | {row['before_the_end']} | {row['compared']} | {wrong} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
