"""The shipped set `photos32`: four generators and the attribution network, trained on photographs from Debian.

    python -m experiments.zoo --packages=DIR               # about 75 minutes on two CPU cores; started again it goes on
    python -m experiments.zoo --packages=DIR --shipped     # the network alone, on images by the shipped generators
    python -m experiments.zoo --variant=tiny --out=DIR     # the same path in a minute, on embedded photographs

`DIR` has the unpacked packages of `photographs.csv` (`dpkg-deb -x PACKAGE.deb DIR`); use `/` where they are installed.
The network sees 44 photographs more than the generators did; those of `experiments.restorers.photographs` are fetched.
Neither the generators nor the network see the nine embedded photographs, which are kept for the test. It writes the
weights to `--out`, `results.jsonl` beside this file, and everything else to `runs/zoo`.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from configs import attribution, cramergan, mmdgan, progan, sngan
from experiments.restorers.photographs import fetch
from experiments.zoo.images import make_crops, make_images
from experiments.zoo.measure import add_calibration, of_baselines, of_network, table
from experiments.zoo.photographs import further
from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled
from ganfp_jax.interop import shipped, weights
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import train
from ganfp_jax.jobs.quickstart.parts import first_of_each
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import open_run, read_config, write_json

HERE = Path(__file__).parent
GANS = {"progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan}
NETWORK = "visnet"
BASELINE = "logistic_log_dct"

SIZES: dict[str, dict[str, Any]] = {
    "": {
        "resolution": 32,
        "crops": 20_000,
        "train": 8000,
        "valid": 1000,
        "test": 1000,
        "real": {"train": {"reduced": 8000, "native": 4000}, "valid": {"reduced": 500, "native": 500}},
        "baselines": 2000,
    },
    "tiny": {"resolution": 16, "crops": 64, "train": 48, "valid": 24, "test": 18, "real": {}, "baselines": 48},
}
"""Images of each source by split; the "real" ones of some splits are crops of photographs reduced and as they are."""


def gan_configs(crops: Path, variant: str) -> dict[str, dict[str, Any]]:
    """The four trainings: the `:photos` configs on other photographs and for many more steps."""
    configs = {name: module.get_config(variant or "photos") for name, module in GANS.items()}
    if not variant:
        configs["progan"].growing.update(fade_kimg=12.0, stable_kimg=12.0, total_kimg=100.0)
        configs["progan"].step.ema_decay = 0.999
        configs["sngan"].num_steps = 10_000
        configs["cramergan"].num_steps = configs["mmdgan"].num_steps = 5_000
        configs["mmdgan"].critic.first_weights = "published"  # as in the shipped training
        for config in configs.values():
            config.log_every = 100
            config.eval_every = config.sample_every = config.checkpoint_every = 1000
    for config in configs.values():
        config.data.source = "folder"
        config.data.folder.root = str(crops)
    return {name: config.to_dict() for name, config in configs.items()}


def network_config(images: Path, variant: str) -> dict[str, Any]:
    """The training of a variant of configs/attribution.py, narrower and longer unless it is tiny."""
    config: ConfigDict = attribution.get_config(variant)
    config.data.root = str(images)
    config.eval_images = 0
    if not variant.endswith("tiny"):
        config.model.fmap_base = 192
        config.num_steps = 12_000
        config.log_every = 100
        config.checkpoint_every = 1000
    return config.to_dict()


def fit_baselines(workdir: Path, sizes: Mapping[str, Any]) -> dict[str, baselines.FittedBaseline]:
    """Logistic regressions on log-DCT spectra of plain images, and of images of which half are JPEGs."""
    folder = labelled.open_labelled(workdir / "images" / "train")
    known = labelled.Images(folder, sizes["resolution"]).part(first_of_each(folder, sizes["baselines"]))
    images = FolderImages.read(known)
    immunise = attribution.get_config("photos").immunise.to_dict()
    methods = beside.methods_of([BASELINE], [BASELINE])
    return dict(beside.fit(methods, images, folder.classes, seed=0, immunise=immunise))


def ship(workdir: Path, out: Path, sizes: Mapping[str, Any], trained: Sequence[str]) -> None:
    """Writes the weights of what was trained, the calibration of the network's verdicts, and the digests."""
    out.mkdir(parents=True, exist_ok=True)
    add_calibration(workdir / NETWORK, workdir / "images" / "valid")
    for name in trained:
        weights.write_file(out / f"{name}{shipped.SUFFIX}", load(workdir / name))
    baselines.write(out / f"{shipped.BASELINES}{shipped.SUFFIX}", fit_baselines(workdir, sizes))
    shipped.write_index(out)


