"""What several trainings have in common: the photographs, the published data sets, how often what is written."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose

Change = Callable[[ConfigDict], object]
"""Changes a config in place."""

EVERY = ("eval_every", "sample_every", "checkpoint_every")
CONSTANT = {"schedule": "constant", "schedule_args": {}}  # of the learning rate
NONE_IMMUNISED = {"share": 0.0, "perturbations": ()}
NONE_UNKNOWN = {"share": 0.0, "kinds": ()}
# layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
# crop_from: the side of the stored images, of which every step shows another window; 0 shows whole images.
LABELLED = {"root": "", "resize": "refuse", "crop_from": 0, "cache_gib": 4.0, "layout": "auto"}


def choose_gan(
    variant: str, published: Callable[[], ConfigDict], *, photos: Change, smoke: Change, tiny: Change
) -> ConfigDict:
    """A variant of the training of one GAN.

    Args:
        variant: photos, celeba, lsun, celeba-smoke or tiny.
        published: makes the published training, without its data.
        photos: makes it the one on the embedded photographs, but for what is common to all four.
        smoke: likewise, from that on CelebA to the tiny one on the few photographs of `python -m experiments.celeba`.
        tiny: likewise, from `photos` to that of seconds.
    """
    variants: dict[str, Callable[[], ConfigDict]] = {
        "photos": lambda: _changed(published(), _on_photographs, photos),
        "celeba": lambda: _changed(published(), _on_celeba),
        "lsun": lambda: _changed(published(), _on_lsun),
        "celeba-smoke": lambda: _changed(published(), _on_celeba, _smoke, smoke),
        "tiny": lambda: _changed(published(), _on_photographs, photos, _tiny_gan, tiny),
    }
    return choose(variant, variants)


def logging(
    *,
    eval_images: int | None = None,
    sample_every: int | None = None,
    dead_after: int | None = None,
    checkpoint_choice: str | None = None,
) -> dict[str, Any]:
    """How often is logged, measured, sampled and saved, and how hard XLA's compiler tries; what is None is no key."""
    settings = {
        "start_from": "",  # a trained network to begin at: see docs/guide.md, "Longer, and from other weights"
        "log_every": 100,
        "eval_images": eval_images,
        "eval_every": 5000,
        "sample_every": sample_every,
        "checkpoint_every": 5000,
        "keep_checkpoints": 2,
        "checkpoint_choice": checkpoint_choice,
        "dead_after": dead_after,  # steps with a gradient of 0 at every log: the training stops; 0: never
        "compile_effort": "full",
    }
    return {key: value for key, value in settings.items() if value is not None}


def on_celeba(config: ConfigDict) -> ConfigDict:
    """A published training on labelled images, which cuts CelebA's photographs as published."""
    config.data.resize = "celeba"
    return config


def on_study(config: ConfigDict) -> ConfigDict:
    """A training on the images of `configs/quickstart.py:scratch`, turned, and half of them compressed."""
    config.seed = 0
    config.resolution = 32
    config.optimizer.schedule = "cosine"
    config.optimizer.schedule_args = {"warmup": 0.05}
    config.augment = "d4"
    config.immunise.share = 0.5
    config.immunise.perturbations = ("jpeg50-95",)
    config.data.root = "runs/quickstart-scratch/images"
    config.data.resize = "crop"
    config.eval_images = 512
    config.log_every = 50
    return config


def tiny(config: ConfigDict) -> ConfigDict:
    """A training of 16 steps."""
    config.resolution = 16
    config.eval_images = 32
    config.log_every = 4
    _set_every(config, 8)
    config.compile_effort = "low"
    return config


def tiny_on_study(config: ConfigDict) -> ConfigDict:
    """The same on the images of `configs/quickstart.py:tiny`."""
    tiny(config).data.root = "runs/quickstart-tiny/images"
    config.num_steps = 16
    return config


def _changed(config: ConfigDict, *changes: Change) -> ConfigDict:
    for change in changes:
        change(config)
    return config


def _on_photographs(config: ConfigDict) -> None:
    config.seed = 0
    config.resolution = 32
    config.generator.latent_size = config.latents.size = 128
    config.generator.padding = "reflect"
    config.step.augment = "mirror"
    config.data = {
        "source": "photos",
        "photos": {"split": "train", "fold": 0, "reduction": 2.0, "min_luma_std": 10.0, "count": 3000, "seed": 0},
        "folder": {"root": "", "resize": "crop", "cache_gib": 4.0},
        "tfds": {"name": "", "split": "train", "data_dir": "", "download": False, "resize": "crop", "cache_gib": 4.0},
    }
    config.log_every = 25
    config.eval_images = 256
    _set_every(config, 200)
    config.dead_after = 100


def _on_celeba(config: ConfigDict) -> None:
    """CelebA as the study cut it."""
    _on(config, "celeb_a", split="train", resize="celeba")


def _on_lsun(config: ConfigDict) -> None:
    """The study's 200,000 bedrooms of LSUN."""
    _on(config, "lsun/bedroom", split="train[:200000]", resize="lsun")


def _on(config: ConfigDict, name: str, *, split: str, resize: str) -> None:
    either = {"resize": resize, "cache_gib": 4.0}
    config.data = {
        "source": "folder",
        "folder": {"root": "", **either},
        "tfds": {"name": name, "split": split, "data_dir": "", "download": False, **either},
    }


def _smoke(config: ConfigDict) -> None:
    config.data.folder.root = "runs/celeba-smoke/img_align_celeba"
    config.num_samples = config.eval_images = 16
    config.log_every = 1
    _set_every(config, 100)  # at the end
    config.compile_effort = "low"


def _tiny_gan(config: ConfigDict) -> None:
    tiny(config)
    config.generator.latent_size = config.latents.size = 16
    config.data.photos.count = 64
    config.num_samples = 16


def _set_every(config: ConfigDict, steps: int) -> None:
    for key in EVERY:
        if key in config:
            config[key] = steps
