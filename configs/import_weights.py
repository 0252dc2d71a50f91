"""Import published weights: a released checkpoint -> a run folder that generate, evaluate and the others take.

    python -m ganfp_jax.main --config=configs/import_weights.py \\
        --config.source=celeba_align_png_cropped.pkl --workdir=runs/progan-celeba
    python -m ganfp_jax.main --config=configs/import_weights.py \\
        --config.source=CelebA_ProGAN_SNGAN_CramerGAN_MMDGAN_128.pkl --workdir=runs/released-classifier

`source` is what the authors of "Attributing Fake Images to GANs" released, or what their code leaves: a pickle of
ProGAN, of the attribution classifier or of the fingerprint network; an `.npz` of SNGAN, a network's or a whole
trainer's snapshot; a TensorFlow checkpoint of CramerGAN or MMDGAN, its folder or its path without `.index`. What it is
follows from its content. Nothing in it is executed, nothing is downloaded, and neither TensorFlow nor Chainer is
needed. It takes seconds and prints what is inside and which network was taken.

`network`: by default the running average (Gs, EGs), or the only one that is no critic. `classes`: the names of an
attribution network's logits, in their order, as the folders of a labelled set are called. The released ones of five
classes know real, ProGAN, SNGAN, CramerGAN, MMDGAN, those of eleven real, ProGAN_seed_0 to ProGAN_seed_9, and that is
the default; any other number has to be named (`--config.classes=real,mine,theirs`). `source_name`: the class of a
generator's images, by default the family's name; CramerGAN and MMDGAN share a generator and are told apart by the
critic beside it.

The released classifiers learned from images as the authors' code wrote them, so draw with
`generate.py --config.encoding=published` for them. `:tiny` imports a ProGAN of 32x32 that the tests use.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": lambda: _of(""), "tiny": lambda: _of("tests/golden/published_progan.pkl")})


def _of(source: str) -> ConfigDict:
    return ConfigDict({"job": "import_weights", "source": source, "network": "", "classes": (), "source_name": ""})
