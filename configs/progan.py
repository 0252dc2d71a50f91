"""Train ProGAN: progressive growing, WGAN-GP with drift (Karras et al., ICLR 2018).

    python -m ganfp_jax.main --config=configs/progan.py            # photos: 32x32 crops of the embedded photographs
    python -m ganfp_jax.main --config=configs/progan.py:celeba --config.data.folder.root=DIR
    python -m ganfp_jax.main --config=configs/progan.py:lsun --config.data.source=tfds

`:photos` takes about two minutes on two CPU cores, with two critic steps a generator step, and gives blurred patches of
the photographs' colours, not photographs. `:tiny` takes seconds and gives noise.

`:celeba` and `:lsun` are the published training of the fingerprint study at 128x128 (12 million images): minibatches of
512 to 32 and the learning rate 0.0015 at 128x128 are the study's, the rest is ProGAN's own. That training skips an
update whose gradient is not finite; here the run stops and says so. The intervals of logs, measures, samples and
checkpoints are ours in every config.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, celeba-smoke, tiny."""
    return common.choose_gan(variant, _published, photos=_photos, smoke=_smoke, tiny=_tiny)


def _published() -> ConfigDict:
    return ConfigDict(
        {
            "job": "train",
            "program": "gan",
            "source_name": "ProGAN",
            "seed": 1000,
            "resolution": 128,
            "generator": {
                "name": "progan_generator",
                "latent_size": 512,
                "fmap_base": 8192,
                "fmap_decay": 1.0,
                "fmap_max": 512,
                "padding": "zero",
                "dtype": "float32",
            },
            "critic": {
                "name": "progan_discriminator",
                "fmap_base": 8192,
                "fmap_decay": 1.0,
                "fmap_max": 512,
                "minibatch_stddev_group": 4,
                "dtype": "float32",
            },
            "latents": {"size": 512, "distribution": "normal"},
            "objective": {
                "name": "wgan_gp",
                "args": {"drift": 0.001},
                "penalty": {"weight": 10.0, "target": 1.0},
            },
            "optimizer": {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-8},
            "growing": {
                "first_resolution": 4,
                "fade_kimg": 600.0,
                "stable_kimg": 600.0,
                "total_kimg": 12000.0,
                "batch_size": {"4": 512, "8": 256, "16": 128, "32": 64, "64": 32, "128": 32},
                "learning_rate": {"4": 1e-3, "8": 1e-3, "16": 1e-3, "32": 1e-3, "64": 1e-3, "128": 1.5e-3},
                "repeats": 4,
            },
            "step": {
                "critic_steps": 1,
                "generator_first": False,
                "ema_decay": 0.999,
                "pixels": "signed",
                "augment": "none",
            },
            "num_samples": 64,
            **common.logging(eval_images=1024, sample_every=1000, dead_after=1000, checkpoint_choice="last"),
        }
    )


def _photos(config: ConfigDict) -> None:
    config.generator.fmap_base = config.critic.fmap_base = 192
    config.generator.fmap_max = config.critic.fmap_max = 64
    config.growing = {
        "first_resolution": 8,
        "fade_kimg": 2.0,
        "stable_kimg": 2.0,
        "total_kimg": 10.0,
        "batch_size": {"8": 16, "16": 16, "32": 16},
        "learning_rate": {"8": 3e-3, "16": 3e-3, "32": 3e-3},
        "repeats": 4,
    }
    config.step.critic_steps = 2
    config.step.ema_decay = 0.99


def _smoke(config: ConfigDict) -> None:
    config.generator.fmap_base = config.critic.fmap_base = 512
    config.generator.fmap_max = config.critic.fmap_max = 16
    config.growing.first_resolution = 64
    config.growing.fade_kimg = config.growing.stable_kimg = 0.008
    config.growing.total_kimg = 0.024
    config.growing.batch_size = {"64": 4, "128": 4}
    config.growing.learning_rate = {"64": 1e-3, "128": 1.5e-3}


def _tiny(config: ConfigDict) -> None:
    config.generator.fmap_base = config.critic.fmap_base = 32
    config.generator.fmap_max = config.critic.fmap_max = 8
    config.step.critic_steps = 1
    config.growing.fade_kimg = config.growing.stable_kimg = 0.064
    config.growing.total_kimg = 0.256
    config.growing.batch_size = {"8": 16, "16": 16}
    config.growing.learning_rate = {"8": 3e-3, "16": 3e-3}
