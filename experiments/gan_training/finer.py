"""Trains CramerGAN and MMDGAN with and without their transposed last layer, decay, average and choice, at equal steps.

    python -m experiments.gan_training.finer --packages=DIR            # over an hour on one CPU core; it resumes
    python -m experiments.gan_training.finer --packages=DIR --families mmdgan --trainings decay
    python -m experiments.gan_training.finer --variant=tiny --out=DIR  # the same path in seconds, embedded photographs

`DIR` is that of experiments/zoo, whose settings, crops and 5,000 steps these are. Every training also keeps a running
average of the generator's weights, which changes no other weight, and the best of its checkpoints; so it gives three
networks: that of its last step, the average then, and the average at the checkpoint with the lowest distance while it
trained. The images that are measured here are others, beside other crops. It writes `finer.jsonl` and a sheet of images
a family to `--out`, and trains in `runs/gan_training`. Started again it trains what is missing and measures it.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PyTree, UInt8
from ml_collections import ConfigDict
from PIL import Image

from experiments.zoo.__main__ import SIZES, gan_configs
from experiments.zoo.images import make_crops
from ganfp_jax import models
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import train
from ganfp_jax.metrics.monitor import Monitor, make_monitor
from ganfp_jax.models.latents import draw_latents
from ganfp_jax.report.grid import image_grid
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run
from ganfp_jax.training import checkpoint
from ganfp_jax.training.gan_step import make_sampler

HERE = Path(__file__).parent
FAMILIES = ("cramergan", "mmdgan")
UPSAMPLING = {"generator.upsampling": "nearest"}
TRAININGS: dict[str, dict[str, Any]] = {
    "published": {},
    "upsampling": UPSAMPLING,
    "decay": UPSAMPLING | {"optimizer.schedule": "linear_decay", "optimizer.schedule_args": {"decay_from": 0.5}},
}
"""What a training changes in the zoo's config; "decay" stands for upsampling and decay."""
KEPT = {"step.ema_decay": 0.999, "checkpoint_choice": "best_swd"}
"""What every training keeps beside; neither changes a step."""
COUNT = {"": 1024, "tiny": 16}
SEED = 1  # of crops and latents; the choice of a checkpoint has 0
ROW = 16  # images of a network in the sheet

Images = UInt8[np.ndarray, "n h w 3"]


class Crops(NamedTuple):
    """Training crops to compare with, and as many others, which are what a perfect generator would draw."""

    real: Images
    others: Images


def read_crops(folder: Path, count: int) -> Crops:
    """Draws 2 `count` crops of a folder."""
    paths = sorted(folder.glob("*.png"))
    images = [decode_image(paths[i]) for i in np.random.RandomState(SEED).permutation(len(paths))[: 2 * count]]
    return Crops(np.stack(images[:count]), np.stack(images[count:]))


def config_of(family: str, training: str, crops: Path, variant: str, steps: int | None) -> dict[str, Any]:
    """The zoo's config of a family with the changes of a training."""
    config = ConfigDict(gan_configs(crops, variant)[family])
    config.update_from_flattened_dict(KEPT)
    for key, value in TRAININGS[training].items():
        section, _, name = key.partition(".")
        config[section][name] = value
    if "first_weights" in config.critic:  # with the published ones this MMDGAN's gradient falls to 0 at first
        config.critic.first_weights = "scaled"
    config.num_steps = steps or config.num_steps
    return config.to_dict()


def settled(
    generator: models.Network, params: PyTree, stats: PyTree, latents: Float[np.ndarray, "b n d"]
) -> dict[str, PyTree]:
    """The network with running statistics of its own.

    Args:
        generator: the network.
        params: its parameters.
        stats: statistics to begin with; those of a training with an average are the average's.
        latents: many latents, a batch for each update.
    """
    update = jax.jit(lambda stats, z: generator.apply({"params": params, **stats}, z, train=True, mutable=list(stats)))
    for z in latents:
        _, stats = update(stats, z)
    return {"params": params, **stats}


def networks(run: Path, config: Mapping[str, Any], batches: int = 60) -> Iterator[tuple[str, int, dict[str, PyTree]]]:
    """Yields name, step and variables of the networks of a finished training."""
    step, state, _ = checkpoint.load(run)
    generator = models.create(**config["generator"], resolution=config["resolution"])
    latents = draw_latents(np.random.RandomState(0), batches * 100, **config["latents"]).reshape(batches, 100, -1)
    stats = state["generator"]["stats"]
    yield "last", step, settled(generator, state["generator"]["params"], stats, latents)
    yield "average", step, {"params": state["ema_params"], **stats}
    chosen = load(run, "generator")
    yield "chosen", chosen.origin["step"], chosen.variables


