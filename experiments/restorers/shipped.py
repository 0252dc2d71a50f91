"""The shipped set `restorers64`: which family of upscalers or restorers a photograph was put through.

    python -m experiments.restorers.shipped --photographs=DIR            # in stages; started again it goes on
    python -m experiments.restorers.shipped --variant=tiny --out=DIR     # the same path in a minute

`DIR` is the folder of `python -m experiments.restorers.photographs`. The network is trained on its `train`, calibrated
on `calibration` and `calibration-small`, and tested on the others, each family in several settings; some settings are
never trained. The weights go to `--out` (default: into the package), `shipped.jsonl` beside this file, and all else to
`runs/restorers64`.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from experiments.restorers import measure, networks, sources
from experiments.restorers.sources import ImageSet
from ganfp_jax import baselines
from ganfp_jax.attribution import calibration
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import upper_bound
from ganfp_jax.attribution.verdict import NOTHING, UNSURE, Attribution
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data import sources as embedded
from ganfp_jax.data.decode import ImageFile, decode_image, encode_png
from ganfp_jax.interop import shipped, weights
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import calibrate, train
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.run_folder import open_run, write_json

HERE = Path(__file__).parent
NAME = "restorers64"
REAL = "real"
ERROR_RATE = 0.05
BASELINE = f"logistic_local{baselines.IMMUNISED}"
CROPS = 16  # of a picture, where methods are compared
CONDITIONS = ("none", "jpeg90", "jpeg75", "rescale0.75", "rescale0.75+jpeg75")
TWICE = ("motorcycle_right",)  # another view of the same scene
PICTURES = 32  # that are in memory at once

USUAL = ("jpeg60-95", "rescale0.6-1.4", "rescale0.6-1.4+jpeg60-95")  # the perturbations of training and calibration
PERTURBATIONS = (*USUAL, *USUAL, "blur0.4-2", "noise1-8+jpeg60-95", "median3", "sharpen40-200")

Change = Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "H W 3"]]

SIZES: dict[str, dict[str, Any]] = {
    "": {
        "side": 64,
        "classes": sources.FAMILIES,
        "held_out": sources.HELD_OUT,
        "unknown": sources.UNKNOWN,
        "train": ImageSet(crop=128, cluster=1, slots=8, reductions=(1.0, 1.5, 2.0, 3.0), tiles=(160, 192)),
        "calibration": ImageSet(crop=256, cluster=1, slots=2, reductions=(1.0, 2.0), tiles=(288, 320)),
        "test": ImageSet(crop=256, cluster=1, slots=4, reductions=(1.0, 2.0), tiles=(288, 320)),
        "held": ImageSet(crop=256, cluster=1, slots=2, reductions=(1.0, 2.0), tiles=(288, 320)),
        "steps": 14_000,
        "block_features": 384,
        "perturbations": PERTURBATIONS,
    },
    "tiny": {
        "side": 32,
        "classes": {name: sources.FAMILIES[name][:2] for name in ("real", "lanczos", "waifu2x")},
        "held_out": {"waifu2x": ("ncnn:waifu2x-upconv-photo-x2-noise1",)},
        "unknown": {"span": sources.UNKNOWN["span"][:1]},
        "train": ImageSet(crop=64, cluster=1, slots=4, reductions=(1.5, 2.0), tiles=(96, 128)),
        "calibration": ImageSet(crop=64, cluster=1, slots=2, reductions=(1.0, 2.0), tiles=(96,)),
        "test": ImageSet(crop=64, cluster=1, slots=2, reductions=(1.0, 2.0), tiles=(96,)),
        "held": ImageSet(crop=64, cluster=1, slots=1, reductions=(2.0,), tiles=(96,)),
        "steps": 8,
        "block_features": 8,
        "perturbations": ("jpeg60-95", "rescale0.6-1.4", "median3"),
    },
}


def _perturbed(name: str) -> Change:
    return lambda image: perturb.perturb(image[None], name)[0]


def _of_pillow(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda image: np.asarray(change(Image.fromarray(image)))


def _turned(image: Image.Image) -> Image.Image:
    """Turns by five degrees and cuts the corners off."""
    width, height = image.size
    turned = image.rotate(5, Image.Resampling.BICUBIC)
    return turned.crop((width // 10, height // 10, width - width // 10, height - height // 10))


PROCESSING: dict[str, Change] = {
    "sharpened": _perturbed("sharpen120"),
    "median of 3x3": _perturbed("median3"),
    "blurred by 1 pixel": _perturbed("blur1.0"),
    "noise of deviation 5": _perturbed("noise5"),
    "mean of 3x3": _of_pillow(lambda image: image.filter(ImageFilter.BoxBlur(1))),
    "edges enhanced": _of_pillow(lambda image: image.filter(ImageFilter.EDGE_ENHANCE)),
    "contrast stretched": _of_pillow(lambda image: ImageOps.autocontrast(image, cutoff=1)),
    "colours by half stronger": _of_pillow(lambda image: ImageEnhance.Color(image).enhance(1.5)),
    "turned by 5 degrees": _of_pillow(_turned),
    "lit anew": _perturbed("relight0.5"),
    "halved": _perturbed("rescale0.5"),
    "enlarged by a half": _perturbed("rescale1.5"),
}
"""What is done to photographs without any network. The training has the first four, and none of the others."""


def make_images(workdir: Path, photographs: Path, sizes: Mapping[str, Any]) -> None:
    """Writes `images/train`, `images/test`, `calibration`, `held/<family>` and `unknown/<family>`."""
    classes = sizes["classes"]
    todo: list[sources.Job] = []
    for root, split in (("images/test", "test"), ("images/train", "train"), ("calibration", "calibration")):
        todo += sources.jobs(workdir / root, str(photographs / split), classes, sizes[split])
    for folder, families in (("held", sizes["held_out"]), ("unknown", sizes["unknown"])):
        for family, settings in families.items():
            each = {setting.partition(":")[2]: (setting,) for setting in settings}
            todo += sources.jobs(workdir / folder / family, str(photographs / "test"), each, sizes["held"])
    sources.make(todo)


def training(workdir: Path, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the network's training."""
    config = networks.moments_config(
        workdir / "images", sizes["classes"], sizes["side"], sizes["train"].crop, sizes["steps"]
    )
    config["model"]["block_features"] = sizes["block_features"]
    config["immunise"]["perturbations"] = sizes["perturbations"]
    return config


