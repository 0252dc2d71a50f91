"""The shipped set `photos32`: four generators and the attribution network, trained on photographs from Debian.

    python -m experiments.zoo --packages=DIR               # about 65 minutes on one CPU core; started again it goes on
    python -m experiments.zoo --variant=tiny --out=DIR     # the same path in a minute, on embedded photographs

`DIR` has the unpacked packages of `photographs.csv` (`dpkg-deb -x PACKAGE.deb DIR`); use `/` where they are installed.
Neither the generators nor the network see the nine embedded photographs, which are kept for the test. It writes the
weights to `--out`, `results.jsonl` beside this file, and everything else to `runs/zoo`.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from configs import attribution, cramergan, mmdgan, progan, sngan
from experiments.zoo import photographs
from ganfp_jax import baselines
from ganfp_jax.attribution import calibration
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, evaluate, per_photograph
from ganfp_jax.attribution.verdict import decide
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, manifests
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped, weights
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import calibrate, train
from ganfp_jax.jobs.quickstart.parts import first_of_each
from ganfp_jax.report import wording
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import open_run, read_config, write_json

HERE = Path(__file__).parent
GANS = {"progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan}
NETWORK = "visnet"
BASELINE = "logistic_log_dct"
VIEWS, RULE = "d4", "majority"
ERROR_RATE = 0.01
CONDITIONS = ("none", "jpeg90", "jpeg75", "jpeg50")
PHOTOS = {"reduction": 2.0, "min_luma_std": 10.0}  # settings of the embedded photographs

SIZES = {
    "": {
        "resolution": 32,
        "crops": 20_000,
        "train": 8000,
        "valid": 1000,
        "test": 1000,
        "baselines": 2000,
    },
    "tiny": {"resolution": 16, "crops": 64, "train": 48, "valid": 24, "test": 18, "baselines": 48},
}
SEEDS = {"crops": 0, "train": 1, "valid": 2, "test": 3}


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
    """The training of the attribution network, narrower and longer than that of configs/attribution.py."""
    config: ConfigDict = attribution.get_config(variant or "photos")
    config.data.root = str(images)
    config.eval_images = 0
    if not variant:
        config.model.fmap_base = 192
        config.num_steps = 6000
        config.log_every = 100
        config.checkpoint_every = 500
    return config.to_dict()


def make_crops(crops: Path, packages: Path | None, sizes: Mapping[str, int]) -> None:
    """Writes the GANs' real images `<crops>/real/*.png` from training photographs."""
    if "real" not in _done(crops):
        write_real(crops, packages, "train", sizes["crops"], sizes["resolution"])


def write_real(root: Path, packages: Path | None, split: str, count: int, resolution: int) -> None:
    """Writes `<root>/real/` from the packages' photographs; the test, or no packages, takes the embedded ones."""
    if packages is None or split == "test":
        photos = PHOTOS | {"split": "all" if packages else "test" if split == "test" else "train", "seed": SEEDS[split]}
        write_photographs(root, source_name="real", count=count, resolution=resolution, photos=photos)
        return
    seed = SEEDS["crops"]  # so the network's training crops are the GANs' first
    names = photographs.write_crops(root / "real", packages, split=split, count=count, resolution=resolution, seed=seed)
    origin = {"source": "Debian packages", "photographs": names, "count": count, "seed": seed}
    manifests.write_manifest(root, ["real"], {"real": origin})


def make_images(workdir: Path, packages: Path | None, sizes: Mapping[str, int]) -> None:
    """Writes images/train, images/valid and images/test; the test takes the embedded photographs."""
    for split in ("train", "valid", "test"):
        root, count, seed = workdir / "images" / split, sizes[split], SEEDS[split]
        done = _done(root)
        if "real" not in done:
            write_real(root, packages, split, count, sizes["resolution"])
        for name in GANS:
            sampler = Sampler(workdir / name)
            if done.get(sampler.source_name, {}).get("digest") != sampler.origin["digest"]:
                write_generated(sampler, root, count=count, seed=seed, batch_size=100)


def _done(root: Path) -> Mapping[str, Any]:
    return (manifests.read_manifest(root) or {"sources": {}})["sources"]


def fit_baselines(workdir: Path, sizes: Mapping[str, int]) -> dict[str, baselines.FittedBaseline]:
    """Logistic regressions on log-DCT spectra of plain images and of images immunised as the network's."""
    folder = labelled.open_labelled(workdir / "images" / "train")
    known = labelled.Images(folder, sizes["resolution"]).part(first_of_each(folder, sizes["baselines"]))
    images = FolderImages.read(known)
    immunise = attribution.get_config("photos").immunise.to_dict()
    methods = beside.methods_of([BASELINE], [BASELINE])
    return dict(beside.fit(methods, images, folder.classes, seed=0, immunise=immunise))


