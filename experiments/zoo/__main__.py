"""Makes the shipped weights: four generators and the attribution network, trained on photographs of Debian's packages.

    python -m experiments.zoo --packages=DIR                  # hours on two cores; started again it goes on

`DIR` is where the packages of `photographs.csv` were unpacked (`dpkg-deb -x PACKAGE.deb DIR`), or `/` where they are
installed. The nine embedded photographs are kept for the test: neither the generators nor the network see them.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.zoo import photographs
from ganfp_jax.data import labelled
from ganfp_jax.run_folder import open_run
from ganfp_jax.training import loop

from configs import attribution, cramergan, mmdgan, progan, sngan

RESOLUTION = 32
GAN_IMAGES = 20_000


def gan_configs(crops: Path) -> dict[str, dict[str, Any]]:
    """The four trainings: the `:photos` configs, on other photographs and for many times as long."""
    configs = {name: module.get_config("photos") for name, module in FAMILIES.items()}
    configs["progan"].growing.update(fade_kimg=12.0, stable_kimg=12.0, total_kimg=100.0)
    configs["progan"].step.ema_decay = 0.999
    configs["sngan"].num_steps = 10_000
    configs["cramergan"].num_steps = 5_000
    configs["mmdgan"].num_steps = 5_000
    for config in configs.values():
        config.data.source = "folder"
        config.data.folder.root = str(crops)
        config.log_every = 100
        config.eval_every = config.sample_every = config.checkpoint_every = 1000
    return {name: config.to_dict() for name, config in configs.items()}


FAMILIES = {"progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan}


def main() -> None:
    """Runs whatever is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=Path, default=Path("/"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/zoo"))
    arguments = parser.parse_args()
    workdir = arguments.workdir
    crops = workdir / "crops"
    if not crops.exists():
        photographs.write_crops(
            crops, arguments.packages, split="train", count=GAN_IMAGES, resolution=RESOLUTION, seed=0
        )
    for name, config in gan_configs(crops).items():
        with open_run(workdir / name, config):
            loop.run(config, workdir / name)


if __name__ == "__main__":
    main()
