"""Train the image-sized fingerprint network (Yu, Davis and Fritz, ICCV 2019).

    python -m ganfp_jax.main --config=configs/fingerprint.py --config.data.root=DIR
    python -m ganfp_jax.main --config=configs/fingerprint.py:celeba --config.data.root=DIR

`DIR` holds one folder of images a source, or `train/` and `test/` with one each; by default the images that
`configs/quickstart.py:scratch` made. An autoencoder reconstructs the image without the traces of its source. The
difference is the image's fingerprint, as large as the image, and its inner product with each source's fingerprint is
that source's logit. `samples/` has images, reconstructions and fingerprints, one row each; `eval/` is of the averaged
network.

The default trains a narrow network at 32x32, bottleneck at 8x8, in about five minutes on two CPU cores (43 ms a step).
Expect 79 % of five sources (chance is 20 %), half of the real images of unseen photographs called real, and blurred
reconstructions; a quarter of the steps gives 57 %. Its learning rate and `rec_weight` are the best of four pairs tried
on images held out of `train/`. `:tiny` takes seconds, on the images of `configs/quickstart.py:tiny`.

`:celeba` and `:lsun` are the published training at 128x128: 25 million images, and as many again for the critic. The
intervals of evaluation, samples and checkpoints are ours. Images of another size are refused there, except CelebA's
photographs as downloaded (178x218), which `:celeba` cuts as published.
"""

from ml_collections import ConfigDict

from configs import common
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
                **common.CONSTANT,
            },
            "ema_decay": 0.999,
            "augment": "mirror",
            "immunise": common.NONE_IMMUNISED,
            # Images that count; the critic reads as many others in every step.
            "batch_size": 32,
            "num_steps": 781_250,
            "data": common.LABELLED,
            "eval_images": 4500,
            "num_samples": 10,
            **common.logging(sample_every=5000, dead_after=1000),
        }
    )


def _celeba() -> ConfigDict:
    return common.on_celeba(_published())


def _photos() -> ConfigDict:
    config = common.on_study(_published())  # as configs/attribution.py, so that the two can be compared
    config.model.fmap_base, config.critic.fmap_base = 64, 32
    config.model.latent_res = 8
    config.objective.rec_weight = 5.0
    config.optimizer.learning_rate = 1e-2
    config.ema_decay = 0.99
    config.batch_size = 16
    config.num_steps = 6000
    config.eval_every = config.sample_every = config.checkpoint_every = 1000
    config.dead_after = 100
    return config


def _tiny() -> ConfigDict:
    config = common.tiny_on_study(_photos())
    config.model.fmap_base = config.critic.fmap_base = 32
    config.ema_decay = 0.9
    return config
