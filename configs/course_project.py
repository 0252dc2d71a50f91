"""Repeat the course project's test of 15 and of 150 images, by one view and by votes, over 20 dataset seeds.

    python -m ganfp_jax.main --config=configs/quickstart.py:course     # first: its generators and networks
    python -m ganfp_jax.main --config=configs/course_project.py
    python -m ganfp_jax.main --config=configs/course_project.py --workdir=runs/ten --config.n_real="(10,)" \\
        --config.n_progan="(10,)" --config.n_sngan="(10,)" --config.dataset_seeds="(7, 8, 9)"

`n_real`, `n_progan` and `n_sngan` have one number a test; the images of a smaller test are the first of the larger one.
Each of `dataset_seeds` draws new crops of the photographs that `study` held out and new images of its generators; seeds
that made images of the study are refused. A network that knows more sources, such as those of
`configs/quickstart.py:scratch`, may name any of them.

Writes `images/seed<N>/` (labelled folders), `seeds/<N>.json` (every answer), `course.csv` (one line a test, seed,
network and view set) and `results.json` (the mean over the seeds with its interval, the answers that votes repaired and
broke, the published figure beside it).

It takes a minute and a half on one CPU core: the network trained with all flips and turns has 98 % right at 15 images
and 99 % at 150, with or without a vote (`experiments/course_project`). `:tiny` uses `configs/quickstart.py:tiny`, in
seconds.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "course_project",
            "study": "runs/quickstart-course",
            "n_real": (5, 50),
            "n_progan": (5, 50),
            "n_sngan": (5, 50),
            "dataset_seeds": tuple(range(100, 120)),
            "networks": ("mirror", "d4"),
            "view_sets": ("mirror", "seed", "d4"),
            "rule": "majority",
            "batch_size": 50,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.study = "runs/quickstart-tiny"
    config.n_real = config.n_progan = config.n_sngan = (2, 5)
    config.dataset_seeds = (100, 101, 102)
    return config
