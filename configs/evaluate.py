"""Evaluate an attribution network: checkpoint + labelled folder -> predictions.csv, metrics.json, a page.

    python -m ganfp_jax.main --config=configs/evaluate.py --config.checkpoint=runs/attribution --config.data.root=DIR

`checkpoint` is a training's run folder, a file (or folder) of `configs/export_weights.py`, or a shipped set's name.
`perturb` perturbs every picture first, as a whole ("jpeg75", "noise15", "blur0.7").

Every picture counts once, however large it is: `tiles` and `min_luma_std` are those of `configs/attribute.py`, and
`tiles` in metrics.json tells how many of a picture were looked at in the mean, and in how many pictures there was
nothing to see. Accuracy counts the source that the vote chose (`predicted`) for these, too.

`views` is a set ("identity", "mirror", "seed", "d4", ...) or a list of views ("identity,rot15,shift2_0,crop28", see
`ganfp_jax/data/views.py`), or empty for those of the network's training; `rule` is "majority", "mean_logit" or
"mean_probability". `metrics.json` holds the vote and, beside it, the same network's single view. `early_stopping`
ends the vote on an image as soon as no further view can change its majority: the decisions are the same in less time
(`views_saved`; a third of the views by default), and `votes` and probabilities are of the classified views.

The last columns of `predictions.csv` are verdict, margin, distance, typicality, sources and tiles, as
`configs/attribute.py` gives them; `verdicts` in `metrics.json` counts the decided, the undecided and the unknown ones.
Where the network was calibrated (`configs/calibrate.py`) for these views and this rule, `verdicts` in metrics.json, the
console and the page say how many images it decides, how many of them wrongly, and how many it does not. They
also say so where the images are those that it was calibrated on.

`unknown` is a folder of images of sources that the network does not know: images of one kind of source, or a folder a
kind (`DIR/KIND/FILE`, or `DIR/KIND/GENERATOR/FILE` where a kind has several generators). Every kind is compared with
the images of `data.root`, and no mean is taken over kinds. Console, `unknown` in metrics.json and the page then say
what they were called (a source, unsure, unknown, nothing to see), and how well each score (margin, distance,
strangeness, and typicality where the network has p-values) tells them from known ones: AUROC, FPR95, OSCR, CCR at FPR
1, 5 and 10 %, balanced accuracy (`ganfp_jax/metrics/open_set.py` defines them), with intervals over generators and
photographs. `unknown/` in the run folder has their predictions.csv, with the kind as target, rejected.csv and
notes.csv. They are perturbed as the others.

Where `data.root` has train/ and test/, the cheap methods of `baselines` are trained on `images_per_source` images of
train/, those of `immunised_methods` on images that are perturbed by `immunise`; configs/baselines.py names them all.
Their results are in metrics.json and in `report/index.html` (`--config.baselines.methods="()"
--config.baselines.immunised_methods="()"` for none).

`rejected.csv` lists the refused files with the reasons, `notes.csv` the images of another size with their changes.
`data.resize` fits them: "crop" (tiles, pixel for pixel; resizing would damage the trace), "area" or "refuse". Baselines
and fingerprints take the centre; the page shows larger pictures whole, wrongly named ones with a map of the sources.

By default, the D4-trained network of `configs/quickstart.py:scratch` is evaluated on its 2,000 test images, in about 30
s on two CPU cores. `:celeba` is the last command of docs/celeba.md, which cuts CelebA's photographs as published and
refuses other sizes; its `single_view` is the published way to test. `:celeba-smoke` does the same with the files of
`python -m experiments.celeba`, `:tiny` with `configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, celeba, celeba-smoke, tiny."""
    variants = {"default": lambda: _of("runs/quickstart-scratch"), "celeba": lambda: _celeba("celeba")}
    return choose(variant, variants | {"celeba-smoke": _celeba_smoke, "tiny": _tiny})


def _of(quickstart: str) -> ConfigDict:
    return ConfigDict(
        {
            "job": "evaluate",
            "checkpoint": f"{quickstart}/visnet-d4",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": f"{quickstart}/images", "resize": "crop", "layout": "auto"},
            "unknown": "",
            "tiles": 64,
            "min_luma_std": 10.0,
            "views": "",
            "rule": "majority",
            "early_stopping": False,
            "perturb": "none",
            "seed": 0,
            "batch_size": 32,
            "baselines": {
                "methods": (
                    *("knn", "eigenface", "prnu", "logistic_pixels", "logistic_log_dct", "logistic_log_packets"),
                    "metadata",
                ),
                "immunised_methods": ("logistic_log_dct", "logistic_log_packets"),
                "immunise": {"share": 0.5, "perturbations": ("jpeg50-95",)},
                "images_per_source": 500,
            },
        }
    )


def _celeba(name: str) -> ConfigDict:
    config = _of("runs/quickstart-scratch")
    config.checkpoint = f"runs/attribution-{name}"
    config.data.root = f"runs/{name}/images"
    config.data.resize = "celeba"
    return config


def _celeba_smoke() -> ConfigDict:
    config = _celeba("celeba-smoke")
    config.baselines.methods = ("logistic_log_dct", "metadata")
    config.baselines.immunised_methods = ()
    return config


def _tiny() -> ConfigDict:
    config = _of("runs/quickstart-tiny")
    config.baselines.methods = ("logistic_log_dct", "metadata")
    config.baselines.immunised_methods = ("logistic_log_dct",)
    return config
