"""Train MMDGAN: maximum mean discrepancy with a kernel on learnt features (Li et al. 2017, arXiv 1705.08584).

    python -m ganfp_jax.main --config=configs/mmdgan.py            # photos: 32x32 crops of the embedded photographs
    python -m ganfp_jax.main --config=configs/mmdgan.py:celeba --config.data.folder.root=DIR
    python -m ganfp_jax.main --config=configs/mmdgan.py:lsun --config.data.source=tfds

`:photos` takes about a minute on two CPU cores (three critic steps a generator step) and gives textures in the
photographs' colours, not photographs. `:celeba` and `:lsun` are the published training of the fingerprint study at
128x128, with the code and the settings of Binkowski et al. (ICLR 2018, arXiv 1801.01401): networks, steps and optimiser
as in configs/cramergan.py, but 16 features, the kernel mix_rq_1dot (three rational quadratics plus the inner product),
gradient penalty 1 and L2 penalty 1 on the critic's layers. Three of their habits are keys: `objective.args.diagonal`
("published": the constant 3 is taken out of the kernel's diagonal; "exact": the diagonal), and `objective.penalty.norm`
and `generator.statistics` as in configs/cramergan.py. The published values are the defaults of `:celeba` and `:lsun`,
the others of `:photos`, whose narrow critic also begins otherwise (`critic.first_weights`): with the published weights
its features are so near 0 that the penalty on its layers can take them there, where every gradient is 0 for ever. How
often is logged, measured, sampled and saved is ours. `:tiny` takes seconds and gives noise.
"""

from ml_collections import ConfigDict

from configs import progan
from ganfp_jax.run.variants import choose


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, celeba-smoke, tiny."""
    variants = {"photos": _photos, "celeba": _celeba, "lsun": _lsun}
    return choose(variant, variants | {"celeba-smoke": _celeba_smoke, "tiny": _tiny})


def _published() -> ConfigDict:
    network = {"ch": 64, "bottom_width": 4, "max_multiplier": 16, "dtype": "float32"}
    return ConfigDict(
        {
            "job": "train",
            "program": "gan",
            "source_name": "MMDGAN",
            "seed": 0,
            "resolution": 128,
            "generator": {
                "name": "resnet5_generator",
                "latent_size": 100,
                "statistics": "batch",
                "padding": "zero",
                **network,
            },
            "critic": {"name": "dcgan5_critic", "num_features": 16, "first_weights": "published", **network},
            "latents": {"size": 100, "distribution": "uniform"},
            "objective": {
                "name": "mmd",
                "args": {"kernel": "mix_rq_1dot", "estimate": "unbiased", "diagonal": "published"},
                "penalty": {"weight": 1.0, "target": 1.0, "norm": "height", "epsilon": 1e-5, "layers": 1.0},
            },
            "optimizer": {
                "learning_rate": 1e-4,
                "beta1": 0.5,
                "beta2": 0.9,
                "epsilon": 1e-8,
                "schedule": "constant",
                "schedule_args": {},
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
            "start_from": "",  # a trained network to begin at: see docs/guide.md, "Longer, and from other weights"
            "log_every": 100,
            "eval_images": 1024,
            "eval_every": 5000,
            "sample_every": 1000,
            "checkpoint_every": 5000,
            "keep_checkpoints": 2,
            "dead_after": 1000,  # steps with a gradient of 0 at every log: the training stops; 0: never
            "compile_effort": "full",
        }
    )


def _celeba() -> ConfigDict:
    return progan.of_celeba(_published())


def _lsun() -> ConfigDict:
    return progan.of_lsun(_published())


def _photos() -> ConfigDict:
    config = _published()
    config.resolution = 32
    config.generator.latent_size = config.latents.size = 128
    config.generator.ch = 16
    config.generator.statistics = "running"
    config.generator.padding = "reflect"
    config.critic.ch = 12
    config.critic.first_weights = "scaled"
    config.objective.args.diagonal = "exact"
    config.objective.penalty.norm = "sample"
    config.optimizer.learning_rate = 1e-3
    config.batch_size = 16
    config.num_steps = 400
    config.step.critic_steps = 3
    config.step.augment = "mirror"
    config.data = {
        "source": "photos",
        "photos": {
            "split": "train",
            "fold": 0,
            "reduction": 2.0,
            "min_luma_std": 10.0,
            "count": 3000,
            "seed": 0,
        },
        "folder": {"root": "", "resize": "crop", "cache_gib": 4.0},
        "tfds": {"name": "", "split": "train", "data_dir": "", "download": False, "resize": "crop", "cache_gib": 4.0},
    }
    config.log_every = 25
    config.eval_images = 256
    config.eval_every = 200
    config.sample_every = 200
    config.checkpoint_every = 200
    config.dead_after = 100
    return config


def _celeba_smoke() -> ConfigDict:
    config = progan.smoke(_celeba())
    config.generator.ch = config.critic.ch = 4
    config.generator.max_multiplier = config.critic.max_multiplier = 4
    config.batch_size = 4
    config.num_steps = 3
    config.step.critic_steps = 1
    return config


def _tiny() -> ConfigDict:
    config = _photos()
    config.resolution = 16
    config.generator.latent_size = config.latents.size = 16
    config.generator.ch = config.critic.ch = 4
    config.critic.num_features = 8
    config.step.critic_steps = 1
    config.num_steps = 16
    config.data.photos.count = 64
    config.num_samples = 16
    config.log_every = 4
    config.eval_images = 32
    config.eval_every = config.sample_every = config.checkpoint_every = 8
    config.compile_effort = "low"
    return config
