"""Audit a labelled folder: does anything but a fingerprint give its classes away? Is anything in it twice?

    python -m ganfp_jax.main --config=configs/audit.py                          # the images of make scratch
    python -m ganfp_jax.main --config=configs/audit.py --config.data.root=DIR --config.equalise=OUT

`DIR` holds train/ and test/, or one folder a source. Each kind of fact about `files_per_source` files a source is
tested as a classifier of its own (a decision tree, cross-validated over `folds`; crops of one photograph stay together)
against chance, corrected by Holm.

A fact that depends on how files were written is a **leak**: format, dimensions, compression settings, metadata, a
stretch of values to 0 and 255, skipped levels. A fact that depends on the pictures too is a **warning**: bytes, range
of values, mean colour. A finding has p <= `alpha`, a 95 % interval above chance and an accuracy of `min_gain` above
chance. The audit also lists images that equal another pixel for pixel, images whose perceptual hashes (64 bits) differ
in `distance` bits or fewer, and photographs in both splits.

Writes `audit.json`, `audit.csv`, `audit.png`, `duplicates.csv` and, if there are any, `duplicates.png`. It takes about
20 s for the study's 8,000 images; `:tiny` takes those of `configs/quickstart.py:tiny`.

`equalise=OUT` writes a copy with `codec` ("png", or "jpeg" of one `quality`), one size (`resolution`; 0 is the smallest
side that occurs; `resize` as everywhere) and no metadata. `stretch` "auto" stretches all images alike where some were
stretched (this cannot be undone); "all" and "none" decide it. Traces of an earlier JPEG stay in the pixels; a last
JPEG for all images hides them.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": lambda: _of("runs/quickstart-scratch"), "tiny": _tiny})


def _of(quickstart: str) -> ConfigDict:
    return ConfigDict(
        {
            "job": "audit",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": f"{quickstart}/images", "layout": "auto"},
            "files_per_source": 400,
            "folds": 5,
            "alpha": 0.05,
            "min_gain": 0.05,
            "duplicates": {"distance": 4},
            "equalise": "",
            "equalised": {"codec": "png", "quality": 95, "resolution": 0, "resize": "crop", "stretch": "auto"},
            "seed": 0,
        }
    )


def _tiny() -> ConfigDict:
    config = _of("runs/quickstart-tiny")
    config.files_per_source = 40
    return config
