"""Attack attribution networks, plain and immunised: attacks x networks -> one table and a page.

    python -m ganfp_jax.main --config=configs/robustness.py
    python -m ganfp_jax.main --config=configs/robustness.py --workdir=runs/attacks --config.data.root=DIR \\
        --config.plain=runs/plain --config.immunised=runs/immune --config.networks="{'jpeg': 'runs/attribution'}"

`plain` is a network that was trained on unchanged images, `immunised` one that was trained on attacked images;
`networks` is a mapping of further ones. Each is a run folder, an exported file or the name of a shipped set. One of
them may be empty, and all must know the sources of `data.root`. `configs/attribution.py` trains them:

    python -m ganfp_jax.main --config=configs/attribution.py --workdir=runs/plain \\
        --config.immunise.share=0 --config.immunise.perturbations="()" --config.data.root=DIR
    python -m ganfp_jax.main --config=configs/attribution.py --workdir=runs/immune \\
        --config.immunise.perturbations="('combination',)" --config.data.root=DIR

`attacks` are perturbations with their strength: jpegQ (quality), noiseS (standard deviation, of 255), blurS (standard
deviation in pixels), kernelK (blur, width of the kernel), cropP (percent of each side, then enlarged again), relightE
(photographic stops), medianK (width in pixels), sharpenP (percent); or with a range, from which each image's strength
is drawn: the published ones of Yu, Davis and Fritz (2019) are noise5-20, kernel1-9, crop5-20, jpeg10-75 and, in our own
measure, relight0.25-1; `combination` applies each of these five with probability one half. `ganfp_jax/data/perturb.py`
has the details. The last one of `attacks` is the headline of the page. Clean images are always tested, and come first.

`count` images of each source of `data.root` (or its test/) are attacked, 0 for all. Writes `robustness.csv`,
`metrics.json` (by source too, p-values corrected by Holm, against the plain network, baselines on the same images),
`robustness.png`, `networks/<name>/<attack>/` with predictions.csv for each, and `report/index.html`. A stopped run
continues with the missing attacks.

By default, 24 attacks on 200 images of each source test the D4-trained network of `configs/quickstart.py:scratch`,
which was trained on JPEGs. That takes a minute and a half of one CPU core a network besides the baselines. There the
combination leaves it 51.5 % (48 to 55) of clean 94.3 %; a plain one 43.9 % of 99.6 %; one immunised by the combination
71.2 % (68 to 74) of 94.1 %, which logistic regression on log-DCT, immunised too, also reaches (71.1 %). Immunising by
JPEG helps against JPEG (quality 75: 90.9 %, plain 41.1 %) and harms against noise (50.9 %, plain 62.8 %). Relighting by
two stops costs three points. `:tiny` uses `configs/quickstart.py:tiny`, in seconds.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": lambda: _of("runs/quickstart-scratch"), "tiny": _tiny})


def _of(quickstart: str) -> ConfigDict:
    return ConfigDict(
        {
            "job": "robustness",
            "plain": "",
            "immunised": f"{quickstart}/visnet-d4",
            "networks": {},
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": f"{quickstart}/images", "resize": "crop", "layout": "auto"},
            "count": 200,
            "attacks": (
                *("jpeg90", "jpeg75", "jpeg50", "jpeg30", "jpeg10", "noise2", "noise5", "noise10", "noise20"),
                *("kernel3", "kernel5", "kernel9", "crop5", "crop10", "crop20", "relight0.5", "relight1", "relight2"),
                *("jpeg10-75", "noise5-20", "kernel1-9", "crop5-20", "relight0.25-1", "combination"),
            ),
            "views": "d4",
            "rule": "majority",
            "seed": 0,
            "batch_size": 32,
            "baselines": {
                "methods": ("logistic_log_dct",),
                "immunised_methods": ("logistic_log_dct",),
                "immunise": {"share": 0.5, "perturbations": ("combination",)},
                "images_per_source": 500,
            },
        }
    )


def _tiny() -> ConfigDict:
    config = _of("runs/quickstart-tiny")
    config.networks = ConfigDict({"mirror": "runs/quickstart-tiny/visnet-mirror"})
    config.count = 8
    config.attacks = ("jpeg75", "jpeg30", "noise5", "jpeg10-75", "combination")
    return config
