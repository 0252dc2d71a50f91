"""Does anything but a fingerprint give the classes of a labelled folder away? And is anything in it twice?

    python -m ganfp_jax.main --config=configs/audit.py                          # the images of make scratch
    python -m ganfp_jax.main --config=configs/audit.py --config.data.root=DIR --config.equalise=OUT

`DIR` holds train/ and test/, or one folder a source. Of `files_per_source` files a source, each kind of fact is tested
as a classifier of its own (a decision tree, cross-validated over `folds`; crops of one photograph stay together)
against chance, corrected by Holm. A trace of how files were written is a **leak**: format, dimensions, compression
settings, metadata, a stretch of values to 0 and 255, levels left out. What depends on the pictures too is a
**warning**: bytes, range of values, mean colour. Found is what has p <= `alpha`, its 95 % interval above chance and is
right by `min_gain` more often than chance. Images that repeat another one pixel for pixel, or whose perceptual hashes
(64 bits) differ in `distance` bits or fewer, and photographs in both splits are listed. Writes `audit.json`,
`audit.csv`, `audit.png`, `duplicates.csv` and, where there are some, `duplicates.png`.

`equalise=OUT` writes a copy with `codec` ("png", or "jpeg" of one `quality`), one size (`resolution`, 0: the smallest
side that occurs; `resize` as everywhere) and no metadata. `stretch`: "auto" stretches all images alike where some were
stretched (this cannot be undone), "all", "none". What an earlier JPEG did to pixels stays; a last one for all hides it.
About 20 s for the study's 8,000 images; `:tiny` takes those of `configs/quickstart.py:tiny`.
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
            # layout "auto" stops at source folders that hold real/ and fake/, or train/ and val/; "sources" takes all.
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
