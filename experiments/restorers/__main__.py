"""Which published network made or restored a photograph: the image sets, the networks and baselines, and the tables.

    python -m experiments.restorers --photographs=DIR            # in stages; started again it goes on
    python -m experiments.restorers --variant=tiny --out=DIR     # the same path in a minute, on embedded photographs

`DIR` is the folder of `python -m experiments.restorers.photographs`. The methods are trained on the photographs of
`train` and tested on those of `test`, each class at the same places. The results go to `--out` (default: beside this
file) and everything else to `runs/restorers`.
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from configs import attribution
from experiments.restorers import figures, measure, sources
from experiments.restorers.sources import ImageSet
from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled
from ganfp_jax.data import sources as embedded
from ganfp_jax.data.decode import decode_image
from ganfp_jax.jobs import train
from ganfp_jax.report import wording
from ganfp_jax.report.figures import png
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run, write_json

HERE = Path(__file__).parent
PLAIN = ("logistic_log_dct", "logistic_block_log_dct", "logistic_cooccurrences", "logistic_local")
IMMUNISED = ("logistic_local",)
NETWORKS = ("visnet", "moments")

# A tile of the output is larger than the window of the crops in it, so that one tile has the whole window.
SIZES: dict[str, dict[str, Any]] = {
    "": {
        "side": 64,
        "classes": sources.TEN,
        "train": ImageSet(crop=128, crops=16, cluster=2, reductions=(2.0,), tiles=(288,)),
        "test": ImageSet(crop=256, crops=2, cluster=1, reductions=(2.0,), tiles=(288,)),
        "crops": 16,
        "steps": {"visnet": 6000, "moments": 12_000},
        "conditions": measure.CONDITIONS,
    },
    "tiny": {
        "side": 32,
        "classes": {name: sources.TEN[name] for name in ("real", "lanczos", "waifu2x-photo")},
        "train": ImageSet(crop=64, crops=4, cluster=1, reductions=(2.0,), tiles=(96,)),
        "test": ImageSet(crop=64, crops=2, cluster=1, reductions=(2.0,), tiles=(96,)),
        "crops": 4,
        "steps": {"visnet": 8, "moments": 8},
        "conditions": ("none", "rescale0.75+jpeg75"),
    },
}
TINY = {"train": ("astronaut", "chelsea", "coffee"), "test": ("china", "flower")}


def tiny_photographs(root: Path) -> Path:
    """Copies some of the embedded photographs into folders as `experiments.restorers.photographs` makes them."""
    for split, names in TINY.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        for name in names:
            path = embedded.photo_path(name)
            shutil.copyfile(path, root / split / f"{name}{path.suffix}")
    return root


def network_configs(images: Path, sizes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The trainings: VisNet as the study configures it, and the network of local statistics."""
    visnet, moments = attribution.get_config("photos"), attribution.get_config("restorers")
    visnet.immunise, visnet.data.crop_from = moments.immunise, moments.data.crop_from
    configs = {"visnet": visnet, "moments": moments}
    for name, config in configs.items():
        config.data.root = str(images)
        config.resolution, config.data.crop_from = sizes["side"], sizes["train"].crop
        config.num_steps, config.eval_images = sizes["steps"][name], 0
        if sizes["side"] < 64:
            config.model.update(fmap_base=64) if name == "visnet" else config.model.update(fmaps=4, block_features=8)
            config.batch_size, config.compile_effort = 16, "low"
            config.immunise.perturbations = ("jpeg60-95", "rescale0.6-1.4")
    return {name: config.to_dict() for name, config in configs.items()}


def fit_baselines(images: Path, sizes: Mapping[str, Any]) -> dict[str, baselines.FittedBaseline]:
    """The cheap methods, on windows of the networks' size out of the middle of the training images."""
    folder = labelled.open_labelled(images, split="train")
    known = FolderImages.read(labelled.Images(folder, sizes["side"]))
    immunise = {"share": 0.5, "perturbations": ("jpeg50-95",)}
    return dict(beside.fit(beside.methods_of(PLAIN, IMMUNISED), known, folder.classes, seed=0, immunise=immunise))


def says(path: Path) -> measure.LogProbabilities:
    """What a trained network says of crops, by one view."""
    attributor = Attributor.load(path)

    def log_probabilities(images: UInt8[np.ndarray, "n r r 3"]) -> Float[np.ndarray, "n k"]:
        vote = attributor.vote(images, ("identity",), "mean_logit", 64)
        return np.log(np.maximum(np.asarray(vote.probabilities), 1e-12))

    return log_probabilities


def _of_baseline(fitted: baselines.FittedBaseline) -> measure.LogProbabilities:
    return lambda images: np.log(np.maximum(baselines.predict(fitted, images)[1], 1e-12))


def table(rows: list[dict[str, Any]]) -> str:
    """The accuracies of one crop and of a picture as Markdown: a line a method, a column a condition."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    parts = []
    for key, title in (("crop_class", "one crop"), ("picture_class", "all crops of a picture")):
        first = rows[0][key]
        parts += [
            f"| {title}, n = {first['n']:,} of {first['photographs']} photographs | {' | '.join(conditions)} |",
            f"|{'---|' * (1 + len(conditions))}",
        ]
        for method in dict.fromkeys(row["method"] for row in rows):
            cells = [
                f"{100 * row[key]['share']:.1f} ({wording.interval(row[key]['ci95'])})"
                for row in rows
                if row["method"] == method
            ]
            parts.append(f"| {method} | {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def draw(folder: labelled.LabelledFolder, rows: list[dict[str, Any]], out: Path) -> None:
    """Writes the figures, and the spectra as numbers."""
    images = {name: decode_image(path) for name, path in figures.same_place(folder).items()}
    spectra = figures.spectra(folder)
    write_json(out / "spectra.json", spectra)
    drawn = ("logistic_local", "logistic_local_immunised", *NETWORKS)
    for name, picture, results in (
        ("strip", figures.draw_strip, {"images": images}),
        ("spectra", figures.draw_spectra, {"spectra": spectra}),
        ("counts", figures.draw_counts, {"rows": rows, "methods": drawn}),
    ):
        atomic.write_bytes(out / f"{name}.png", png(picture, results))


def main() -> None:
    """Runs the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photographs", type=Path, default=Path("runs/photographs"), help="the folder of the photographs"
    )
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("restorers" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes, images = SIZES[arguments.variant], workdir / "images"
    photographs = tiny_photographs(workdir / "photographs") if arguments.variant else arguments.photographs
    for split in ("test", "train"):
        sources.make(images / split, str(photographs / split), sizes["classes"], sizes[split], seed=0)
    methods = {name: _of_baseline(fitted) for name, fitted in fit_baselines(images, sizes).items()}
    for name, config in network_configs(images, sizes).items():
        with open_run(workdir / name, config):
            train.run(config, workdir / name)
        methods[name] = says(workdir / name)
    folder = labelled.open_labelled(images, split="test")
    families = [list(sources.FAMILIES).index(sources.family_of(name)) for name in folder.classes]
    rows = list(
        measure.measure(
            methods, folder, families, side=sizes["side"], most=sizes["crops"], conditions=sizes["conditions"]
        )
    )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    arguments.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(arguments.out / "results.jsonl", lines.encode())
    draw(folder, rows, arguments.out)
    print(table(rows))


if __name__ == "__main__":
    main()
