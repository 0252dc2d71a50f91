"""Compare votes: one table of view sets and vote rules for one network.

    python -m ganfp_jax.main --config=configs/ablation.py --config.checkpoint=runs/attribution --config.data.root=DIR
    python -m ganfp_jax.main --config=configs/ablation.py --config.view_sets="('d4', 'identity,rot15,crop28')"

Each view of an image is classified once; sets and rules share the logits. The speed of a set is that of its views one
after the other. A network gains only from views like those of its training.

By default, the D4-trained network of `configs/quickstart.py:scratch` votes on its 2,000 test images, clean and JPEG-75,
with 23 views in 12 sets by 3 rules, in two minutes on two CPU cores. There, by majority, the four views of `seed` gain
a point on clean images (95.3 % against 94.3 with one view; Holm p 0.02). No other set of exact views gains after Holm's
correction, and no set gains on JPEG images. Interpolating turns destroy the traces (86.7, 68.2 and 38.9 % with turns of
5, 15 and 45 degrees); crops cost a point. `:tiny` uses `configs/quickstart.py:tiny`.

Writes:
- `ablation.csv`: the first of the conditions in `perturb`; `ablation-<condition>.csv` has each of the others.
- `ablation.json`: all results, with McNemar's p corrected by Holm over the table, the seconds of each view, and how
  well disagreement among the views predicts wrong answers, beside p(1-p) of one view, which costs nothing.
- `logits-<condition>.npz`: the logits of every view of every image.
- `ablation.png` and `report/index.html`, which compares the best vote with cheap methods (`baselines`), trained on
  train/ where `data.root` has one.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "ablation",
            "checkpoint": "runs/quickstart-scratch/visnet-d4",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": "runs/quickstart-scratch/images", "resize": "crop", "layout": "auto"},
            "view_sets": (
                *("identity", "mirror", "identity,vertical_flip", "flips", "rotations", "seed", "d4"),
                *("turns5", "turns15", "turns45", "shifts", "crops"),
            ),
            "rules": ("majority", "mean_logit", "mean_probability"),
            "perturb": ("none", "jpeg75"),
            "bootstrap": 1000,
            "baselines": {
                "methods": ("logistic_log_dct",),
                "immunised_methods": ("logistic_log_dct",),
                "immunise": {"share": 0.5, "perturbations": ("jpeg50-95",)},
                "images_per_source": 500,
            },
            "seed": 0,
            "batch_size": 32,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.data.root = "runs/quickstart-tiny/images"
    config.bootstrap = 100
    return config