def measure(workdir: Path, out: Path, sizes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The accuracy of the shipped network and baselines on training and other photographs, clean and perturbed."""
    attributor = Attributor.load(out / f"{NETWORK}{shipped.SUFFIX}")
    cheap = baselines.read(out / f"{shipped.BASELINES}{shipped.SUFFIX}")
    rows: list[dict[str, Any]] = []
    for split in ("valid", "test"):
        folder = labelled.open_labelled(workdir / "images" / split, classes=attributor.classes)
        rows += of_network("network", attributor, folder, split)
        rows += of_baselines(cheap, labelled.Images(folder, sizes["resolution"]), split)
    return rows


def keep_log(workdir: Path, names: Sequence[str], out: Path) -> None:
    """Keeps the config of each training, and its metrics of every 500 steps, beside those of others."""
    kept, log = out / "configs.json", out / "training.jsonl"
    others = json.loads(kept.read_bytes()) if kept.exists() else {}
    write_json(kept, others | {name: read_config(workdir / name) for name in names})
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    rows = [row for row in rows if row["network"] not in names]
    for name in names:
        measured = [json.loads(line) for line in (workdir / name / "metrics.jsonl").read_text().splitlines()]
        rows += [{"network": name, **row} for row in measured if row["step"] % 500 == 0 or row is measured[-1]]
    atomic.write_bytes(log, "".join(json.dumps(row) + "\n" for row in rows).encode())


def train_gans(workdir: Path, packages: Path | None, variant: str) -> list[Path]:
    """Trains the generators that are missing; returns their run folders."""
    crops = workdir / "crops"
    make_crops(crops, packages, SIZES[variant])
    for name, config in gan_configs(crops / "real", variant).items():
        with open_run(workdir / name, config):
            train.run(config, workdir / name)
    return [workdir / name for name in GANS]


def main() -> None:
    """Runs the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/"), help="where the packages were unpacked")
    parser.add_argument("--photographs", type=Path, default=Path("runs/photographs"), help="where more are fetched to")
    parser.add_argument("--shipped", action="store_true", help="take the shipped generators, train the network alone")
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--out", type=Path, help="where the weights go (default: into the package)")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("zoo" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes = SIZES[arguments.variant]
    out = arguments.out or shipped.ROOT / "photos32"
    clock = time.perf_counter()
    packages = None if arguments.variant else arguments.packages
    generators = (
        [f"photos32/{name}" for name in GANS] if arguments.shipped else train_gans(workdir, packages, arguments.variant)
    )
    trained = (NETWORK,) if arguments.shipped else (*GANS, NETWORK)
    wanted = [*further("train"), *further("valid")]
    if packages is not None and (absent := fetch(arguments.photographs, wanted)):
        raise UserError("; ".join(absent))
    make_images(workdir, generators, packages, sizes, arguments.photographs)
    config = network_config(workdir / "images" / "train", f"open_set-{arguments.variant}".rstrip("-"))
    config["resolution"] = config["data"]["crop_from"] = sizes["resolution"]
    with open_run(workdir / NETWORK, config):
        train.run(config, workdir / NETWORK)
    ship(workdir, out, sizes, trained)
    rows = measure(workdir, out, sizes)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    atomic.write_bytes((arguments.out or HERE) / "results.jsonl", lines.encode())
    keep_log(workdir, trained, arguments.out or HERE)
    print(table(rows))
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{size / 1e6:.2f} MB in {out}, {time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    main()
