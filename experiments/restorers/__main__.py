"""Which published network made or restored a photograph: the image sets, the networks and baselines, and the tables.

    python -m experiments.restorers --photographs=DIR            # in stages; started again it goes on
    python -m experiments.restorers --variant=tiny --out=DIR     # the same path in a minute, on embedded photographs

`DIR` is the folder of `python -m experiments.restorers.photographs`. The methods are trained on the photographs of
`train` and tested on those of `test`, each class at the same places. The results go to `--out` (default: beside this
file) and everything else to `runs/restorers`.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.restorers import figures, measure, networks, sources
from experiments.restorers.sources import ImageSet
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import decode_image
from ganfp_jax.jobs import train
from ganfp_jax.report.figures import png
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run, write_json

HERE = Path(__file__).parent
NETWORKS = {"visnet": networks.visnet_config, "moments": networks.moments_config}
METHODS = (*networks.METHODS, *NETWORKS)
DRAWN = ("logistic_local", "logistic_local_immunised", *NETWORKS)

# A tile of the output is larger than the window of the crops in it, so that one tile has the whole window.
SIZES: dict[str, dict[str, Any]] = {
    "": {
        "side": 64,
        "classes": sources.TEN,
        "train": ImageSet(crop=128, cluster=2, slots=2, reductions=(2.0,), tiles=(288,)),
        "test": ImageSet(crop=256, cluster=1, slots=1, reductions=(2.0,), tiles=(288,)),
        "crops": 16,
        "steps": {"visnet": 3000, "moments": 15_000},
        "conditions": measure.CONDITIONS,
    },
    "tiny": {
        "side": 32,
        "classes": {name: sources.TEN[name] for name in ("real", "lanczos", "waifu2x-photo")},
        "train": ImageSet(crop=64, cluster=1, slots=4, reductions=(2.0,), tiles=(96,)),
        "test": ImageSet(crop=64, cluster=1, slots=2, reductions=(2.0,), tiles=(96,)),
        "crops": 4,
        "steps": {"visnet": 8, "moments": 8},
        "conditions": ("none", "rescale0.75+jpeg75"),
    },
}


def draw(folder: labelled.LabelledFolder, rows: list[dict[str, Any]], out: Path) -> None:
    """Writes the figures, and the spectra as numbers."""
    images = {name: decode_image(path) for name, path in figures.same_place(folder).items()}
    spectra = figures.spectra(folder)
    write_json(out / "spectra.json", spectra)
    measured = {row["method"] for row in rows}
    drawn = [name for name in DRAWN if name in measured]
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
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="all by default")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("restorers" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes, images = SIZES[arguments.variant], workdir / "images"
    classes = sizes["classes"]
    photographs = networks.tiny_photographs(workdir / "photographs") if arguments.variant else arguments.photographs
    todo = [
        job
        for split in ("test", "train")
        for job in sources.jobs(images / split, str(photographs / split), classes, sizes[split])
    ]
    sources.make(todo)
    cheap = [name for name in networks.METHODS if name in arguments.methods]
    fitted = networks.fit_baselines(images, classes, sizes["side"], sizes["train"].crop, cheap)
    methods = {name: networks.of_baseline(baseline) for name, baseline in fitted.items()}
    for name in (name for name in NETWORKS if name in arguments.methods):
        make_config = NETWORKS[name]
        config = make_config(images, classes, sizes["side"], sizes["train"].crop, sizes["steps"][name])
        with open_run(workdir / name, config):
            train.run(config, workdir / name)
        methods[name] = networks.of_attributor(Attributor.load(workdir / name))
    folder = labelled.open_labelled(images, split="test", classes=tuple(classes))
    families = [list(sources.FAMILIES).index(sources.family_of(name)) for name in folder.classes]
    rows = list(
        measure.measure(
            methods, folder, families, side=sizes["side"], most=sizes["crops"], conditions=sizes["conditions"]
        )
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    measure.write_rows(arguments.out / "results.jsonl", rows)
    draw(folder, rows, arguments.out)
    print(measure.table(rows))


if __name__ == "__main__":
    main()
