"""Train the image-sized fingerprint network: what has a source left in an image? (Yu, Davis and Fritz, ICCV 2019.)

    python -m ganfp_jax.main --config=configs/fingerprint.py --config.data.root=DIR
    python -m ganfp_jax.main --config=configs/fingerprint.py:celeba --config.data.root=DIR

`DIR` holds one folder of images a source, or `train/` and `test/` with one each; by default the images that
`configs/quickstart.py:scratch` made. An autoencoder redraws the image without what gives its source away; the
difference is the image's fingerprint, as large as the image, and its inner product with each source's fingerprint is
that source's logit. `samples/` shows images, reconstructions and fingerprints, one row each; `eval/` is of the averaged
network.

`:celeba` and `:lsun` are the published training at 128x128: 25 million images, and as many again for the critic. How
often it is evaluated, drawn and saved is ours. Images of another size are refused there, but for CelebA's photographs
as downloaded (178x218), which `:celeba` cuts as published.

The default trains a narrow network at 32x32, bottleneck at 8x8, in about five minutes on two CPU cores (43 ms a
step). Expect 79 % of five sources (chance is 20 %), half of the real images of photographs never seen called real,
and blurred reconstructions; a quarter of the steps gives 57 %. Its learning rate and `rec_weight` are the best of
four pairs tried on images held out of `train/`. `:tiny` takes seconds, on the images of `configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, tiny."""
    return choose(variant, {"photos": _photos, "celeba": _celeba, "lsun": _published, "tiny": _tiny})


def _published() -> ConfigDict:
    network = {"fmap_base": 1024, "fmap_decay": 1.0, "fmap_max": 512, "dtype": "float32"}
    return ConfigDict(
        {
            "job": "train",
            "program": "fingerprint",
            "seed": 1000,
            "resolution": 128,
            "classes": (),
            "model": {"name": "fingerprint_autoencoder", "latent_res": 4, **network},
            "critic": {"name": "fingerprint_discriminator", "minibatch_stddev_group": 4, **network},
            "objective": {
                "class_weight": 1.0,
                "rec_weight": 20.0,
                "adversarial_weight": 0.1,
                "drift": 0.001,
                "penalty_weight": 10.0,
                "penalty_target": 1.0,
            },
            # Of both networks, each with moments of its own.
            "optimizer": {
                "learning_rate": 1e-3,
                "beta1": 0.0,
                "beta2": 0.99,
                "epsilon": 1e-8,
                "schedule": "constant",
                "schedule_args": {},
            },
            "ema_decay": 0.999,
            "augment": "mirror",
            "immunise": {"share": 0.0, "perturbations": ()},
            # Images that count; the critic reads as many others in every step.
            "batch_size": 32,
            "num_steps": 781_250,
            # layout "auto" stops at source folders that hold real/ and fake/, or train/ and val/; "sources" takes all.
            "data": {"root": "", "resize": "refuse", "cache_gib": 4.0, "layout": "auto"},
            "eval_images": 4500,
            "num_samples": 10,
            "start_from": "",  # a trained network to begin at: see docs/guide.md, "Longer, and from other weights"
            "log_every": 100,
            "eval_every": 5000,
            "sample_every": 5000,
            "checkpoint_every": 5000,
            "keep_checkpoints": 2,
            "dead_after": 1000,  # steps with a gradient of 0 at every log: the training stops; 0: never
            "compile_effort": "full",
        }
    )


def _celeba() -> ConfigDict:
    config = _published()
    config.data.resize = "celeba"
    return config


def _photos() -> ConfigDict:
    config = _published()
    config.seed = 0
    config.resolution = 32
    config.model.fmap_base, config.critic.fmap_base = 64, 32
    config.model.latent_res = 8
    config.objective.rec_weight = 5.0
    config.optimizer.learning_rate = 1e-2
    config.optimizer.schedule = "cosine"
    config.optimizer.schedule_args = {"warmup": 0.05}
    config.ema_decay = 0.99
    config.augment = "d4"
    config.immunise.share = 0.5  # as configs/attribution.py, so that the two can be compared
    config.immunise.perturbations = ("jpeg50-95",)
    config.batch_size = 16
    config.num_steps = 6000
    config.data.root = "runs/quickstart-scratch/images"
    config.data.resize = "crop"
    config.eval_images = 512
    config.log_every = 50
    config.eval_every = config.sample_every = config.checkpoint_every = 1000
    config.dead_after = 100
    return config


def _tiny() -> ConfigDict:
    config = _photos()
    config.resolution = 16
    config.model.fmap_base = config.critic.fmap_base = 32
    config.ema_decay = 0.9
    config.data.root = "runs/quickstart-tiny/images"
    config.num_steps = 16
    config.eval_images = 32
    config.log_every = 4
    config.eval_every = config.sample_every = config.checkpoint_every = 8
    config.compile_effort = "low"
    return config
