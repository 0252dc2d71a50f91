"""Compare images with a reference: did one generator make all of them? A likelihood ratio, and what it rests on.

    python -m ganfp_jax.main --config=configs/compare.py --config.reference=DIR -- suspect.png more/
    python -m ganfp_jax.main --config=configs/compare.py --config.checkpoint=runs/attribution \\
        --config.data.root=VALIDATION --config.reference=DIR -- suspect.png

`reference` is a folder, file or pattern of images that one generator has made, `images` the ones in question, which are
one case and get one ratio: 20 says that images and reference are 20 times as probable together where one generator made
both as where two did. That is no probability of one generator; whoever has odds beforehand multiplies them with it. At
most `most` of the images and of the reference are taken, evenly spread over each.

`checkpoint` is an attribution network; neither generator has to be known to it. `data.root` holds labelled images of
the sources that it was trained on, best such that it has not seen; at most `images_per_source` of each are taken. Of
these, sets as large as the case and the reference are drawn (`draws` times for each pair of sources and part of the
images), and the scores of sets of one source and of two say what the score of the case is worth (isotonic regression,
which is pool adjacent violators). So a case of three images is calibrated by cases of three images, not by a product
of ratios. The score is that of enrolment's traces: the network's fingerprint and the spectrum of the images' blocks.

Sets that are compared never share a photograph, and the trials by which Cllr is measured are of other photographs than
those that taught their ratios. Intervals are of `repeats` bootstrap samples of photographs, where the manifest of
`data.root` lists them. The ratio stays between the empirical lower and upper bound (ELUB): trials that count as 28
independent ones support no ratio above 29. More images of the known sources allow larger ones.

Refused in one line: images of the reference, or of the case, that are all alike, or that fall into two groups as those
of two generators do (`mixed=True` compares them all the same; fewer than 5 images are not looked at so); too few known
images. Flat images, copies, and images that are in the reference, too, are left out. `tiles`, `resize` and
`min_luma_std` are as in `configs/attribute.py`.

Writes `comparison.json`, `report/index.html`, `tippett.png` and, of files that cannot be used, `rejected.csv`. Of 300
images a source it takes about a minute on two cores. What to expect: experiments/comparison. By default the known
images are those of `configs/quickstart.py`; `:tiny` compares images of two sources of `configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "compare",
            "checkpoint": "photos32",
            "reference": "",
            "images": "",
            # layout "auto" stops at source folders that hold real/ and fake/, or train/ and val/; "sources" takes all.
            "data": {"root": "runs/quickstart/images", "layout": "auto"},
            "most": 20,
            "images_per_source": 300,
            "mixed": False,
            "resize": "crop",
            "tiles": 4,
            "min_luma_std": 10.0,
            "draws": 50,
            "repeats": 200,
            "seed": 0,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.data.root = "runs/quickstart-tiny/images"
    config.reference = "runs/quickstart-tiny/images/train/SNGAN"
    config.images = "runs/quickstart-tiny/images/train/ProGAN"
    config.most = 4
    config.draws, config.repeats = 10, 10
    return config
