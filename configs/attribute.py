"""Attribute images: a checkpoint and any images -> which source made each of them.

    python -m ganfp_jax.main --config=configs/attribute.py -- photo.png folder/ 'scans/**/*.jpg'
    python -m ganfp_jax.main --config=configs/attribute.py --config.checkpoint=runs/attribution --config.images=DIR

`checkpoint` is the name of a shipped set, a training's run folder, or a file of `configs/export_weights.py`. `images`
is a file, a folder (all images in it, at any depth) or a pattern; several of them, and such as the shell makes of a
pattern, stand after `--`. `views`, `rule` and `resize` (of images that are not at the network's size: "crop", "area" or
"refuse") are those of `configs/evaluate.py`; no views are those that the network was trained on.

Up to 30 images are shown one by one, of more the verdicts are counted. The verdict is a source, or "unsure" where the
network was calibrated (`configs/calibrate.py`) and the margin is too small for its error rate. Beside it stand the
source's probability, how many views chose it, the margin (how far its probability is ahead of the next source's) and
the distance of the image's fingerprint to that of the nearest source: 0 the same direction, 1 nothing in common; an
image far from all of them may come from none. A network knows its sources only: it will name one for any image.

In the run folder: `predictions.csv` (as of `configs/evaluate.py`, without targets; verdict, margin and distance are the
last columns), `predictions.jsonl` (one object an image, with all of it and the choice of every view), `rejected.csv`
(files that were not used and why) and `notes.csv` (what was done to images of another size). Other images may be
attributed in the same run folder: they replace the results.

Exit status: 0 every file got a verdict; 1 an error that was not foreseen; 2 bad use, such as no image at all; 3 some
files could not be used, all others have their verdicts (files beside the images of a folder that are no images by their
names do not count, but stand in `rejected.csv`). Where the network was compiled before, the first verdict takes two
seconds of one core; about 300 images of 32x32 pixels a second and core follow, nine tenths of what the network alone
votes on.

By default the shipped network on the images of `configs/quickstart.py`; `:tiny` does it with network and images of
`configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "attribute",
            "checkpoint": "photos32",
            "images": "runs/quickstart/images/test",
            "views": "",
            "rule": "majority",
            "resize": "crop",
            "batch_size": 32,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.images = "runs/quickstart-tiny/images/test"
    return config