def make_calibration(folder: Path, photographs: Path, perturbations: Sequence[str]) -> None:
    """Adds whole photographs, and every real picture once more under one of the training's perturbations.

    So a photograph is not to be accused, whatever was done to it; and what is said of restored pictures holds for such
    as they left their network. After JPEG or a blur they may have no trace left, and "real" then only says so.
    """
    whole = folder / REAL / "whole"
    whole.mkdir(parents=True, exist_ok=True)
    for path in _files(photographs / "calibration", photographs / "calibration-small"):
        shutil.copyfile(path, whole / path.name)
    paths = [path for path in _files(folder / REAL) if "-perturbed" not in path.parent.name]
    with progress(len(paths), "perturb", "picture") as bar:
        for number, path in enumerate(paths):
            copy = path.parent.with_name(f"{path.parent.name}-perturbed") / f"{path.stem}.png"
            if not copy.is_file():
                copy.parent.mkdir(exist_ok=True)
                rng = np.random.default_rng([1, number])
                image = decode_image(path)[None]
                encode_png(copy, perturb.immunise(image, rng, share=1.0, perturbations=perturbations)[0])
            bar.update()


def _files(*folders: Path) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and path.is_file()
    ]


def ship(workdir: Path, out: Path) -> Attributor:
    """Calibrates the network and writes it with the digests."""
    out.mkdir(parents=True, exist_ok=True)
    attributor, network = Attributor.load(workdir / "network", calibrated=False), workdir / "network"
    try:
        found = calibration.calibrate(
            attributor, workdir / "calibration", error_rate=ERROR_RATE, spared=REAL, unknown_rate=0.0
        )
        write_json(network / weights.CALIBRATION, found.to_dict())
        print(calibrate.summary(found))
    except UserError as error:  # as for the tiny variant
        print(f"shipped without a calibration: {error}")
    path = out / f"{shipped.NETWORK}{shipped.SUFFIX}"
    weights.write_file(path, load(network))
    shipped.write_index(out)
    return Attributor.load(path)


def ask(attributor: Attributor, paths: Sequence[ImageFile], change: Change, what: str) -> list[Attribution]:
    """The verdicts on changed pictures; `what` says in the progress which these are."""
    found: list[Attribution] = []
    with progress(len(paths), what, "picture") as bar:
        for start in range(0, len(paths), PICTURES):
            some = paths[start : start + PICTURES]
            found += attributor.attribute([change(decode_image(path)) for path in some])
            bar.update(len(some))
    return found


def row(
    kind: str, source: str, condition: str, found: Sequence[Attribution], photographs: Sequence[str], right: str
) -> dict[str, Any]:
    """What was said of pictures of one source under one condition.

    Args:
        kind, source, condition: names.
        found: the verdicts.
        photographs: the photograph that each picture is of.
        right: the class that would be right; "" where none would.

    Returns:
        `named` and `verdicts` count the classes that were chosen and said. `wrong` and `bound` are of photographs: how
        many of them have a wrong verdict on one of their pictures, and the upper end of the 95 % interval for such.
    """
    decided = np.array([one.verdict not in (UNSURE, NOTHING) for one in found])
    wrong = np.array([one.verdict not in (UNSURE, NOTHING, right) for one in found])
    groups = len(set(photographs))
    accused = len(set(np.array(photographs)[wrong]))
    return {
        "kind": kind, "source": source, "condition": condition, "pictures": len(found), "photographs": groups,
        "named": _counts(one.predicted for one in found), "verdicts": _counts(one.verdict for one in found),
        "right": right, "decided": int(decided.sum()), "wrong_pictures": int(wrong.sum()), "wrong": accused,
        "bound": float(upper_bound(np.array([accused]), np.array([groups]), 0.95)[0]),
    }  # fmt: skip


