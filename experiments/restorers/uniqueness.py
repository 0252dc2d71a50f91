"""Uniqueness of networks of others: can published networks be told apart that differ in their training only?

    python -m experiments.restorers.uniqueness --photographs=DIR            # in stages; started again it goes on
    python -m experiments.restorers.uniqueness --variant=tiny --out=DIR     # the same path in a minute

All networks of a group see the same places of the same photographs, at one reduction. The classifier is the logistic
regression on local statistics, trained on the photographs of `train` and tested on those of `test`. One network under
two names is the control. `uniqueness.jsonl` goes to `--out` (default: beside this file), the images to
`runs/restorers-uniqueness`.
"""

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.restorers import measure, networks, sources
from experiments.restorers.sources import ImageSet
from ganfp_jax.data import labelled, manifests
from ganfp_jax.report import wording

HERE = Path(__file__).parent
METHOD = "logistic_local"
CONDITIONS = ("none", "jpeg90")

GROUPS: dict[str, tuple[str, ...]] = {
    "control-srmdnf-twice": ("srmdnf-x2", "srmdnf-x2"),
    "realcugan-no-denoise": (
        "realcugan-se-x2-no-denoise",
        "realcugan-pro-x2-no-denoise",
        "realcugan-nose-x2-no-denoise",
    ),
    "realcugan-denoise3x": ("realcugan-se-x2-denoise3x", "realcugan-pro-x2-denoise3x"),
    "realcugan-se-levels": (
        "realcugan-se-x2-no-denoise",
        "realcugan-se-x2-conservative",
        "realcugan-se-x2-denoise1x",
        "realcugan-se-x2-denoise2x",
        "realcugan-se-x2-denoise3x",
    ),
    "waifu2x-photo-levels": (
        "waifu2x-upconv-photo-x2",
        "waifu2x-upconv-photo-x2-noise0",
        "waifu2x-upconv-photo-x2-noise1",
        "waifu2x-upconv-photo-x2-noise2",
        "waifu2x-upconv-photo-x2-noise3",
    ),
    "waifu2x-photo-anime": ("waifu2x-upconv-photo-x2", "waifu2x-upconv-anime-x2"),
    "realesrgan-x4": ("realesrgan-x4plus", "realesrgan-x4plus-anime"),
}
"""Networks of one architecture and other training; those of the last group differ in their depth, too."""

SIZES: dict[str, dict[str, Any]] = {
    "": {
        "side": 64,
        "groups": tuple(GROUPS),
        "train": ImageSet(crop=128, cluster=2, slots=1, reductions=(2.0,), tiles=(288,)),
        "test": ImageSet(crop=256, cluster=1, slots=1, reductions=(2.0,), tiles=(288,)),
        "crops": 16,
    },
    "tiny": {
        "side": 32,
        "groups": ("control-srmdnf-twice", "waifu2x-photo-anime"),
        "train": ImageSet(crop=64, cluster=2, slots=1, reductions=(2.0,), tiles=(160,)),
        "test": ImageSet(crop=64, cluster=1, slots=2, reductions=(2.0,), tiles=(96,)),
        "crops": 4,
    },
}


def classes_of(group: str) -> dict[str, tuple[str, ...]]:
    """Class -> its generators; the second of two equal networks is called "again"."""
    classes: dict[str, tuple[str, ...]] = {}
    for name in GROUPS[group]:
        classes[f"{name}-again" if name in classes else name] = (f"ncnn:{name}",)
    return classes


def link(root: Path, group: Path, classes: Sequence[str]) -> None:
    """Makes the labelled image folder of some of the classes of another one, whose files it shares."""
    shutil.rmtree(group, ignore_errors=True)
    for name in classes:
        shutil.copytree(root / name, group / name, copy_function=os.link)
    origins = manifests.sources_of(root)
    manifests.write_manifest(group, classes, {name: origins[name] for name in classes})


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The accuracies as Markdown."""
    lines = [
        "| group | networks | condition | chance | one crop | all crops of a picture | pictures of photographs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            f"{100 * row[key]['share']:.1f} ({wording.interval(row[key]['ci95'])})"
            for key in ("crop_class", "picture_class")
        ]
        of = row["picture_class"]
        count = len(GROUPS[row["group"]])
        lines.append(
            f"| {row['group']} | {count} | {row['condition']} | {100 / count:.1f} | {' | '.join(cells)} | "
            f"{of['n']} of {of['photographs']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Makes the images that are missing and measures all groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--variant", default="", choices=("", "tiny"))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, help="all by default")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go")
    arguments = parser.parse_args()
    workdir = Path("runs") / ("restorers-uniqueness" + (f"-{arguments.variant}" if arguments.variant else ""))
    sizes, photographs = SIZES[arguments.variant], arguments.photographs
    if arguments.variant:
        photographs = networks.tiny_photographs(workdir / "photographs")
    groups = arguments.groups or sizes["groups"]
    every = {name: generators for group in groups for name, generators in classes_of(group).items()}
    todo = [
        job
        for split in ("test", "train")
        for job in sources.jobs(workdir / "images" / split, str(photographs / split), every, sizes[split])
    ]
    sources.make(todo)
    rows = []
    for group in groups:
        images, classes = workdir / group, tuple(classes_of(group))
        for split in ("test", "train"):
            link(workdir / "images" / split, images / split, classes)
        fitted = networks.fit_baselines(images, classes, sizes["side"], sizes["train"].crop, (METHOD,))
        methods = {name: networks.of_baseline(baseline) for name, baseline in fitted.items()}
        folder = labelled.open_labelled(images, split="test", classes=classes)
        measured = measure.measure(
            methods, folder, range(len(classes)), side=sizes["side"], most=sizes["crops"], conditions=CONDITIONS
        )
        rows += [{"group": group, **row} for row in measured]
    arguments.out.mkdir(parents=True, exist_ok=True)
    measure.write_rows(arguments.out / "uniqueness.jsonl", rows)
    print(table(rows))


if __name__ == "__main__":
    main()
