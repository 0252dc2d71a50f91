"""Score the answers of any tool, or of several on the same images: CSV files -> metrics with intervals, and a page.

    python -m ganfp_jax.main --config=configs/score.py --config.predictions=FILE.csv
    python -m ganfp_jax.main --config=configs/score.py --config.predictions=theirs.csv,runs/evaluate \\
        --config.data.root=DIR

`predictions` are CSV files (separated by commas, semicolons or tabs) with a header and one row an image, or run folders
with a predictions.csv, such as those of `configs/evaluate.py`, which need no other key. `names` are what the tools are
called, by default the names of the files.

`columns` name what a table has; empty ones are found where they are called as usual (image, path, file; target, label,
source; predicted, prediction; group, photograph). `scores` are columns of one class each, with "*" for its name
("p_*"); or one column of a detector, high for what is not real ("score"), which says so from `threshold` on where the
table has no answers; or none (""). Without answers, the class that scores highest is the answer. `known` is a score
that is high for images of known sources, by default the highest of the scores.

`classes` are the sources that the tools know, by default those with scores, or all targets. Targets in `unknown` are
images of other sources; for the rest, an answer that is no class is wrong. `real` is the class of photographs.

Always: accuracy, balanced accuracy, accuracy by class, confusion. With scores: AUROC and average precision of each
class, and ECE where they are probabilities. With scores and `real`: AUROC, average precision, TPR at FPR 1, 5 and 10 %,
Cllr and its least value. With scores and unknown images: AUROC, FPR95, OSCR, CCR at FPR 1, 5 and 10 %, balanced
accuracy. Two tools are compared on the images that both have answered (McNemar's test, Holm's correction, difference).
Intervals are 95 %: a bootstrap (`repeats`) of whole groups, such as the crops of one photograph, where `columns.group`
or the manifest of `data.root` says which these are; else Wilson's and a bootstrap of images.

`data.root` is the labelled folder with the images (test/ where it has one). Then `configs/audit.py`'s question is asked
of it, too: does anything but a fingerprint give the sources away?

Writes `metrics.json`, `report/index.html` and, of rows that cannot be used, `rejected.csv` with the reasons; accuracy
is also given as if these were wrong. Two tables of a thousand images take some seconds. `:tiny` compares two networks
of `configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "score",
            "predictions": "runs/evaluate",
            "names": "",
            "columns": {"path": "", "target": "", "predicted": "", "scores": "*", "known": "", "group": ""},
            "classes": "",
            "unknown": "unknown",
            "real": "real",
            "threshold": 0.5,
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": "", "layout": "auto"},
            "audit": {"files_per_source": 400, "folds": 5, "alpha": 0.05, "min_gain": 0.05},
            "bins": 15,
            "repeats": 1000,
            "seed": 0,
        }
    )


def _tiny() -> ConfigDict:
    config, study = _default(), "runs/quickstart-tiny"
    config.predictions = f"{study}/evaluation/d4-clean-d4-24,{study}/evaluation/mirror-clean-d4-24"
    config.data.root = f"{study}/images"
    config.audit.files_per_source = 20
    config.repeats = 50
    return config
