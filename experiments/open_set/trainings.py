"""Ways to train for unknown sources beside each other, and each family of generators left out in turn.

    python -m experiments.open_set.trainings --packages=DIR --photographs=DIR2       # an hour on two cores; it resumes
    python -m experiments.open_set.trainings --packages=DIR ... --unknown=DIR3 --development=DIR4
    python -m experiments.open_set.trainings --variant=tiny --out=DIR                # the same path in a minute or two

All are trainings of the shipped network (`experiments.zoo`) on its images, of a sixth of its steps and from another
seed: with pseudo-unknowns, as it is shipped; without; without but with LogitNorm; and with pseudo-unknowns on all
sources but one generator, whose images are then those of an unknown architecture. `--unknown` and `--development` are
those of `experiments.open_set`, and serve the trainings on all sources. It writes `trainings.jsonl` to `--out` and
prints a table; everything else goes to `runs/open_set-trainings`, the images of the training to `runs/zoo`.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.enrolment.measure import part_of
from experiments.open_set import images
from experiments.open_set.__main__ import measure
from experiments.open_set.tables import of_trainings
from experiments.zoo.__main__ import GANS, network_config
from experiments.zoo.__main__ import SIZES as ZOO
from experiments.zoo.images import make_images
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import manifests
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import train
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run

HERE = Path(__file__).parent
LENGTH = {"num_steps": 2000, "checkpoint_every": 1000, "seed": 1}  # another seed than the shipped network's
PLAIN = {"pseudo_unknown": {"share": 0.0, "kinds": ()}}
SIZES = {
    "": {"calibration": 400, "test": 400, "held_out": 100, "drawn": 50, "repeats": 200},
    "tiny": {"calibration": 24, "test": 12, "held_out": 6, "drawn": 3, "repeats": 5},
}


class Training(NamedTuple):
    """A training: its name, what its config has in place of the shipped network's, and the generator left out."""

    name: str
    settings: Mapping[str, Any]
    left_out: str = ""


WAYS = (
    Training("pseudo-unknowns", {}),
    Training("neither", PLAIN | {"batch_size": 64}),
    Training("LogitNorm", PLAIN | {"batch_size": 64, "logit_norm": 0.04}),
)


def trainings() -> list[Training]:
    """All of them: the ways, then each family left out."""
    families = [load(name, "generator").about["source_name"] for name in shipped.generators(images.SHIPPED)]
    return [*WAYS, *(Training(f"without-{family}", {}, family) for family in families)]


def fit(training: Training, zoo: Path, workdir: Path, variant: str) -> Path:
    """Trains a network where it is missing; returns its run folder."""
    run, root = workdir / "trained" / training.name, zoo / "images" / "train"
    if training.left_out:
        known = [name for name in manifests.sources_of(root) if name != training.left_out]
        root = part_of(root, known, workdir / "images" / training.name)
    config = network_config(root, f"open_set-{variant}".rstrip("-")) | ({} if variant else LENGTH)
    config |= training.settings
    config["resolution"] = config["data"]["crop_from"] = images.RESOLUTION
    with open_run(run, config):
        train.run(config, run)
    return run


def asked(training: Training, root: Path, workdir: Path) -> Path:
    """The images of the protocol for a training: those of `root`, with a generator that it lacks among the unknown."""
    if not training.left_out:
        return root
    out = workdir / "protocol" / training.name
    for part in images.SEEDS:
        known = [name for name in manifests.sources_of(root / part) if name != training.left_out]
        part_of(root / part, known, out / part)
    unknown = out / "unknown" / "test" / "architecture" / training.left_out
    if not unknown.exists():
        shutil.copytree(root / "unknown", out / "unknown", dirs_exist_ok=True)
        shutil.copytree(root / "test" / training.left_out, unknown)
    return out


def rows(
    all_of: Sequence[Training], workdir: Path, zoo: Path, given: Mapping[str, Path | None], variant: str
) -> Iterator[dict[str, Any]]:
    """Trains what is missing; yields the rows of `experiments.open_set`, without those of each sort of drawings."""
    for number, training in enumerate(all_of, 1):
        print(f"{training.name}: {number} of {len(all_of)}", flush=True)
        run = fit(training, zoo, workdir, variant)
        root = asked(training, workdir / "known", workdir)
        further = {side: None if training.left_out else given[side] for side in images.SIDES}
        for row in measure(root, Attributor.load(run), further, SIZES[variant]["repeats"]):
            if row.get("kind") != images.NO_PHOTOGRAPH or not row["generator"]:
                yield {"training": training.name, **row}


def main() -> None:
    """Trains and measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="where the packages were unpacked; / where they are installed")
    parser.add_argument("--photographs", type=Path, default=Path("runs/photographs"), help="those of experiments/zoo")
    parser.add_argument("--unknown", type=Path, help="further kinds for the test")
    parser.add_argument("--development", type=Path, help="further kinds for the choice of a score")
    parser.add_argument("--only", nargs="+", help="the names of some trainings")
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE, help="where trainings.jsonl goes")
    arguments = parser.parse_args()
    variant, packages = arguments.variant, None if arguments.variant else arguments.packages
    if not variant and packages is None:
        parser.error("give --packages, with the photographs of experiments/zoo")
    workdir = Path("runs") / ("open_set-trainings" + (f"-{variant}" if variant else ""))
    zoo = workdir / "zoo" if variant else Path("runs/zoo")
    generators = [f"{images.SHIPPED}/{name}" for name in GANS]
    make_images(zoo, generators, packages, ZOO[variant] | {"resolution": images.RESOLUTION}, arguments.photographs)
    images.write_known(workdir / "known", SIZES[variant], packages)
    images.write_drawings(workdir / "known" / "unknown", SIZES[variant]["drawn"])
    given = {"development": arguments.development, "test": arguments.unknown}
    chosen = [one for one in trainings() if one.name in (arguments.only or [one.name])]
    found = list(rows(chosen, workdir, zoo, given, variant))
    arguments.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(arguments.out / "trainings.jsonl", "".join(json.dumps(row) + "\n" for row in found).encode())
    print(of_trainings(found))


if __name__ == "__main__":
    main()
