"""Inspect fingerprints: draw them and measure how far they separate the sources.

    python -m ganfp_jax.main --config=configs/inspect_fingerprints.py --config.checkpoint=DIR --config.data.root=DIR

`checkpoint` is the run folder of configs/attribution.py (fingerprints are 512 numbers) or of configs/fingerprint.py
(fingerprints are images); by default the network of `configs/quickstart.py:scratch` on its test images. Writes a page,
`report/index.html`; the fingerprints and responses of `pictures` images a source and the model fingerprints as PNGs;
`interactions.csv`, one row an image, its inner product with each model fingerprint; and `metrics.json`: accuracy,
Frechet-distance ratio, verification of pairs and cosine similarities with 95 % intervals, and the same for pixels and
spectra. About 80 s on two CPU cores.

Signed values become pictures with zero in the middle, cut at a limit: `fingerprint_limit` for image fingerprints,
`response_limit` for responses (times the square root of the fingerprint's size, which undoes the scale of the last
layer); 0 takes the 99.5th percentile of the sizes shown, one limit for the whole run, written into `scales.json`.
`:celeba` and `:lsun` draw as the published code does: fingerprints to 1, responses to 5, and responses set to zero
where one of a pixel's three channels is negative (`mask_negative`; for display only). The published code stretches
model fingerprints from their least to their greatest value; here, zero is in the middle. `real` names the class of
photographs, on which the controls are made.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, celeba, lsun, tiny."""
    config = choose(variant, {"default": _default, "celeba": _published, "lsun": _published, "tiny": _tiny})
    if variant != "default":
        config.command += f":{variant}"
    return config


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "inspect_fingerprints",
            "command": "python -m ganfp_jax.main --config=configs/inspect_fingerprints.py",
            "checkpoint": "runs/quickstart-scratch/visnet-d4",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": "runs/quickstart-scratch/images", "resize": "crop", "layout": "auto"},
            "seed": 0,
            "images_per_source": 400,
            "pictures": 4,
            "real": "real",
            "fingerprint_limit": 0.0,
            "response_limit": 0.0,
            "mask_negative": False,
        }
    )


def _published() -> ConfigDict:
    config = _default()
    config.checkpoint = ""
    config.data.root = ""
    config.data.resize = "refuse"
    config.fingerprint_limit = 1.0
    config.response_limit = 5.0
    config.mask_negative = True
    return config


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.data.root = "runs/quickstart-tiny/images"
    config.images_per_source = 24
    config.pictures = 2
    return config
