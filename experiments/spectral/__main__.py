"""A spectral branch and more forms of images, beside the shipped set `photos32` on the images of its generators.

    python -m experiments.spectral --packages=DIR              # an estimated 20 minutes on two CPU cores; it resumes
    python -m experiments.spectral --variant=tiny --out=DIR    # the same path in a minute, on embedded photographs

`DIR` is that of `experiments.zoo`, whose images these are: the shipped generators draw them anew. Two networks are
trained as `configs/attribution.py:spectral` says, with the branch and without it; a quarter of their photographs are
seen at their own size. They, the shipped network and its baselines name the same images: clean, as JPEGs, and sent on
in other sizes. Nothing is chosen on the test images. It writes `results.jsonl`, `sent.jsonl`, `training.jsonl` and
`configs.json` beside this file, everything else to `runs/spectral`, and prints the tables.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.spectral import sent
from experiments.zoo.__main__ import GANS, keep_log, network_config
from experiments.zoo.__main__ import SIZES as ZOO
from experiments.zoo.images import make_images, write_crops, write_real
from experiments.zoo.measure import add_calibration, of_baselines, of_network, table
from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled, manifests
from ganfp_jax.interop import shipped
from ganfp_jax.jobs import train
from ganfp_jax.jobs.quickstart.parts import first_of_each
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run

HERE = Path(__file__).parent
SHIPPED = "photos32"
NETWORKS: dict[str, dict[str, Any]] = {"spectral": {}, "forms-alone": {"spectral_features": 0}}
"""The name of each training -> the settings of its model that are not those of the config."""

SIZES: dict[str, dict[str, Any]] = {
    "": {**ZOO[""], "real": {"train": {"reduced": 6000, "native": 2000}}, "sent": 250},
    "tiny": {"resolution": 32, "train": 24, "valid": 12, "test": 12, "real": {}, "sent": 4},
}
"""As those of the zoo; `sent` are of each source for the verdicts of `sent`."""
STEPS = {"num_steps": 6000, "checkpoint_every": 500}


def write_native(workdir: Path, packages: Path | None, sizes: Mapping[str, Any]) -> None:
    """Writes crops of the calibration's photographs at their own size; without packages, of the embedded ones."""
    root, count = workdir / "images" / "native", 2 * sizes["sent"]
    if manifests.read_manifest(root):
        return
    if packages is None:
        write_real(root, None, "valid", count, sizes["resolution"])
    else:
        origin = write_crops(root, packages, "valid", {"native": count}, sizes["resolution"])
        manifests.write_manifest(root, ["real"], {"real": origin})


def train_networks(workdir: Path, variant: str, sizes: Mapping[str, Any]) -> None:
    """Trains the networks that are missing and finds out when they are unsure."""
    for name, settings in NETWORKS.items():
        config = network_config(workdir / "images" / "train", f"spectral-{variant}" if variant else "spectral")
        config["model"] |= settings
        config |= {} if variant else STEPS
        config["resolution"] = config["data"]["crop_from"] = sizes["resolution"]
        with open_run(workdir / name, config):
            train.run(config, workdir / name)
        add_calibration(workdir / name, workdir / "images" / "valid")


def measure(workdir: Path, sizes: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of accuracies, and rows of verdicts on images that were sent on."""
    networks = {"shipped": Attributor.load(SHIPPED)} | {name: Attributor.load(workdir / name) for name in NETWORKS}
    cheap, classes = baselines.read(shipped.baselines(SHIPPED)), networks["shipped"].classes
    rows: list[dict[str, Any]] = []
    on: list[dict[str, Any]] = []
    for split in ("valid", "test"):
        folder = labelled.open_labelled(workdir / "images" / split, classes=classes)
        for name, attributor in networks.items():
            rows += of_network(name, attributor, folder, split)
        rows += of_baselines(cheap, labelled.Images(folder, sizes["resolution"]), split)
    some = labelled.Images(folder, sizes["resolution"]).part(first_of_each(folder, sizes["sent"]))
    native = labelled.open_labelled(workdir / "images" / "native", classes=classes)
    for name, attributor in networks.items():
        on += [{"images": "test", **row} for row in sent.verdicts(name, attributor, some)]
        own = sent.verdicts(name, attributor, labelled.Images(native, sizes["resolution"]), sent.WAYS[:1])
        on += [{"images": "native", **row} for row in own]
    return rows, on


def main() -> None:
    """Runs the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/"), help="where the packages were unpacked")
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("spectral" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes, clock = SIZES[arguments.variant], time.perf_counter()
    packages = None if arguments.variant else arguments.packages
    write_native(workdir, packages, sizes)
    make_images(workdir, [f"{SHIPPED}/{name}" for name in GANS], packages, sizes)
    train_networks(workdir, arguments.variant, sizes)
    rows, on = measure(workdir, sizes)
    for name, part in (("results", rows), ("sent", on)):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        atomic.write_bytes(arguments.out / f"{name}.jsonl", lines.encode())
    keep_log(workdir, [*NETWORKS], arguments.out)
    tested, native = ([row for row in on if row["images"] == images] for images in ("test", "native"))
    print("\n\n".join([table(rows), sent.table(tested, generated=True), sent.table(tested, generated=False)]))
    print(f"\nat their own size:\n\n{sent.table(native, generated=False)}\n\n{time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    main()
