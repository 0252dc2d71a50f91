"""The attribution network in several forms, the fingerprint network and a control, on the study's images.

    python -m experiments.fingerprints                   # about twenty minutes after the quickstart from scratch
    python -m experiments.fingerprints --variant=tiny    # the same path in minutes; its numbers mean nothing

It trains each network, inspects its fingerprints (configs/inspect_fingerprints.py) and writes results.jsonl beside this
file, a line per network. The control is trained and tested like the classifier, on real images split in two at random;
any difference that it finds is no fingerprint.
"""

import argparse
import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.data import labelled
from ganfp_jax.report import wording

HERE = Path(__file__).parent
# Trainings: name -> (config, changes of its settings). The quickstart trains the default.
DEFAULT = "VisNet on residuals"
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "VisNet on residuals, not immunised": ("attribution", {"immunise.share": 0.0, "immunise.perturbations": ()}),
    "VisNet on residuals, post-pooling at 8": ("attribution", {"model.mode": "mean_pool", "model.switching_res": 8}),
    "VisNet on images": ("attribution", {"model.input": "image"}),
    "VisNet on images, pre-downscaled to 16": (
        "attribution",
        {"model.input": "image", "model.mode": "predownscale", "model.switching_res": 16},
    ),
    "fingerprint network": ("fingerprint", {}),
    "fingerprint network, a quarter of the steps": ("fingerprint", {"num_steps": 1500}),
}
CONTROL = "control"
BATCH_SIZE = 32  # batch size of the classifiers, as in the quickstart


def run(config: str, variant: str, workdir: Path, **settings: object) -> None:
    """Runs one job, unless it is done in `workdir`."""
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{config}.py{variant}"]
    subprocess.run([*command, f"--workdir={workdir}", *flags], check=True)


def write_halves(images: Path, root: Path, real: str = "real") -> None:
    """Copies the real images of both splits into two sources, `half_a` and `half_b`.

    A checksum of the file chooses the half, so an image in both splits is in the same half of both. Such images would
    lift the control above chance.
    """
    for split in labelled.SPLITS:
        files = sorted((images / split / real).iterdir())
        sides = np.array([zlib.crc32(file.read_bytes()) % 2 for file in files])
        for side, name in enumerate(("half_a", "half_b")):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in np.flatnonzero(sides == side):
                shutil.copyfile(files[i], folder / files[i].name)


def inspect(name: str, variant: str, network: Path, images: Path, folder: Path, real: str = "real") -> dict[str, Any]:
    """Inspects a network's fingerprints, tests it on JPEG images, and returns both as one flat row."""
    places = {"checkpoint": network, "data.root": images}
    run("inspect_fingerprints", variant, folder / "inspection", **places, real=real)
    run("evaluate", variant, folder / "jpeg75", **places, views="identity", perturb="jpeg75")
    metrics, jpeg = (json.loads((folder / part / "metrics.json").read_text()) for part in ("inspection", "jpeg75"))
    shares = ("accuracy", "correct", "total", "ci95", "per_class")
    return {
        "network": name,
        **{key: metrics[key] for key in shares},
        "jpeg75": {key: jpeg[key] for key in shares},
        "separability": without_curves(metrics["separability"]),
    }


def without_curves(block: Any) -> Any:
    """Separability without the points of its ROC curves, which only figures need."""
    return {k: without_curves(v) for k, v in block.items() if k != "roc"} if isinstance(block, dict) else block


def table(rows: list[dict[str, Any]]) -> str:
    """Accuracy and separability of the fingerprints as Markdown, a line per network."""
    head = ["network", "clean (95 %)", "JPEG 75 (95 %)", "real called real", "FD ratio", "pairs: ROC-AUC", "pairs: EER"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        space = row["separability"]["fingerprints"]
        measures = [space["frechet_ratio"], space["verification"]["auc"], space["verification"]["eer"]]
        real = row["per_class"].get("real")
        cells = [
            row["network"],
            *(
                f"{wording.percent(block['accuracy'])} ({wording.interval(block['ci95'])}), n = {block['total']}"
                for block in (row, row["jpeg75"])
            ),
            f"{wording.percent(real['accuracy'])} of {real['total']}" if real else "–",
            *(wording.measure(measure) for measure in measures),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Trains the missing networks, then writes results.jsonl and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="", help="of the configs, such as tiny")
    parser.add_argument("--forms", nargs="*", default=list(FORMS), choices=FORMS, help="which to train (default: all)")
    parser.add_argument("--out", type=Path, help="where results.jsonl goes (default: beside this file)")
    args = parser.parse_args()
    variant = f":{args.variant}" if args.variant else ""
    suffix = f"-{args.variant}" if args.variant else ""
    study, base = Path("runs") / f"quickstart-{args.variant or 'scratch'}", Path("runs") / f"fingerprints{suffix}"
    run("quickstart", variant or ":scratch", study)
    images = study / "images"
    rows = [inspect(DEFAULT, variant, study / "visnet-d4", images, base / "default")]
    for name in args.forms:
        config, settings = FORMS[name]
        folder = base / name.lower().replace(" ", "-").replace(",", "")
        size = {"batch_size": BATCH_SIZE} if config == "attribution" else {}
        run(config, variant, folder / "network", **{"data.root": images}, **size, **settings)
        rows.append(inspect(name, variant, folder / "network", images, folder))
    folder = base / CONTROL
    write_halves(images, folder / "images")
    run("attribution", variant, folder / "network", **{"data.root": folder / "images"}, batch_size=BATCH_SIZE)
    halves = "control: halves of the real images"
    rows.append(inspect(halves, variant, folder / "network", folder / "images", folder, real=""))
    out = (args.out or HERE) / "results.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
