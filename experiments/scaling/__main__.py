"""The growth of the cost with devices, views, batch, resolution, classes and the size of a folder.

    python -m experiments.scaling                                  # two CPU cores: a quarter of an hour
    python -m experiments.scaling --parts folder --files 1000 50000
    python -m experiments.scaling --variant=tiny                   # a minute; the numbers mean nothing

Every point is a process of its own, so that its peak memory is its own and its devices can be simulated. Each point,
when it is done, appends a line to results.jsonl. Then each part gets a table and a figure. Points with results from the
same machine and versions are not measured again.

The run stops where several devices, or two processes, give other losses or logits than one.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from experiments.benchmark.__main__ import describe, machine
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VIEWS = ("identity", "mirror", "rot180", "vertical_flip", "rot90", "rot270", "transpose", "anti_transpose")
TURNS = tuple(f"rot{degrees}" for degrees in (15, 30, 45, 60, 75, 105, 120, 135))  # these angles interpolate
AGREEMENT = 1e-3  # most difference of losses and logits after three steps, as a share of the largest
PHOTOS = 200  # number of different JPEGs in a folder


class Part(NamedTuple):
    """A curve: its points as {label: settings of `point.py`}, and the columns and axes of its table and figure."""

    points: dict[str, dict[str, Any]]
    headers: tuple[str, ...]
    cells: Callable[[dict[str, Any], list[dict[str, Any]]], tuple[str, ...]]
    x: str  # label of the axis


def make_parts(variant: str, files: Sequence[int]) -> dict[str, Part]:
    """All parts in order."""
    tiny = variant == "tiny"
    size = 16 if tiny else 64
    base: dict[str, Any] = {
        "job": "vote",
        "size": size,
        "batch": 4 if tiny else 32,
        "classes": 5,
        "views": VIEWS,
        "rounds": 3 if tiny else 15,
        "seconds": 0.1 if tiny else 20,
        "compare": False,
    }
    if tiny:
        base["model"] = {"fmap_base": 32}
    compared = base | {"compare": True, "size": 16 if tiny else 32, "batch": 16 if tiny else 32}
    counts = (1, 2) if tiny else (1, 2, 4, 8)
    devices = {f"{count} device" + "s" * (count > 1): compared | {"devices": count} for count in counts}
    devices["2 processes"] = compared | {"devices": 1, "num_processes": 2}
    numbers = (1, 2) if tiny else (1, 2, 4, 8, 16)
    batches, sizes = ((1, 4), (8, 16)) if tiny else ((1, 4, 16, 64, 256), (16, 32, 64, 128, 256))
    by_batch, by_size = (("step",), ("vote",)) if tiny else (("vote", "step"), ("vote", "step"))
    classes = (2, 5) if tiny else (2, 5, 10, 100, 1000)
    return {
        "devices": Part(
            devices,
            ("devices", "training, images/s", "vote, images/s", "loss differs by", "logits differ by"),
            device_cells,
            "devices",
        ),
        "views": Part(
            {str(count): base | {"views": (VIEWS + TURNS)[:count]} for count in numbers},
            ("views", "ms an image", "single views", "peak MiB"),
            view_cells,
            "views",
        ),
        "batch": Part(
            {f"{job}, {batch}": base | {"job": job, "batch": batch} for job in by_batch for batch in batches},
            ("job, batch", "ms an image", "peak MiB", "MiB an image"),
            memory_cells,
            "images a call",
        ),
        "resolution": Part(
            {f"{job}, {side}": base | {"job": job, "size": side} for job in by_size for side in sizes},
            ("job, side", "ms an image", "peak MiB", "MiB an image"),
            memory_cells,
            "pixels a side",
        ),
        "classes": Part(
            {str(count): base | {"views": ("identity",), "classes": count} for count in classes},
            ("classes", "ms an image", "parameters, millions"),
            class_cells,
            "classes",
        ),
        "folder": Part(
            {f"{count:,}": {"files": count} for count in ((20, 40) if tiny else files)},
            ("files", "seconds", "ms a file", "peak MiB", "KiB a further file"),
            folder_cells,
            "files",
        ),
    }


def milliseconds(record: dict[str, Any]) -> float:
    """The time per image in milliseconds."""
    seconds, settings = record["found"]["seconds"], record["settings"]
    if "files" in settings:
        return 1000 * seconds / settings["files"]
    return 1000 * seconds["median"] / settings["batch"]


def position(record: dict[str, Any]) -> float:
    """The position of a point on the axis: the last number of its label."""
    return float(record["label"].rpartition(" ")[2].replace(",", ""))


def device_cells(record: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table of devices."""
    found, first = record["found"], records[0]["found"]
    rates = (f"{found[f'{job}_images_per_second']:.0f}" for job in ("step", "vote"))
    differ = (f"{difference(found[what], first[what]):.1e}" for what in ("losses", "logits"))
    return (record["label"], *rates, *differ)