def ship(workdir: Path, out: Path, sizes: Mapping[str, int]) -> None:
    """Writes the weights, the threshold of the verdict "unsure", and the digests."""
    out.mkdir(parents=True, exist_ok=True)
    attributor, valid = Attributor.load(workdir / NETWORK), workdir / "images" / "valid"
    try:
        calibrated = calibration.calibrate(
            attributor, valid, views=VIEWS, rule=RULE, error_rate=ERROR_RATE, unknown_rate=0.0
        )
        write_json(workdir / NETWORK / weights.CALIBRATION, calibrated.to_dict())
        print(calibrate.summary(calibrated))
    except UserError as error:  # as for :tiny; tests/interop/test_shipped.py checks that the shipped set has one
        print(f"shipped without a calibration: {error}")
    for name in (*GANS, NETWORK):
        weights.write_file(out / f"{name}{shipped.SUFFIX}", load(workdir / name))
    baselines.write(out / f"{shipped.BASELINES}{shipped.SUFFIX}", fit_baselines(workdir, sizes))
    shipped.write_index(out)


def measure(workdir: Path, out: Path, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The accuracy of the shipped network and baselines on training and other photographs, clean and perturbed."""
    attributor = Attributor.load(out / f"{NETWORK}{shipped.SUFFIX}")
    cheap = baselines.read(out / f"{shipped.BASELINES}{shipped.SUFFIX}")
    rows = []
    for split in ("valid", "test"):
        folder = labelled.open_labelled(workdir / "images" / split, classes=attributor.classes)
        images = FolderImages.read(labelled.Images(folder, sizes["resolution"]))
        for perturbation in CONDITIONS:
            perturbed = labelled.Images(folder, attributor.resolution, perturbation=perturbation)
            evaluation = evaluate(attributor, perturbed, views=VIEWS, rule=RULE)
            same = {"images": split, "perturbation": perturbation}
            single = evaluation.metrics["single_view"]
            rows.append({**same, "method": "network, vote", **_kept(evaluation.metrics)})
            rows[-1]["per_photograph"] = per_photograph(evaluation, folder)
            rows[-1] |= _decided(attributor, evaluation)
            rows.append({**same, "method": "network, one view", **_kept(single)})
            for row in beside.measure(cheap, [images], [perturbation], folder.classes):
                rows.append({**same, "method": row["name"], **_kept(row["metrics"])})
    return rows


def _decided(attributor: Attributor, evaluation: Evaluation) -> dict[str, int]:
    """A calibrated network's number of verdicts other than "unsure", and the number of these that are wrong."""
    if attributor.calibration is None:
        return {}
    predicted = np.asarray(evaluation.vote.predicted)
    sure = np.array([not word for word in decide(evaluation.vote, attributor.calibration.rules(attributor.classes))])
    wrong = predicted != evaluation.targets
    real = evaluation.targets == attributor.classes.index("real")
    counts = {"decided": sure, "decided_wrong": sure & wrong, "wrong": wrong}
    return {name: int(which.sum()) for name, which in counts.items()} | {
        f"real_{name}": int((which & real).sum()) for name, which in counts.items()
    }


def keep_log(workdir: Path, out: Path) -> None:
    """Keeps the config of every training, and its metrics of every 500 steps."""
    names = (*GANS, NETWORK)
    write_json(out / "configs.json", {name: read_config(workdir / name) for name in names})
    rows = []
    for name in names:
        measured = [json.loads(line) for line in (workdir / name / "metrics.jsonl").read_text().splitlines()]
        rows += [{"network": name, **row} for row in measured if row["step"] % 500 == 0 or row is measured[-1]]
    atomic.write_bytes(out / "training.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


def _kept(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: block[key] for key in ("accuracy", "correct", "total", "ci95", "per_class", "confusion")}


def table(rows: list[dict[str, Any]]) -> str:
    """The accuracies as Markdown: a line per method, a column per condition."""
    lines = []
    for split in dict.fromkeys(row["images"] for row in rows):
        of = [row for row in rows if row["images"] == split]
        conditions = list(dict.fromkeys(row["perturbation"] for row in of))
        lines += [
            f"| {split}, n = {of[0]['total']:,} | {' | '.join(conditions)} |",
            f"|{'---|' * (1 + len(conditions))}",
        ]
        for method in dict.fromkeys(row["method"] for row in of):
            cells = [
                f"{100 * row['accuracy']:.1f} ({wording.interval(row['ci95'])})"
                for row in of
                if row["method"] == method
            ]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Runs the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/"), help="where the packages were unpacked")
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--out", type=Path, help="where the weights go (default: into the package)")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("zoo" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes = SIZES[arguments.variant]
    out = arguments.out or shipped.ROOT / "photos32"
    clock = time.perf_counter()
    crops = workdir / "crops"
    packages = None if arguments.variant else arguments.packages
    make_crops(crops, packages, sizes)
    for name, config in gan_configs(crops / "real", arguments.variant).items():
        with open_run(workdir / name, config):
            train.run(config, workdir / name)
    make_images(workdir, packages, sizes)
    config = network_config(workdir / "images" / "train", arguments.variant)
    with open_run(workdir / NETWORK, config):
        train.run(config, workdir / NETWORK)
    ship(workdir, out, sizes)
    rows = measure(workdir, out, sizes)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    atomic.write_bytes((arguments.out or HERE) / "results.jsonl", lines.encode())
    keep_log(workdir, arguments.out or HERE)
    print(table(rows))
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{size / 1e6:.2f} MB in {out}, {time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    main()
