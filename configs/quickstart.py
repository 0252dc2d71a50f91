"""Run the whole path, from images to a page: on the shipped weights in a minute, or from scratch.

    python -m ganfp_jax.main --config=configs/quickstart.py           # or: make quickstart
    python -m ganfp_jax.main --config=configs/quickstart.py:scratch   # trains everything first: about four minutes
    python -m ganfp_jax.main --config=configs/quickstart.py:course    # from scratch, the course project's sources
    python -m ganfp_jax.main --config=configs/quickstart.py:seeds     # from scratch, three trainings of one GAN
    python -m ganfp_jax.main --config=configs/quickstart.py:tiny      # :scratch in seconds, results mean nothing

By default, nothing is trained. The generators of the `shipped` set draw `count` images each, and as many crops are
taken of the embedded photographs, which none of the networks has seen. The shipped network names their sources by a
vote over eight views, beside the shipped baselines. The first images of three sources (`course_sources`, as many of
each as `course_counts` says) are the course project's test: 15 and 150 images. Then the network is asked about `count`
images of a generator that it does not know, the training of its SNGAN again from another seed. It takes well under a
minute on two CPU cores.

`:scratch` trains its `generators` (ProGAN, SNGAN, CramerGAN and MMDGAN) on `gan_images` 32x32 crops of five embedded
scenes and makes 1,200 training (`train_count`) and 400 test images (`test_counts`) a source (the real test images are
crops of other photographs, which `photos.fold` chooses). It trains VisNet with mirroring and with all eight flips and
quarter turns, and evaluates both with votes over two view sets on clean and on JPEG-75 images, beside nine baselines.
It takes about four minutes on two CPU cores. A stopped run continues where it was.

`:course` has the course project's three sources: real, ProGAN and SNGAN; `configs/course_project.py` repeats its test
over 20 dataset seeds. `:seeds` asks the paper's harder question: the sources are real and three ProGANs that differ
only in the seed of their training, with 500 test images each.
"""

from ml_collections import ConfigDict

from configs import attribution, cramergan, mmdgan, progan, sngan
from ganfp_jax.run.variants import choose

COMMAND = "python -m ganfp_jax.main --config=configs/quickstart.py"


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, scratch, course, seeds, tiny."""
    variants = {"default": _shipped, "scratch": _scratch, "course": _course, "seeds": _seeds, "tiny": _tiny}
    config = choose(variant, variants)
    config.command = COMMAND if variant == "default" else f"{COMMAND}:{variant}"
    return config


def _shipped() -> ConfigDict:
    return ConfigDict(
        {
            "job": "quickstart",
            "command": COMMAND,
            "shipped": "photos32",
            "seed": 7,
            "photos": {"reduction": 2.0, "min_luma_std": 10.0},
            "count": 200,
            "course_sources": ("real", "ProGAN", "SNGAN"),
            "course_counts": (5, 50),
            "conditions": ("none", "jpeg75"),
            "views": "d4",
            "rule": "majority",
            "batch_size": 50,
        }
    )


def _scratch() -> ConfigDict:
    return _study("photos")


def _study(variant: str) -> ConfigDict:
    network = attribution.get_config(variant)
    network.eval_images = 0  # the study's own evaluation comes after the training
    network.batch_size = min(network.batch_size, 32)  # half the time of configs/attribution.py's own
    return ConfigDict(
        {
            "job": "quickstart",
            "command": COMMAND,
            "seed": 0,
            "resolution": 32,
            "photos": {"fold": 0, "reduction": 2.0, "min_luma_std": 10.0},
            "generators": ("progan", "sngan", "cramergan", "mmdgan"),
            "progan": progan.get_config(variant),
            "sngan": sngan.get_config(variant),
            "cramergan": cramergan.get_config(variant),
            "mmdgan": mmdgan.get_config(variant),
            "gan_images": 3000,
            "train_count": 1200,
            "test_counts": (400,),
            "attribution": network,
            "networks": ("mirror", "d4"),
            "conditions": ("none", "jpeg75"),
            "view_sets": ("mirror", "d4"),
            "rule": "majority",
            "baselines": (
                *("knn", "eigenface", "prnu", "logistic_pixels", "logistic_log_dct", "logistic_log_packets"),
                "metadata",
            ),
            "immunised_baselines": ("logistic_log_dct", "logistic_log_packets"),
        }
    )


def _course() -> ConfigDict:
    config = _study("photos")
    config.generators = ("progan", "sngan")
    config.test_counts = (5, 50)
    return config


def _seeds() -> ConfigDict:
    config = _study("photos")
    for name in config.generators:
        del config[name]
    config.generators = ("progan_0", "progan_1", "progan_2")
    for seed, name in enumerate(config.generators):
        config[name] = progan.get_config("photos")
        config[name].seed = seed
        config[name].source_name = f"ProGAN-{seed}"
    config.test_counts = (500,)
    return config


def _tiny() -> ConfigDict:
    config = _study("tiny")
    config.resolution = 16
    config.gan_images = 64
    config.train_count = 48
    config.test_counts = (24,)
    return config
