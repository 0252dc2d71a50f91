"""Train SNGAN: residual networks, spectral normalisation, hinge loss (Miyato et al., ICLR 2018).

    python -m ganfp_jax.main --config=configs/sngan.py             # photos: 32x32 crops of the embedded photographs
    python -m ganfp_jax.main --config=configs/sngan.py:celeba --config.data.folder.root=DIR
    python -m ganfp_jax.main --config=configs/sngan.py:lsun --config.data.source=tfds

`:photos` takes about a minute on two CPU cores and gives textures in the photographs' colours, not photographs.
`:tiny` takes seconds and gives noise.

`:celeba` and `:lsun` are the published training of the fingerprint study at 128x128: 150,000 generator steps with five
critic steps each, 32 images a step, Adam 2e-4 falling to 0 over the last fifth, images dithered, no running average.
The intervals of logs, measures, samples and checkpoints are ours. Batch normalisation sees the batch of all devices
together.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, celeba-smoke, tiny."""
    return common.choose_gan(variant, _published, photos=_photos, smoke=_smoke, tiny=_tiny)


def _published() -> ConfigDict:
    network = {"ch": 64, "bottom_width": 4, "num_classes": 1, "max_multiplier": 16, "dtype": "float32"}
    return ConfigDict(
        {
            "job": "train",
            "program": "gan",
            "source_name": "SNGAN",
            "seed": 0,
            "resolution": 128,
            "generator": {"name": "sngan_generator", "latent_size": 128, "padding": "zero", **network},
            "critic": {"name": "sngan_discriminator", **network},
            "latents": {"size": 128, "distribution": "normal"},
            "objective": {"name": "hinge", "args": {}, "penalty": {}},
            "optimizer": {
                "learning_rate": 2e-4,
                "beta1": 0.0,
                "beta2": 0.9,
                "epsilon": 1e-8,
                "schedule": "linear_decay",
                "schedule_args": {"decay_from": 0.8},
            },
            "batch_size": 32,
            "num_steps": 150_000,
            "step": {
                "critic_steps": 5,
                "generator_first": True,
                "ema_decay": 0.0,
                "pixels": "dithered",
                "augment": "none",
            },
            "num_samples": 64,
            **common.logging(eval_images=1024, sample_every=750, dead_after=1000, checkpoint_choice="last"),
        }
    )


def _photos(config: ConfigDict) -> None:
    config.generator.ch = config.critic.ch = 16
    config.optimizer.learning_rate = 1e-3
    config.batch_size = 16
    config.num_steps = 600
    config.step.critic_steps = 1


def _smoke(config: ConfigDict) -> None:
    config.generator.ch = config.critic.ch = 4
    config.generator.max_multiplier = config.critic.max_multiplier = 4
    config.batch_size = 4
    config.num_steps = 3
    config.step.critic_steps = 1


def _tiny(config: ConfigDict) -> None:
    config.generator.ch = config.critic.ch = 4
    config.num_steps = 16
