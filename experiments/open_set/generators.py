"""Unknown generators: further seeds of the shipped ones, other architectures, and known families on other pictures.

    python -m experiments.open_set.generators --packages=DIR                 # three hours on one CPU core; it resumes
    python -m experiments.open_set.generators --packages=DIR --only VAE      # these alone, so that others run beside
    python -m experiments.open_set.generators --variant=tiny --out=DIR       # the same path in seconds; no packages
    python -m experiments.open_set.generators --ship                         # one of them for the quickstart's report

`DIR` is that of experiments/zoo. Each generator is trained, draws 250 images and is done: `--out` then has
`development/<kind>/<name>/*.png` or `test/<kind>/<name>/*.png`, which `experiments.open_set` takes as `--development`
and `--unknown`, a sheet of images in `sheets`, and a line in `generators.jsonl`. Started again, it trains what is
missing; a GAN of the zoo goes on from its last checkpoint. No network is asked about any image here.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from experiments.open_set.others import dcgan, diffusion, vae
from experiments.open_set.others.fitting import Draw, Images
from experiments.open_set.stamps import write_stamps
from experiments.zoo.__main__ import gan_configs
from experiments.zoo.images import write_real
from ganfp_jax.data.decode import decode_image, encode_png
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped, weights
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import train
from ganfp_jax.metrics.monitor import make_monitor
from ganfp_jax.report.grid import image_grid
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import open_run

SIZES: dict[str, dict[str, Any]] = {
    "": {"resolution": 32, "crops": 20_000, "others": 5000, "stamps": 4000, "drawn": 250, "spread": 5.0},
    "tiny": {"resolution": 16, "crops": 64, "others": 64, "stamps": 64, "drawn": 8, "spread": 0.01},
}
"""`spread` is in grey values: images whose standard deviation over images is less are one image."""

LATENT_SEED = 5  # of the images; the protocol's known ones have other seeds
SHIPPED = "SNGAN-seed-2"  # for the quickstart: a generator of the development side


class Place(NamedTuple):
    """Where a run works: its folder, the packages (None for embedded photographs) and the variant."""

    out: Path
    packages: Path | None
    variant: str

    def pictures(self, name: str) -> Path:
        """A folder of training pictures, written where it is missing.

        Args:
            name: "crops", those of the shipped generators; "others", crops of photographs that these never saw; or
                "stamps", which without packages are "others".
        """
        sizes, root = SIZES[self.variant], self.out / name
        if len(list((root / "real").glob("*.png"))) == sizes[name]:
            return root / "real"
        if name == "stamps" and self.packages:
            write_stamps(root / "real", self.packages, count=sizes[name], resolution=sizes["resolution"], seed=0)
        else:
            write_real(root, self.packages, "train" if name == "crops" else "valid", sizes[name], sizes["resolution"])
        return root / "real"


Make = Callable[[str, Place], Draw]
"""make(name, place): trains a generator and returns what draws its images."""


def zoo(family: str, seed: int, pictures: str = "crops") -> Make:
    """A GAN of the zoo with its settings and length, but another seed or other pictures."""

    def make(name: str, place: Place) -> Draw:
        run = place.out / "trained" / name
        config = gan_configs(place.pictures(pictures), place.variant)[family] | {"seed": seed}
        with open_run(run, config):
            train.run(config, run)
        sampler = Sampler(run)
        return lambda count, seed: np.concatenate(list(sampler.stream(seed, count, 100)))

    return make


def small(model: ModuleType, steps: int, width: int) -> Make:
    """A model of `others`, trained on the crops of the shipped generators."""

    def make(name: str, place: Place) -> Draw:
        images = np.stack([decode_image(path) for path in sorted(place.pictures("crops").glob("*.png"))])
        length = {"steps": 2, "width": 8} if place.variant else {"steps": steps, "width": width}
        return model.train(images, name=name, seed=0, **length)

    return make


class Recipe(NamedTuple):
    """A generator: side of the split, kind, name, minutes of one core, and how it is made."""

    side: str
    kind: str
    name: str
    minutes: float
    make: Make


# In this order a run that is stopped early has something of every kind. MMDGAN has the seeds 2 and 3, since seed 1 was
# seen to die: its generator's gradient stayed at 0, which ends a training with an error.
RECIPES = (
    Recipe("test", "seed", "SNGAN-seed-1", 12, zoo("sngan", 1)),
    Recipe("test", "seed", "ProGAN-seed-1", 17, zoo("progan", 1)),
    Recipe("test", "seed", "CramerGAN-seed-1", 14, zoo("cramergan", 1)),
    Recipe("test", "seed", "MMDGAN-seed-2", 10, zoo("mmdgan", 2)),
    Recipe("development", "architecture", "VAE", 6, small(vae, 3000, 32)),
    Recipe("test", "architecture", "DCGAN", 7, small(dcgan, 1800, 32)),
    Recipe("test", "architecture", "diffusion", 6, small(diffusion, 1500, 16)),
    Recipe("test", "data", "SNGAN-stamps", 12, zoo("sngan", 0, "stamps")),
    Recipe("development", "seed", "SNGAN-seed-2", 12, zoo("sngan", 2)),
    Recipe("development", "seed", "MMDGAN-seed-3", 10, zoo("mmdgan", 3)),
    Recipe("development", "seed", "CramerGAN-seed-2", 14, zoo("cramergan", 2)),
    Recipe("development", "seed", "ProGAN-seed-2", 17, zoo("progan", 2)),
    Recipe("development", "data", "SNGAN-other-photographs", 12, zoo("sngan", 0, "others")),
    Recipe("test", "data", "ProGAN-stamps", 17, zoo("progan", 0, "stamps")),
)
TINY = ("SNGAN-seed-1", "VAE", "DCGAN", "diffusion", "SNGAN-stamps", "SNGAN-seed-2")


def folder_of(recipe: Recipe, place: Place) -> Path:
    """Where the images of a generator are."""
    return place.out / recipe.side / recipe.kind / recipe.name


def is_done(recipe: Recipe, place: Place) -> bool:
    """Whether all images of a generator are there."""
    return len(list(folder_of(recipe, place).glob("*.png"))) == SIZES[place.variant]["drawn"]


def check_alive(images: Images, least: float) -> float:
    """Returns how much the images differ: the mean over pixels of the standard deviation over images, in grey values.

    Raises:
        UserError: they are one image, as a generator draws that died in training.
    """
    spread = float(images.astype(np.float64).std(0).mean())
    if spread < least:
        raise UserError(f"all its images are nearly one (they differ by {spread:.1f} grey values); take another seed")
    return spread


def draw(recipe: Recipe, place: Place) -> dict[str, Any]:
    """Trains a generator, writes its images and a sheet of them, and returns its figures.

    Raises:
        UserError: the generator died.
    """
    sizes = SIZES[place.variant]
    images = recipe.make(recipe.name, place)(sizes["drawn"], LATENT_SEED)
    figures = {"std_between_images": round(check_alive(images, sizes["spread"]), 1)} | distance(images, place)
    folder = folder_of(recipe, place)
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        encode_png(folder / f"{number:05d}.png", image)
    (place.out / "sheets").mkdir(exist_ok=True)
    sheet = image_grid(images[:96], 16, scale=2, gap=2)
    Image.fromarray(sheet).save(place.out / "sheets" / f"{recipe.name}.png")
    return figures


def distance(images: Images, place: Place) -> dict[str, float]:
    """Sliced Wasserstein distances and MS-SSIM, beside as many crops that the shipped generators learned from."""
    if place.variant:
        return {}
    paths = sorted(place.pictures("crops").glob("*.png"))
    chosen = np.random.RandomState(0).permutation(len(paths))[: len(images)]
    measured = make_monitor(np.stack([decode_image(paths[i]) for i in chosen]))(images)
    return {name: round(value, 2) for name, value in measured.items()}


def note(place: Place, row: Mapping[str, Any]) -> None:
    """Adds a line to `generators.jsonl`, in place of an earlier one of the same generator."""
    path = place.out / "generators.jsonl"
    with atomic.locked(place.out / ".generators.lock", wait=True):
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        rows = [other for other in rows if other["name"] != row["name"]] + [dict(row)]
        atomic.write_bytes(path, "".join(json.dumps(one) + "\n" for one in rows).encode())


def ship(out: Path) -> Path:
    """Writes the weights of `SHIPPED` to the shipped set, as a generator that its network does not know."""
    found = load(out / "trained" / SHIPPED, "generator")
    path = shipped.ROOT / "photos32" / f"{shipped.UNKNOWN}sngan{shipped.SUFFIX}"
    weights.write_file(path, dataclasses.replace(found, about={**found.about, "source_name": SHIPPED}))
    shipped.write_index(path.parent)
    return path


def make_all(recipes: Sequence[Recipe], place: Place) -> list[str]:
    """Makes the generators that are missing, tells the time left, and returns what is wrong with those that died."""
    missing = [recipe for recipe in recipes if not is_done(recipe, place)]
    began, done, died = time.perf_counter(), 0.0, []
    for number, recipe in enumerate(missing):
        left = sum(other.minutes for other in missing[number:])
        pace = (time.perf_counter() - began) / 60 / done if done else 1.0
        print(f"{recipe.name}: {number + 1} of {len(missing)}, about {left * pace:.0f} minutes left", flush=True)
        try:
            note(place, {"side": recipe.side, "kind": recipe.kind, "name": recipe.name, **draw(recipe, place)})
        except UserError as error:
            died.append(f"{recipe.name} is left out: {error}")
            print(died[-1])
        done += recipe.minutes
    return died


def main() -> None:
    """Makes the generators that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="where the packages were unpacked; / where they are installed")
    parser.add_argument("--only", nargs="+", choices=[recipe.name for recipe in RECIPES], help="these generators alone")
    parser.add_argument("--ship", action="store_true", help=f"put the trained {SHIPPED} into the shipped set")
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("runs/open_set/generators"), help="where everything goes")
    arguments = parser.parse_args()
    if arguments.ship:
        print(ship(arguments.out))
        return
    if not arguments.variant and arguments.packages is None:
        parser.error("give --packages, with the photographs of experiments/zoo")
    names = arguments.only or (TINY if arguments.variant else [recipe.name for recipe in RECIPES])
    place = Place(arguments.out, None if arguments.variant else arguments.packages, arguments.variant)
    if died := make_all([recipe for recipe in RECIPES if recipe.name in names], place):
        raise SystemExit("\n".join(died))
    print(f"done: --development={place.out}/development --unknown={place.out}/test")


if __name__ == "__main__":
    main()