def view_cells(record: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table of views."""
    took, one = milliseconds(record), milliseconds(records[0])
    return record["label"], f"{took:.2f}", f"{took / one:.1f}", f"{record['found']['peak_mib']:.0f}"


def memory_cells(record: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the tables of batches and of sizes."""
    peak = record["found"]["peak_mib"]
    return record["label"], f"{milliseconds(record):.2f}", f"{peak:.0f}", f"{peak / record['settings']['batch']:.1f}"


def class_cells(record: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table of classes."""
    return record["label"], f"{milliseconds(record):.3f}", f"{record['found']['parameters'] / 1e6:.2f}"


def folder_cells(record: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table of folders, with the memory per file beyond the smallest folder's."""
    found, files, first = record["found"], record["settings"]["files"], records[0]
    further = files - first["settings"]["files"]
    slope = f"{1024 * (found['peak_mib'] - first['found']['peak_mib']) / further:.2f}" if further else ""
    return record["label"], f"{found['seconds']:.1f}", f"{milliseconds(record):.2f}", f"{found['peak_mib']:.0f}", slope


def difference(a: Any, b: Any) -> float:
    """The largest difference as a share of the largest value."""
    return float(np.abs(np.subtract(a, b)).max() / np.abs(b).max())


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """The figures of one point, from its processes."""
    if "files" in settings:
        return attribute_folder(settings["files"])
    settings = dict(settings)
    devices, processes = settings.pop("devices", None), settings.pop("num_processes", 1)
    environment = dict(os.environ)
    if devices:
        environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    together: list[dict[str, Any]] = [{}]
    if processes > 1:
        address = f"127.0.0.1:{_free_port()}"
        together = [{"coordinator": address, "num_processes": processes, "process_id": i} for i in range(processes)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "experiments.scaling.point", json.dumps(settings | one)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for one in together
    ]  # fmt: skip
    answers = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, answers, strict=True):
        if process.returncode:
            raise UserError(f"a point failed: {(errors.strip() or 'no message').splitlines()[-1]}")
    return json.loads(answers[0][0].splitlines()[-1])


def attribute_folder(files: int) -> dict[str, Any]:
    """The seconds and peak memory of `configs/attribute.py` on a folder of `files` JPEGs, with shipped weights."""
    with tempfile.TemporaryDirectory() as name:
        folder, workdir = Path(name) / "images", Path(name) / "run"
        make_folder(folder, files)
        command = [sys.executable, "-m", "ganfp_jax.main", "--config=configs/attribute.py", f"--workdir={workdir}"]
        start = time.perf_counter()
        with (Path(name) / "output").open("w+") as output:
            process = subprocess.Popen([*command, "--", str(folder)], cwd=ROOT, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            took = time.perf_counter() - start
            if status:
                output.seek(0)
                raise UserError(f"configs/attribute.py failed: {output.read().strip().splitlines()[-1]}")
        with (workdir / "predictions.csv").open() as table:
            lines = sum(1 for _ in table) - 1
        if lines != files:
            raise UserError(f"predictions.csv has {lines} lines for {files} files")
        return {"seconds": took, "peak_mib": usage.ru_maxrss / 1024}


def make_folder(folder: Path, files: int) -> None:
    """Writes `files` JPEGs of 96x96, with `PHOTOS` different contents."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    distinct = min(PHOTOS, files)
    for i in range(distinct):
        smooth = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)
        smooth.save(folder / f"{i:06d}.jpg", quality=90)
    for i in range(distinct, files):
        (folder / f"{i:06d}.jpg").hardlink_to(folder / f"{i % distinct:06d}.jpg")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def check_agreement(records: list[dict[str, Any]]) -> None:
    """Raises UserError where devices give other results than the one device of the first point."""
    for record in records[1:]:
        for what in ("losses", "logits"):
            differs = difference(record["found"][what], records[0]["found"][what])
            if not differs <= AGREEMENT:
                raise UserError(f"{record['label']}: {what} differ by {differs:.1e} of their size from one device's")


def table(part: Part, records: list[dict[str, Any]]) -> str:
    """The records of a part as Markdown."""
    lines = [f"| {' | '.join(part.headers)} |", f"|{'---|' * len(part.headers)}"]
    lines += [f"| {' | '.join(part.cells(record, records))} |" for record in records]
    return "\n".join(lines)


def draw(name: str, part: Part, records: list[dict[str, Any]], path: Path) -> None:
    """Draw a figure: throughput or time in the left panel, and memory, where measured, in a second panel."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    from ganfp_jax.report.figures import DPI, THEME

    with_memory = "peak_mib" in records[0]["found"] and name != "classes"
    with matplotlib.rc_context(THEME):
        drawn = Figure(figsize=(8 if with_memory else 5, 3.2), layout="constrained")
        panels = np.atleast_1d(drawn.subplots(1, 1 + with_memory))
        if name == "devices":
            for job, shown in (("step", "training"), ("vote", "vote over eight views")):
                rates = [record["found"][f"{job}_images_per_second"] for record in records]
                labels = [record["label"].partition(" device")[0] for record in records]
                panels[0].plot(labels, rates, "o-", label=shown)
            panels[0].set(xlabel=part.x, ylabel="images/s")
        else:
            for job in dict.fromkeys(record["settings"].get("job", "") for record in records):
                mine = [record for record in records if record["settings"].get("job", "") == job]
                across = [position(record) for record in mine]
                took = [milliseconds(record) for record in mine]
                panels[0].plot(across, took, "o-", label={"step": "training step"}.get(job, job))
                if with_memory:
                    panels[1].plot(across, [record["found"]["peak_mib"] for record in mine], "o-")
            panels[0].set(xlabel=part.x, ylabel="ms a file" if name == "folder" else "ms an image")
            if with_memory:
                panels[1].set(xlabel=part.x, ylabel="peak memory, MiB")
            ticks = sorted({position(record) for record in records})
            for panel in panels:
                panel.set_xscale("linear" if name == "views" else "log")
                panel.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
                panel.xaxis.set_minor_locator(NullLocator())
                if name in ("batch", "resolution"):
                    panel.set_yscale("log")
                    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    panel.yaxis.set_major_formatter("{x:g}")
                    panel.yaxis.set_minor_locator(NullLocator())
        for panel in panels:
            if panel.get_yscale() == "linear":
                panel.set_ylim(0, 1.08 * panel.dataLim.y1)
        if len(panels[0].lines) > 1:
            panels[0].legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=DPI, metadata={"Software": None})


def read_done(path: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of `path` from this machine with these versions."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return [r for r in records if all(r["machine"][key] == about[key] for key in about if key != "created")]


def main() -> None:
    """Measures the missing points, prints the tables and draws the figures."""
    args = _parse()
    parts = make_parts(args.variant, args.files)
    about, path = machine(), args.out / "results.jsonl"
    args.out.mkdir(parents=True, exist_ok=True)
    done = read_done(path, about)
    for name in args.parts:
        part: Part = parts[name]
        records: list[dict[str, Any]] = []
        with progress(len(part.points), name, "point") as bar:
            for label, settings in part.points.items():
                asked = json.loads(json.dumps(settings))  # lists for tuples, as in records
                matching = [record for record in done if (record["part"], record["settings"]) == (name, asked)]
                if not matching:
                    record = {"part": name, "label": label, "settings": asked}
                    record |= {"found": measure(settings), "machine": about}
                    with path.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                    matching = [record]
                records.append(matching[0])
                bar.update()
        if name == "devices":
            check_agreement(records)
        draw(name, part, records, args.out / f"{name}.png")
        print(f"\n{name}\n\n{table(part, records)}")
    print(f"\n{describe(about)}; {about['created']}.")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = tuple(make_parts("tiny", ()))
    parser.add_argument("--variant", choices=("full", "tiny"), default="full")
    parser.add_argument("--parts", nargs="+", choices=names, default=names, help="which (default: all)")
    files = (1000, 2000, 5000, 10_000, 20_000, 50_000)
    parser.add_argument("--files", type=int, nargs="+", default=files, help="sizes of the folders")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
