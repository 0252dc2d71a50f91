"""Measure cheap methods on a labelled folder, with many and with few training images, beside a network.

    python -m ganfp_jax.main --config=configs/baselines.py                      # the images and network of make scratch
    python -m ganfp_jax.main --config=configs/baselines.py --config.data.root=DIR --config.checkpoint= \\
        --config.resolution=128

`methods`: knn, eigenface, prnu, logistic_pixels, logistic_log_dct, logistic_log_packets; on local statistics, for large
photographs and sources that leave no fixed grid, logistic_block_log_dct, logistic_cooccurrences and both together as
logistic_local, which are not among the defaults; `metadata`, a control that must stay at chance; `file_size`, which
depends on the pixels where images are compressed.

`DIR` holds train/ and test/. Each method is trained on `train_counts` images a source (at most as many as there are;
`seed` draws them, and a smaller set is part of a larger one). It chooses its settings on held-out ones of these, and is
tested on all test images under every condition of `perturb`. The intervals are those of the test images; another `seed`
shows the effect of the draw of few training images.

Writes `baselines.csv`, `baselines.json` (by source too, and the settings chosen) and `low_data.png`. It takes two
minutes on two CPU cores: log-DCT 100 % on clean and 61 % on JPEG images, fitted on JPEGs too 99 and 94 %, metadata 20
%. `:tiny` uses `configs/quickstart.py:tiny`, in seconds.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": lambda: _of("runs/quickstart-scratch"), "tiny": _tiny})


def _of(quickstart: str) -> ConfigDict:
    return ConfigDict(
        {
            "job": "baselines",
            "checkpoint": f"{quickstart}/visnet-d4",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": f"{quickstart}/images", "resize": "crop", "layout": "auto"},
            "resolution": 32,
            "methods": (
                *("knn", "eigenface", "prnu", "logistic_pixels", "logistic_log_dct", "logistic_log_packets"),
                *("metadata", "file_size"),
            ),
            # Fitted once more on images of which a part is perturbed, as the images that the networks are trained on.
            "immunised_methods": ("logistic_log_dct", "logistic_log_packets"),
            "immunise": {"share": 0.5, "perturbations": ("jpeg50-95",)},
            "perturb": ("none", "jpeg75"),
            "train_counts": (20, 100, 500, 2000),
            "seed": 0,
        }
    )


def _tiny() -> ConfigDict:
    config = _of("runs/quickstart-tiny")
    config.resolution = 16
    config.train_counts = (6, 48)
    return config
