"""Train CramerGAN: the energy distance between features of images (Bellemare et al. 2017, arXiv 1705.10743).

    python -m ganfp_jax.main --config=configs/cramergan.py         # photos: 32x32 crops of the embedded photographs
    python -m ganfp_jax.main --config=configs/cramergan.py:celeba --config.data.folder.root=DIR
    python -m ganfp_jax.main --config=configs/cramergan.py:lsun --config.data.source=tfds

`:photos` takes about a minute on two CPU cores (three critic steps a generator step) and gives textures in the
photographs' colours, not photographs. `:tiny` takes seconds and gives noise.

`:celeba` and `:lsun` are the published training of the fingerprint study at 128x128, with the code and the settings of
Binkowski et al. (ICLR 2018, arXiv 1801.01401): generator resnet5, critic dcgan5 with 256 features, 150,000 generator
steps with five critic steps each, 32 images a step, Adam (0.5, 0.9) at 1e-4 throughout, every variable's gradient
clipped at length 1, gradient penalty 10. The intervals of logs, measures, samples and checkpoints are ours.

Two of their habits are keys, whose published values are the defaults of `:celeba` and `:lsun`, the others of `:photos`:
- `objective.penalty.norm`. "height": the gradient is measured down each image column; "sample": over the whole image,
  as the papers mean it.
- `generator.statistics`. "batch": generated images are normalised by the 32 of their batch too; "running": by averages
  of the training's batches.

In a short training the last layer, a transposed convolution, paints dots of 2 pixels. Four keys with published defaults
are against that (docs/generators.md): `generator.upsampling`, `optimizer.schedule`, `step.ema_decay` and
`checkpoint_choice`.

`plateau.every=2000` with `plateau.inception=FILE` adds the three-sample rule for the learning rate, which the published
command names but never runs.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, celeba-smoke, tiny."""
    return common.choose_gan(variant, _published, photos=_photos, smoke=smoke, tiny=tiny)


def _published() -> ConfigDict:
    objective = {
        "name": "cramer",
        "args": {},
        "penalty": {"weight": 10.0, "target": 1.0, "norm": "height", "epsilon": 1e-5, "layers": 0.0},
    }
    return published("CramerGAN", critic={"num_features": 256}, objective=objective)


def published(name: str, *, critic: dict[str, Any], objective: dict[str, Any]) -> ConfigDict:
    """The published training of CramerGAN or MMDGAN, without its data."""
    network = {"ch": 64, "bottom_width": 4, "max_multiplier": 16, "dtype": "float32"}
    return ConfigDict(
        {
            "job": "train",
            "program": "gan",
            "source_name": name,
            "seed": 0,
            "resolution": 128,
            "generator": {
                "name": "resnet5_generator",
                "latent_size": 100,
                "statistics": "batch",
                "padding": "zero",
                "upsampling": "transposed",
                **network,
            },
            "critic": {"name": "dcgan5_critic", **critic, **network},
            "latents": {"size": 100, "distribution": "uniform"},
            "objective": objective,
            "optimizer": {
                "learning_rate": 1e-4,
                "beta1": 0.5,
                "beta2": 0.9,
                "epsilon": 1e-8,
                **common.CONSTANT,
                "clip_norm": 1.0,
            },
            "plateau": {
                "every": 0,
                "inception": "",
                "num_codes": 2048,
                "memory": 10,
                "p_value": 0.1,
                "strikes": 3,
                "factor": 0.5,
                "floor": 1e-6,
                "keep": 3,
            },
            "batch_size": 32,
            "num_steps": 150_000,
            "step": {
                "critic_steps": 5,
                "generator_first": False,
                "ema_decay": 0.0,
                "pixels": "unit",
                "augment": "none",
            },
            "num_samples": 64,
            **common.logging(eval_images=1024, sample_every=1000, dead_after=1000, checkpoint_choice="last"),
        }
    )


def _photos(config: ConfigDict) -> None:
    on_photographs(config)
    config.num_steps = 320


def on_photographs(config: ConfigDict) -> None:
    """Either training made small, its two habits corrected."""
    config.generator.ch = 16
    config.generator.statistics = "running"
    config.critic.ch = 12
    config.objective.penalty.norm = "sample"
    config.optimizer.learning_rate = 1e-3
    config.batch_size = 16
    config.step.critic_steps = 3


def smoke(config: ConfigDict) -> None:
    """Either training on CelebA made tiny."""
    config.generator.ch = config.critic.ch = 4
    config.generator.max_multiplier = config.critic.max_multiplier = 4
    config.batch_size = 4
    config.num_steps = 3
    config.step.critic_steps = 1


def tiny(config: ConfigDict) -> None:
    """Either training on photographs made tiny."""
    config.generator.ch = config.critic.ch = 4
    config.critic.num_features = 8
    config.step.critic_steps = 1
    config.num_steps = 16
