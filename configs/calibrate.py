"""Calibrate an attribution network: from which margin on can its verdicts be relied on?

    python -m ganfp_jax.main --config=configs/calibrate.py --config.checkpoint=runs/attribution --config.data.root=DIR

`data.root` holds labelled images that the network was not trained on, as for `configs/evaluate.py`: what is found
holds for images like these, from the same sources in the same shares. The margin is the probability of the source that
the vote chose (`views`, by default those of the network's training, and `rule`), minus that of the next. Chosen is the
smallest margin above which, with 95 % confidence, at most the share `error_rate` of the verdicts is wrong: from the
surest image down, as long as the upper Clopper-Pearson bound for the mistakes so far is not above it
(`ganfp_jax/attribution/certainty.py` says why that is no luck of the best of many). To show 1 % takes 299 images
without a mistake, and where even the surest are wrong too often, the job says so, writes nothing and ends with status
2. `min_decided` is
the share of the images that are to be decided at least: the surest of them, where it begins. Images are taken for
independent, which crops of one photograph are not.

The result, `calibration.json`, is written into the checkpoint's run folder, where `configs/attribute.py` finds it and
answers "unsure" below that margin, and `configs/export_weights.py` takes it along; it is of these weights, these views
and this rule only. A `checkpoint` that is a file is left as it is: a calibrated copy of it, `weights.safetensors`, is
written into the job's run folder. What is decided wrongly on the images of the calibration is no estimate for a test
set: measure that on others.

By default the D4-trained network of `configs/quickstart.py:scratch` on its 2,000 test images, in 10 s. One such network
decided 63 % of them, 0.5 % of those wrongly (without a threshold 5.4 % are wrong). `:tiny` calibrates the network of
`configs/quickstart.py:tiny`, which was hardly trained, to decide all and be wrong in less than 95 %.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    variants = {
        "default": lambda: _of("runs/quickstart-scratch", 0.01, 0.0),
        "tiny": lambda: _of("runs/quickstart-tiny", 0.95, 1.0),
    }
    return choose(variant, variants)


def _of(quickstart: str, error_rate: float, min_decided: float) -> ConfigDict:
    return ConfigDict(
        {
            "job": "calibrate",
            "checkpoint": f"{quickstart}/visnet-d4",
            # layout "auto" stops at source folders that hold real/ and fake/, or train/ and val/; "sources" takes all.
            "data": {"root": f"{quickstart}/images", "resize": "crop", "layout": "auto"},
            "views": "",
            "rule": "majority",
            "error_rate": error_rate,
            "min_decided": min_decided,
            "batch_size": 32,
        }
    )
