"""Enrol a source: a trained network and a few images of a new generator -> a network that knows one source more.

    python -m ganfp_jax.main --config=configs/enrol.py --config.images=DIR --config.name=NAME
    python -m ganfp_jax.main --config=configs/enrol.py --config.checkpoint=runs/enrol --workdir=runs/enrol-two \\
        --config.images=DIR --config.name=OTHER                        # one more
    python -m ganfp_jax.main --config=configs/enrol.py --config.checkpoint=runs/enrol --workdir=runs/enrol-less \\
        --config.remove=NAME                                           # out again

Nothing is trained: of 20 images it takes seconds. `images` is a folder of them, of any depth, or "@list.txt", a path a
line; 5 or more different ones are needed and 20 are good (experiments/enrolment has the curves). `name` is what the new
source is called. `checkpoint` is an attribution network, which may have enrolled sources already. `remove` takes one of
these out again, and nothing else is done; without the last one the network is the trained one again.

`data.root` holds labelled images of the sources that the network was trained on, best such that it has not seen, as for
`configs/calibrate.py`; at most `images_per_source` of each are taken. They say how much images of one source vary, and
from where on an image is given to the new one: in each trained source, at most the share `rate` of such images, view by
view, each judged by other photographs' images. That is no promise for images unlike these.

Images are compared by the trained network's fingerprint and the spectrum of their blocks, by a linear discriminant with
a shrunk covariance (`ganfp_jax/models/enrolled.py`). The verdict among the trained sources stays what it was; only
images that the new source's prototype is nearer to than to theirs leave them. Of each picture up to `tiles` tiles are
looked at (`resize` and `min_luma_std` as in `configs/attribute.py`).

Images that fall into two groups, as those of two generators may do, are refused with the names of the smaller group;
`mixed=True` enrols them as one source. Two generators that the trained network does not tell apart are not noticed.
Flat images and copies do not count, and images that are all alike are refused. The job says how many of the images are
found where the source is enrolled from the others: the share to expect.

The run folder gets `weights.safetensors`, which `configs/attribute.py`, `configs/evaluate.py` and
`configs/calibrate.py` take as a `checkpoint`. It holds the prototypes, the axes of the covariance, and the name and
SHA-256 of every image that was enrolled. It has no calibration, since that of the trained network is of verdicts among
fewer sources: calibrate it again, with other images of the new source. `configs/export_weights.py` writes it as a file
or a StableHLO program; ONNX has no form of it.

By default, a source is added to the shipped network, beside the images of `configs/quickstart.py`. `:tiny` enrols one
of the sources of `configs/quickstart.py:tiny` under another name.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "enrol",
            "checkpoint": "photos32",
            "images": "",
            "name": "",
            "remove": "",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": "runs/quickstart/images", "layout": "auto"},
            "images_per_source": 300,
            "rate": 0.01,
            "mixed": False,
            "resize": "crop",
            "tiles": 4,
            "min_luma_std": 10.0,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.data.root = "runs/quickstart-tiny/images"
    config.images = "runs/quickstart-tiny/images/train/SNGAN"
    config.name = "SNGAN again"
    config.mixed = True  # of images of a generator that has hardly learned anything nobody knows
    return config
