"""Measure a generator: run folder + real images -> quality.json, with SWD, MS-SSIM and, with weights, FID and KID.

    python -m ganfp_jax.main --config=configs/quality.py --config.generator=runs/progan
    python -m ganfp_jax.main --config=configs/quality.py --config.generator=runs/sngan-celeba \\
        --config.data.source=folder --config.data.folder.root=DIR --config.inception=inception.safetensors

`swd16384_32` is ProGAN's sliced Wasserstein distance with the published 16,384 images (`count`) on the 32x32 level
(lower is better), `ms_ssim16384_3scales` the similarity of pairs of generated images (lower is more varied). The column
"real" has the same for other real images: the values of a perfect generator (`floor=False` saves its time and half the
real images).

`fid16384` and `kid16384` need a local file of Inception weights; `ganfp_jax/metrics/inception.py` shows how to make it
(8 images/s on two CPU cores: lower the count there).

Real images are the generator's training images if `data` is as in its config; of a folder, the first in the order of
paths are taken.

It takes about three minutes and 5 GB of memory on two CPU cores at 32x32. ProGAN of the study has 115 and 81 on its two
levels, real images 3 and 7. `:tiny` measures 64 images of `configs/quickstart.py:tiny` in seconds.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "quality",
            "generator": "runs/quickstart-scratch/progan",
            "count": 16384,
            "seed": 0,
            "floor": True,
            "data": {
                "source": "photos",
                "photos": {"split": "train", "fold": 0, "reduction": 2.0, "min_luma_std": 10.0, "seed": 0},
                "folder": {"root": "", "resize": "crop"},
                "tfds": {"name": "", "split": "train", "data_dir": "", "download": False, "resize": "crop"},
            },
            "inception": "",
            "kid": {"subsets": 10, "subset_size": 1000},
            "batch_size": 64,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.generator = "runs/quickstart-tiny/progan"
    config.count = 64
    config.kid.subset_size = 32
    return config
