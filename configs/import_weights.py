"""Import published weights: a released checkpoint -> a run folder that generate, evaluate and other jobs take.

    python -m ganfp_jax.main --config=configs/import_weights.py \\
        --config.source=celeba_align_png_cropped.pkl --workdir=runs/progan-celeba
    python -m ganfp_jax.main --config=configs/import_weights.py \\
        --config.source=CelebA_ProGAN_SNGAN_CramerGAN_MMDGAN_128.pkl --workdir=runs/released-classifier

`source` is a checkpoint that the authors of "Attributing Fake Images to GANs" released, or that their code writes: a
pickle of ProGAN, of the attribution classifier or of the fingerprint network; an `.npz` of SNGAN, of one network or of
a whole trainer; a TensorFlow checkpoint of CramerGAN or MMDGAN, its folder or its path without `.index`. Or it is a
PyTorch file (`torch.save` of a state_dict, from version 1.6 on) of an attribution network in the form of
experiments/benchmark/torch_visnet.py. The content decides which of these it is. Nothing in it is executed, nothing is
downloaded, and neither TensorFlow, Chainer nor PyTorch is needed. The job takes seconds and prints the networks inside
and the chosen one.

- `network`: the default is the running average (Gs, EGs), or the only network that is no critic.
- `classes`: the names of an attribution network's logits, in their order, as the folders of a labelled set are called.
  The released networks of five classes know real, ProGAN, SNGAN, CramerGAN, MMDGAN, those of eleven real, ProGAN_seed_0
  to ProGAN_seed_9. These are the defaults; any other number needs names (`--config.classes=real,mine,theirs`).
- `source_name`: the class of a generator's images; the default is the family's name. CramerGAN and MMDGAN share a
  generator; the critic beside it distinguishes them.

- `input`: of a PyTorch file, what the network sees: "image", or "residual" for what a blur leaves of it. No file says,
  nor does one say on which views it was trained, so that one view votes by default.

The released classifiers learned from images as the authors' code wrote them, so draw with
`generate.py --config.encoding=published` for them. `:tiny` imports a ProGAN of 32x32 that the tests use.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": lambda: _of(""), "tiny": lambda: _of("tests/golden/published_progan.pkl")})


def _of(source: str) -> ConfigDict:
    config = {"job": "import_weights", "source": source, "network": "", "classes": (), "source_name": ""}
    return ConfigDict(config | {"input": "image"})
