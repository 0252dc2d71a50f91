"""The figures of the study of restorers: one place by every source, their spectra, accuracy by number of crops."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.decode import decode_image
from ganfp_jax.metrics.spectra import average_log_power, radial_profile
from ganfp_jax.report.figures import DASHES, MARKERS, PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAIN = 8  # how much differences are enlarged
SIDE = 128  # pixels of a place that the strip shows
SPECTRA = 64  # pixels of the images whose spectra are averaged
COLUMNS = 5


def same_place(folder: labelled.LabelledFolder) -> dict[str, Any]:
    """Each class -> the path of its image of one place that all classes have, the first by name."""
    by_class: dict[str, dict[str, Any]] = {name: {} for name in folder.classes}
    for path, label in zip(folder.paths, folder.labels, strict=True):
        assert not isinstance(path, tuple)  # the images are files of a folder
        by_class[folder.classes[label]].setdefault(path.name, path)
    shared = min(set.intersection(*(set(files) for files in by_class.values())))
    return {name: files[shared] for name, files in by_class.items()}


def draw_strip(results: Mapping[str, Any]) -> "Figure":
    """One place as every class shows it; below, its difference from the first class, enlarged about grey.

    Args:
        results: {"images": class -> image}, the photograph first.
    """
    from matplotlib.figure import Figure

    images = {name: image[:SIDE, :SIDE] for name, image in results["images"].items()}
    first = next(iter(images.values())).astype(float)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.7 * columns, 3.6 * rows), layout="constrained")
    panels = figure.subplots(2 * rows, columns, squeeze=False)
    for panel in panels.ravel():
        panel.axis("off")
    for number, (name, image) in enumerate(images.items()):
        row, column = divmod(number, columns)
        difference = np.clip(128 + GAIN * (image - first), 0, 255).astype(np.uint8)
        panels[2 * row, column].imshow(image, interpolation="nearest")
        panels[2 * row, column].set_title(name)
        panels[2 * row + 1, column].imshow(difference, interpolation="nearest")
    return figure


def spectra(folder: labelled.LabelledFolder) -> dict[str, Any]:
    """Class -> the mean log10 power by frequency, over the middle of all its images."""
    result = {}
    for label, name in enumerate(folder.classes):
        images = [decode_image(folder.paths[index]) for index in np.flatnonzero(folder.labels == label)]
        middle = np.stack([_middle(image, min(SPECTRA, *image.shape[:2])) for image in images])
        frequencies, power = radial_profile(average_log_power(middle))
        result[name] = {"frequency": frequencies.tolist(), "log10_power": power.tolist()}
    return result


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def draw_spectra(results: Mapping[str, Any]) -> "Figure":
    """The spectrum of each class less that of the first.

    Args:
        results: {"spectra": what `spectra` returns}.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    panel = figure.subplots()
    first, *others = results["spectra"].items()
    for number, (name, curve) in enumerate(others):
        change = np.array(curve["log10_power"]) - np.array(first[1]["log10_power"])
        panel.plot(curve["frequency"], change, color=PALETTE[number % len(PALETTE)], ls=DASHES[number % 5], label=name)
    panel.axhline(0, lw=0.6, color="#888888")
    panel.set_xlabel("frequency in cycles a pixel")
    panel.set_ylabel(f"log10 power less that of {first[0]}")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    return figure


def draw_counts(results: Mapping[str, Any]) -> "Figure":
    """Accuracy of pictures against the number of their crops, a panel a condition, with 95 % intervals.

    Args:
        results: {"rows": the rows of results.jsonl, "methods": those that are drawn}.
    """
    from matplotlib.figure import Figure

    conditions: Sequence[str] = list(dict.fromkeys(row["condition"] for row in results["rows"]))
    figure = Figure(figsize=(2.1 * len(conditions), 2.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(conditions), sharey=True))
    for panel, condition in zip(panels, conditions, strict=True):
        for number, method in enumerate(results["methods"]):
            (row,) = [one for one in results["rows"] if (one["method"], one["condition"]) == (method, condition)]
            counts, rates = [int(count) for count in row["by_count"]], list(row["by_count"].values())
            shares = np.array([100 * rate["share"] for rate in rates])
            low, high = 100 * np.array([rate["ci95"] for rate in rates]).T
            bars = (np.maximum(shares - low, 0), np.maximum(high - shares, 0))
            style = {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)], "ms": 3.5}
            panel.errorbar(counts, shares, bars, lw=1, label=method, **style)
        panel.set_title("clean" if condition == "none" else perturb.in_words(condition), fontsize=7)
        panel.set_xscale("log", base=2)
        panel.set_xticks(counts, [str(count) for count in counts])
        panel.set_xlabel("crops")
    panels[0].set_ylabel("accuracy in %")
    panels[0].set_ylim(0, 100)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