def draw(config: Mapping[str, Any], variables: Mapping[str, PyTree], count: int) -> Images:
    """The images that the job `generate` makes of the network with the seed `SEED`."""
    generator = models.create(**config["generator"], resolution=config["resolution"])
    sample = jax.jit(make_sampler(generator, {}, config["step"]["pixels"]))
    latents = draw_latents(np.random.RandomState(SEED), count, **config["latents"])
    stats = {name: tree for name, tree in variables.items() if name != "params"}
    return np.asarray(sample(variables["params"], stats, latents))


def measure(monitor: Monitor, images: Images) -> dict[str, float]:
    """Distances at each level and MS-SSIM, rounded."""
    return {name: float(f"{value:.4g}") for name, value in monitor(images).items()}


class Study:
    """What was measured, in `finer.jsonl`, and sheets with a row of training crops and a row for each network."""

    def __init__(self, out: Path, crops: Crops) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._file, self.crops = out, out / "finer.jsonl", crops
        self.rows: list[dict[str, Any]] = []
        self._shown: dict[str, list[Images]] = {}
        if self._file.exists():
            self.rows = [json.loads(line) for line in self._file.read_text().splitlines()]
        self._monitor = make_monitor(crops.real, seed=SEED)

    def add(self, about: Mapping[str, Any], images: Images) -> None:
        """Measures images, in place of an earlier row about the same, and shows the first of them in the sheet."""
        row = {**about, **measure(self._monitor, images)}
        same = ("family", "training", "network")
        self.rows = [other for other in self.rows if any(other[key] != row[key] for key in same)] + [row]
        atomic.write_bytes(self._file, "".join(json.dumps(one) + "\n" for one in self.rows).encode())
        print(json.dumps(row), flush=True)
        self._shown.setdefault(row["family"], [self.crops.real[:ROW]]).append(images[:ROW])
        grid = image_grid(np.concatenate(self._shown[row["family"]]), columns=ROW, scale=2, gap=2)
        Image.fromarray(grid).save(self._out / f"finer_{row['family']}.png")


def train_and_draw(config: dict[str, Any], run: Path, count: int) -> Iterator[tuple[dict[str, Any], Images]]:
    """Trains what is missing; yields the name and step of each of its networks, and `count` images."""
    with open_run(run, config):
        train.run(config, run)
    for name, step, variables in networks(run, config):
        yield {"network": name, "step": step, "steps": config["num_steps"]}, draw(config, variables, count)


def shipped(family: str) -> tuple[dict[str, Any], Images]:
    """The shipped generator: the last network of a published training, MMDGAN's with the published first weights."""
    images = np.concatenate(list(Sampler(f"photos32/{family}").stream(SEED, COUNT[""], 64)))
    return {"family": family, "training": "shipped", "network": "last", "step": 5000, "steps": 5000}, images


def main() -> None:
    """Trains, measures and draws the families one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/"), help="where the packages were unpacked")
    parser.add_argument("--crops", type=Path, help="the zoo's crops, if made before, such as runs/zoo/crops")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--trainings", nargs="*", default=list(TRAININGS), choices=list(TRAININGS))
    parser.add_argument("--steps", type=int, help="of a training (default: the zoo's)")
    parser.add_argument("--variant", default="", choices=list(COUNT))
    parser.add_argument("--out", type=Path, default=HERE, help="where finer.jsonl and the sheets go")
    args = parser.parse_args()
    suffix = f"-{args.variant}" if args.variant else ""
    workdir = Path(f"runs/gan_training{suffix}")
    crops = args.crops or workdir / "crops"
    make_crops(crops, None if args.variant else args.packages, SIZES[args.variant])
    study = Study(args.out, read_crops(crops / "real", COUNT[args.variant]))
    study.add({"family": "crops", "training": "", "network": "others"}, study.crops.others)
    for family in args.families:
        if not args.variant:
            study.add(*shipped(family))
        for training in args.trainings:
            config = config_of(family, training, crops / "real", args.variant, args.steps)
            for about, images in train_and_draw(config, workdir / f"{family}-{training}", COUNT[args.variant]):
                study.add({"family": family, "training": training, **about}, images)


if __name__ == "__main__":
    main()
