"""The cells of the table, from every network's logits of every view."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ganfp_jax.attribution.voting import count_votes
from ganfp_jax.metrics.statistics import holm, mcnemar_p, wilson_interval

Z = 1.959964  # quantile of the normal distribution for 95 %


def count_cells(measured: Sequence[tuple[int, Path]]) -> Iterator[dict[str, Any]]:
    """The cells of one task and training: every condition, set of views and rule, pooled over its networks.

    Args:
        measured: fold and run folder of `configs/ablation.py` of each network; networks of a fold saw the same images.

    Yields:
        Of each cell `condition`, `views`, `num_views`, `rule`, `images` (different ones: N), `networks`; `accuracy`
        (mean over images and networks) with `ci95` (Wilson's, as if one network had answered N images), `least` and
        `most` (of the networks); `wrong_to_right`, `right_to_wrong` (mean of the networks), `change` (accuracy minus
        that of the view identity) with `change_ci95` (normal, over images); `p` (see `_sign_p`) and the `sign` of
        what it counts; `images_per_second`
        of the first network on clean images.
    """
    ablations = [json.loads((folder / "ablation.json").read_text()) for _, folder in measured]
    speeds = {row["views"]: row["images_per_second"] for row in ablations[0]["conditions"][0]["rows"]}
    for condition in ablations[0]["conditions"]:
        files = [(fold, np.load(folder / f"logits-{condition['condition']}.npz")) for fold, folder in measured]
        loaded = [(fold, {key: file[key] for key in file.files}) for fold, file in files]
        single = [_right(arrays, ["identity"], "majority") for _, arrays in loaded]
        for row in condition["rows"]:
            voted = [_right(arrays, row["view_names"], row["rule"]) for _, arrays in loaded]
            changes = [v.astype(int) - s for v, s in zip(voted, single, strict=True)]
            right, change = _by_image(measured, voted), _by_image(measured, changes)
            half = Z * float(change.std()) / len(change) ** 0.5
            yield {
                "condition": condition["condition"],
                "views": row["views"],
                "num_views": row["num_views"],
                "rule": row["rule"],
                "images": len(change),
                "networks": len(measured),
                "accuracy": float(right.mean()),
                "ci95": list(wilson_interval(round(float(right.sum())), len(right))),
                "least": min(float(v.mean()) for v in voted),
                "most": max(float(v.mean()) for v in voted),
                "wrong_to_right": float(np.mean([(c > 0).sum() for c in changes])),
                "right_to_wrong": float(np.mean([(c < 0).sum() for c in changes])),
                "change": float(change.mean()),
                "change_ci95": [float(change.mean()) - half, float(change.mean()) + half],
                "p": _sign_p(change),
                "sign": int(np.sign(np.sign(change.round(9)).sum())),
                "images_per_second": speeds[row["views"]],
            }


def correct(cells: Sequence[dict[str, Any]]) -> None:
    """Adds `holm_p` to every cell: Holm's correction over all of them but identity alone, which compares nothing."""
    tested = [cell for cell in cells if cell["views"] != "identity"]
    for cell in cells:
        cell["holm_p"] = None
    for cell, p in zip(tested, holm([cell["p"] for cell in tested]), strict=True):
        cell["holm_p"] = p


def read_doubts(ablations: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The AUROCs with which disagreement and p(1-p) detect wrong answers, of each network and set of views."""
    results = [json.loads((folder / "ablation.json").read_text()) for folder in ablations]
    for number, condition in enumerate(results[0]["conditions"]):
        for place, entry in enumerate(condition["doubt"]):
            same = [result["conditions"][number]["doubt"][place] for result in results]
            yield {
                "condition": condition["condition"],
                "views": entry["views"],
                "errors_of": entry["errors_of"],
                **{signal: [one[signal]["auroc"] for one in same] for signal in ("disagreement", "control")},
            }


def _right(arrays: dict[str, np.ndarray], views: Sequence[str], rule: str) -> Bool[np.ndarray, " n"]:
    """The mask of images that the vote answers correctly."""
    places = [arrays["views"].tolist().index(view) for view in views]
    return np.asarray(count_votes(arrays["logits"][places], rule).predicted) == arrays["targets"]


def _by_image(measured: Sequence[tuple[int, Path]], values: Sequence[np.ndarray]) -> Float[np.ndarray, " n"]:
    """The mean over the networks of a fold for each image; folds have other images and are concatenated."""
    folds = list(dict.fromkeys(fold for fold, _ in measured))
    return np.concatenate(
        [np.mean([v for (f, _), v in zip(measured, values, strict=True) if f == fold], axis=0) for fold in folds]
    )


def _sign_p(change: Float[np.ndarray, " n"]) -> float:
    """The exact sign test over images; with one network it is McNemar's test.

    Networks answer the same images, so their answers are not independent. An image counts once: for the vote where it
    corrects more networks than it spoils, against it where it spoils more.
    """
    return mcnemar_p(int((change > 1e-9).sum()), int((change < -1e-9).sum()))
