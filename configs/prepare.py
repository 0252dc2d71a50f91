"""Prepare a labelled image set as a data set of ArrayRecord files: one folder to copy, fast to read in any order.

    python -m ganfp_jax.main --config=configs/prepare.py --config.data.root=DIR --config.prepare=OUT

`DIR` is a folder `<source>/<file>`, perhaps under `train/` and `test/`, or a CSV list with the columns
image,source[,split]. `prepare=OUT` (by default `dataset` in the run folder) then holds a data set in the format of
TensorFlow Datasets, with the features image, label and name and the manifest beside it. Other jobs read it as
`--config.data.root=OUT`, and so does `tfds.builder_from_directory(OUT)`; neither needs TensorFlow. RGB files in PNG and
JPEG are kept byte for byte, others become PNGs; `rejected.csv` lists the files that cannot be decoded.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "prepare",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": "runs/quickstart-scratch/images", "layout": "auto"},
            "prepare": "",
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.data.root = "runs/quickstart-tiny/images"
    return config
