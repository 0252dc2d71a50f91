"""The images of the protocol, as folders that `configs/evaluate.py` can read, too.

`calibration`, `test` and `held_out` are labelled folders of the known sources: the shipped generators, with other
latents in each folder, and crops of photographs. `unknown/development` and `unknown/test` hold drawings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.open_set import drawings
from experiments.zoo.images import write_crops
from ganfp_jax.data import manifests
from ganfp_jax.data.decode import encode_png
from ganfp_jax.generation.folders import register, write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.run.errors import UserError

SHIPPED = "photos32"  # the set whose generators are the known sources
REAL = "real"
RESOLUTION = 32
SEEDS = {"calibration": 2, "test": 3, "held_out": 4}
NO_PHOTOGRAPH = "no photograph"
SIDES: Mapping[str, Mapping[str, drawings.Draw]] = {"development": drawings.DEVELOPMENT, "test": drawings.TEST}


def write_known(root: Path, counts: Mapping[str, int], packages: Path | None) -> None:
    """Writes the labelled folders of `SEEDS`, with so many images of each source, unless they are there.

    The photographs of the calibration are those of the packages that no training has seen; those of `test` and
    `held_out` are the nine embedded ones, in other crops. Without packages, the embedded ones are divided.
    """
    samplers = [Sampler(name) for name in shipped.generators(SHIPPED)]
    for part, seed in SEEDS.items():
        folder, count = root / part, counts[part]
        done = (manifests.read_manifest(folder) or {"sources": {}})["sources"]
        if done.get(REAL, {}).get("count") != count:
            _write_real(folder, part, count, packages)
        for sampler in samplers:
            if done.get(sampler.source_name, {}).get("count") != count:
                write_generated(sampler, folder, count=count, seed=seed, batch_size=100)


def _write_real(folder: Path, part: str, count: int, packages: Path | None) -> None:
    if part == "calibration" and packages is not None:
        parts = {"reduced": count - count // 2, "native": count // 2}
        register(folder, REAL, write_crops(folder, packages, "valid", parts, RESOLUTION, SEEDS[part]))
        return
    split = "all" if packages is not None else "train" if part == "calibration" else "test"
    photos = {"split": split, "reduction": 2.0, "min_luma_std": 10.0, "seed": SEEDS[part]}
    write_photographs(folder, source_name=REAL, count=count, resolution=RESOLUTION, photos=photos)


def write_drawings(root: Path, count: int) -> None:
    """Writes `<side>/no photograph/<kind>/<number>.png`, so many pictures of each kind, unless they are there."""
    for side, kinds in SIDES.items():
        for kind in kinds:
            folder = root / side / NO_PHOTOGRAPH / kind
            folder.mkdir(parents=True, exist_ok=True)
            if len(list(folder.glob("*.png"))) != count:
                for number, picture in enumerate(drawings.draw(kind, count, RESOLUTION)):
                    encode_png(folder / f"{number:05d}.png", picture)


def check_classes(classes: Sequence[str]) -> None:
    """Raises UserError unless a network knows the sources of the protocol and no others."""
    known = {REAL, *(Sampler(name).source_name for name in shipped.generators(SHIPPED))}
    if set(classes) != known:
        raise UserError(
            f"the network knows {', '.join(classes)}, and the protocol's images are of {', '.join(sorted(known))}; "
            "for other sources use configs/evaluate.py with config.unknown"
        )