def _counts(words: Iterator[str]) -> dict[str, int]:
    names, counts = np.unique(list(words), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def judge(
    attributor: Attributor, workdir: Path, photographs: Path, sizes: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yields the rows on known and untrained settings, on whole photographs, and on processed ones."""
    folder = labelled.open_labelled(workdir / "images", split="test", classes=attributor.classes)
    photograph = [origin.partition("/")[2] for origin in labelled.origins(folder)]
    whole = _files(*(photographs / split for split in ("test", "test-small", "reserved")))
    whole += [embedded.photo_path(name) for name in embedded.PHOTOS if name not in TWICE]
    names = [path.stem for path in whole]
    for condition in CONDITIONS:
        change = _perturbed(condition)
        said = ask(attributor, folder.paths, change, f"known, {condition}")
        for label, name in enumerate(folder.classes):
            mine = np.flatnonzero(folder.labels == label)
            yield row("known", name, condition, [said[i] for i in mine], [photograph[i] for i in mine], name)
        said = ask(attributor, whole, change, f"photographs, {condition}")
        yield row("whole photographs", REAL, condition, said, names, REAL)
        yield from judge_untrained(attributor, workdir, condition, sizes)
    for name, change in PROCESSING.items():
        said = ask(attributor, whole, change, f"photographs, {name}")
        yield row("processed photographs", REAL, name, said, names, REAL)


def judge_untrained(
    attributor: Attributor, workdir: Path, condition: str, sizes: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yields the rows on settings that were never trained, of known families and of others."""
    held, unknown = ("held out", "held", sizes["held_out"]), ("unknown family", "unknown", sizes["unknown"])
    for kind, folder, families in (held, unknown):
        for family in families:
            for setting in sorted(path for path in (workdir / folder / family).iterdir() if path.is_dir()):
                paths = _files(setting)
                said = ask(attributor, paths, _perturbed(condition), f"{setting.name}, {condition}")
                photographed = [path.stem.rpartition("_")[0] for path in paths]
                right = family if family in attributor.classes else ""
                yield row(kind, setting.name, condition, said, photographed, right)


def compare(attributor: Attributor, workdir: Path, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the accuracy of the network by one view and of the cheap method on the same crops of the test images."""
    images, classes, side = workdir / "images", attributor.classes, sizes["side"]
    fitted = networks.fit_baselines(
        images, classes, side, sizes["train"].crop, (BASELINE,), perturbations=sizes["perturbations"]
    )
    methods = {name: networks.of_baseline(baseline) for name, baseline in fitted.items()}
    methods["network"] = networks.of_attributor(attributor)
    folder = labelled.open_labelled(images, split="test", classes=classes)
    yield from measure.measure(methods, folder, range(len(classes)), side=side, most=CROPS, conditions=CONDITIONS)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `judge` as Markdown."""
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        lines += [
            f"| {kind} | condition | pictures (photographs) | named right | decided | of these wrong | "
            "photographs wrong (at most, 95 %) |",
            "|---|---|---|---|---|---|---|",
        ]
        for one in (row for row in rows if row["kind"] == kind):
            lines.append(
                f"| {one['source']} | {one['condition']} | {one['pictures']} ({one['photographs']}) | "
                f"{_percent(one['named'].get(one['right'], 0), one['pictures'])} | "
                f"{_percent(one['decided'], one['pictures'])} | {one['wrong_pictures']} | "
                f"{one['wrong']} ({100 * one['bound']:.1f}) |"
            )
        lines.append("")
    return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}"


def main() -> None:
    """Runs the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--out", type=Path, help="where the weights go (default: into the package)")
    arguments = parser.parse_args()
    workdir = Path("runs") / (NAME + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes, out, clock = SIZES[arguments.variant], arguments.out or shipped.ROOT / NAME, time.perf_counter()
    photographs = arguments.photographs
    if arguments.variant:
        photographs = networks.tiny_photographs(workdir / "photographs")
    make_images(workdir, photographs, sizes)
    config = training(workdir, sizes)
    make_calibration(workdir / "calibration", photographs, config["immunise"]["perturbations"])
    with open_run(workdir / "network", config):
        train.run(config, workdir / "network")
    attributor = ship(workdir, out)
    results = arguments.out or HERE
    rows = list(judge(attributor, workdir, photographs, sizes))
    measure.write_rows(results / "shipped.jsonl", rows)
    print(table(rows))
    compared = list(compare(attributor, workdir, sizes))
    measure.write_rows(results / "shipped_methods.jsonl", compared)
    print(measure.table(compared))
    print(f"{time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    main()
