"""The figures of an inspection: responses, confusion, the map of fingerprints, spectra and ROC curves.

Their argument is the results of the fingerprint page (`results.FingerprintPage`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.report import wording
from ganfp_jax.report.few import with_responses
from ganfp_jax.report.figures import DASHES, INK, MARKERS, PALETTE, THEME, Draw, add_legend, colour, empty_figure, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG = "#1b7a46", "#b8322a"
SPECTRUM_MAP = "magma"
MANY_POINTS = 4000  # more are drawn as one picture inside the drawing, which would otherwise take megabytes


def draw_responses(results: Mapping[str, Any]) -> "Figure":
    """Draws the first sample of each source, its fingerprint and its responses to the model fingerprints.

    Of many sources, only the most confused ones are drawn (`few.with_responses`). The predicted source has a frame:
    green with a tick where it is right, red with a cross where it is wrong. The design is that of the demo of Yu, Davis
    and Fritz (2019).
    """
    from matplotlib.patches import Rectangle

    # All parts are placed by hand on one panel, in inches from the upper left.
    results = with_responses(results)
    classes = results["classes"]
    firsts = {sample["target"]: sample for sample in reversed(results["samples"])}
    samples = [firsts[name] for name in classes if name in firsts]
    cell, gap, line, edge = 1.0, 0.16, 0.26, 0.035
    flat = max((_tall(response) for sample in samples for response in sample["responses"]), default=1.0)
    small = min(cell, flat + 0.3)  # an image beside flat pictures is small, so that it does not stretch every row
    height = max(flat, *(small * _tall(sample["image"]) for sample in samples)) if samples else 0
    head = line + max(map(_tall, results["models"])) + 0.3
    row = height + line + 0.18
    left = 2 * (cell + gap) + 0.3
    size = (left + len(classes) * (cell + gap) + 0.1, head + len(samples) * row + 0.5)
    figure = empty_figure(*size, layout="none")
    panel = figure.add_axes((0, 0, 1, 1))
    panel.axis("off")

    def place(picture: np.ndarray, x: float, y: float, wide: float = cell) -> None:
        extent = (x, x + wide, y + wide * _tall(picture), y)
        panel.imshow(picture, extent=extent, interpolation="nearest", aspect="auto")

    def text(x: float, y: float, words: str, **style: Any) -> None:
        panel.text(x, y, words, **{"ha": "center", "va": "top", **style})

    def title(x: float, y: float, name: str) -> None:
        name = shown(name)
        letters = min(1, 15 / max(len(name), 1))  # a long name must not run into the next
        text(x, y, name, weight="bold", size=THEME["font.size"] * letters)

    text(0.1 + cell / 2, head - 0.12, "image", va="bottom")
    text(0.1 + cell + gap + cell / 2, head - 0.12, "image\nfingerprint", va="bottom")
    text(left - 0.12, 0.04 + line, "model fingerprints →", ha="right")
    for index, (name, model) in enumerate(zip(classes, results["models"], strict=True)):
        x = left + index * (cell + gap)
        title(x + cell / 2, 0.08, name)
        place(model, x, 0.04 + line)
    for number, sample in enumerate(samples):
        top = head + number * row
        image, fingerprint, *responses = _pictures(sample)
        place(image, 0.1 + (cell - small) / 2, top + (height - small * _tall(image)) / 2, small)
        place(fingerprint, 0.1 + cell + gap, top + (height - _tall(fingerprint)) / 2)
        title(0.1 + cell / 2, top + height + 0.06, sample["target"])
        right = sample["predicted"] == sample["target"]
        for index, (name, response) in enumerate(zip(classes, responses, strict=True)):
            x, y = left + index * (cell + gap), top + (height - _tall(response)) / 2
            place(response, x, y)
            words, style = wording.signed(sample["logits"][index]), {}
            if name in (sample["predicted"], sample["target"]):
                frame: dict[str, Any] = {"linewidth": 1, "linestyle": "--", "edgecolor": INK}
                if name == sample["predicted"]:
                    style = {"color": RIGHT if right else WRONG, "weight": "bold"}
                    words = f"{'✓' if right else '✗'} {words}"
                    frame = {"linewidth": 2.4, "edgecolor": style["color"]}
                corner, wide, tall = (x - edge, y - edge), cell + 2 * edge, _tall(response) + 2 * edge
                panel.add_patch(Rectangle(corner, wide, tall, fill=False, **frame))
            text(x + cell / 2, y + _tall(response) + 0.08, words, **style)
    caption = (
        "Under each response: its sum with the bias, the logit. Framed: the largest,\n"
        "right (✓) or wrong (✗). Dashed: the true source, where it is not the largest."
    )
    text(0.1, size[1] - 0.42, caption, ha="left", alpha=0.75)
    panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def draw_confusion(results: Mapping[str, Any]) -> "Figure":
    """Draws the confusion matrix: counts, shaded by their share of the row."""
    classes, every = results["classes"], list(results["metrics"]["classes"])
    number, places = len(classes), [every.index(name) for name in classes]
    rows = np.asarray(results["metrics"]["confusion"])[places]
    counts, called = rows[:, places], list(classes)
    if number < len(every):
        counts, called = np.column_stack([counts, rows.sum(1) - counts.sum(1)]), [*called, "others"]
    share = np.sqrt(counts / np.maximum(rows.sum(1, keepdims=True), 1))[..., None]  # the root makes few errors visible
    full = np.where((np.eye(*counts.shape) > 0)[..., None], _rgb(PALETTE[0]), _rgb(PALETTE[1]))
    figure = empty_figure(1.6 + 0.62 * len(called), 1.1 + 0.5 * number)
    panel = figure.subplots()
    edges = [np.arange(size + 1) - 0.5 for size in reversed(counts.shape)]
    panel.pcolormesh(*edges, 1 - 0.62 * share * (1 - full))  # a picture would be enlarged, at 50 bytes a pixel
    panel.invert_yaxis()
    for row, column in np.ndindex(counts.shape):
        panel.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
    crowded = number > 6 or max(len(shown(name)) for name in called) > 9
    turn: Any = {"rotation": 45, "ha": "right"} if crowded else {"rotation": 0, "ha": "center"}
    panel.set_xticks(range(len(called)), map(shown, called), **turn)
    panel.set_yticks(range(number), map(shown, classes))
    panel.set(xlabel="called", ylabel="source")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return figure


def draw_embedding(results: Mapping[str, Any]) -> "Figure":
    """Draws the map of image fingerprints, with a colour and a marker for each source and rings for wrong answers."""
    points, labels, wrong = (np.asarray(results["embedding"][key]) for key in ("points", "labels", "wrong"))
    figure = empty_figure(5.4, 5.2)
    panel = figure.subplots()
    for index, name in enumerate(results["classes"]):
        members = points[labels == index]
        style: dict[str, Any] = {"color": colour(index), "marker": MARKERS[index % len(MARKERS)], "linestyle": ""}
        panel.plot(*members.T, **style, markersize=3.6, markeredgewidth=0, label=f"{shown(name)} ({len(members):,})",
                   rasterized=len(points) > MANY_POINTS)  # fmt: skip
    ring: dict[str, Any] = {
        "marker": "o",
        "linestyle": "",
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 0.7,
    }
    panel.plot(*points[wrong].T, **ring, markersize=7.5, label=f"called wrong ({int(wrong.sum()):,})")
    panel.set(xticks=[], yticks=[])
    panel.set_aspect("equal", adjustable="datalim")
    for spine in panel.spines.values():
        spine.set(visible=True, alpha=0.25)
    add_legend(figure, panel, marker_scale=1.6)
    return figure


def draw_spectra(results: Mapping[str, Any]) -> "Figure":
    """Draws average power spectra of all sources on one scale and their radial profiles.

    Image-sized fingerprints are drawn beneath, on their own scale.
    """
    spectra, number = results["spectra"], len(results["classes"])
    kinds = [kind for kind in ("images", "fingerprints") if spectra[kind] is not None]
    columns = min(number, 6)
    rows = -(-number // columns)
    heights = [1.4 * rows + 0.25, 3.3]
    figure = empty_figure(max(1.35 * columns, 6) + 0.6, sum(heights) * len(kinds))
    parts: Any = figure.subfigures(2 * len(kinds), 1, height_ratios=heights * len(kinds))
    for pictures, chart, kind in zip(parts[::2], parts[1::2], kinds, strict=True):
        low, high = spectrum_limits(spectra[kind])
        panels = pictures.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels:
            panel.axis("off")
        for panel, name in zip(panels, results["classes"], strict=False):
            drawn = panel.imshow(
                spectra[kind][name], cmap=SPECTRUM_MAP, vmin=low, vmax=high, extent=(-0.5, 0.5, 0.5, -0.5),
                interpolation="nearest",
            )  # fmt: skip
            panel.set_title(shown(name))
        pictures.colorbar(drawn, ax=panels.tolist(), label=f"log10 power, {kind}", shrink=0.9, aspect=12)
        panel = chart.subplots()
        _profiles(panel, results, kind)
        add_legend(chart, panel, columns=min(number, 5))
    return figure


def draw_profiles(results: Mapping[str, Any], kind: str = "images") -> "Figure":
    """Draws log10 power over the distance from the zero frequency, one line a source."""
    figure = empty_figure(5.4, 3.7)
    panel = figure.subplots()
    _profiles(panel, results, kind)
    add_legend(figure, panel)
    return figure


def draw_roc(results: Mapping[str, Any]) -> "Figure":
    """Draws true over false positive rate: a solid line for a feature space, broken and dotted lines for controls."""
    figure = empty_figure(4.6, 4.9)
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color=INK, linewidth=0.7, alpha=0.45)
    for part, what, style, width in (
        (None, "", "-", 1.6),
        ("photographs", ", photographs", (0, (4, 1.5)), 1.2),
        ("control", ", halves", ":", 1.2),
    ):
        for index, (space, row) in enumerate(results["separability"].items()):
            roc = (((row[part] if part else row) or {}).get("verification") or {}).get("roc")
            if roc is not None:
                panel.plot(roc["false_positive"], roc["true_positive"], color=colour(index), linestyle=style,
                           linewidth=width, label=space + what)  # fmt: skip
    panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    panel.set_xlabel("pairs of two sources, called one source")
    panel.set_ylabel("pairs of one source, called one source")
    add_legend(figure, panel, columns=2)
    return figure


FIGURES: dict[str, Draw] = {
    "responses": draw_responses,
    "confusion": draw_confusion,
    "embedding": draw_embedding,
    "spectra": draw_spectra,
    "roc": draw_roc,
}
"""File name -> the function that draws this figure of an inspection."""


def spectrum_limits(spectra: Mapping[str, Float[np.ndarray, "r r"]]) -> tuple[float, float]:
    """Returns the common scale of all spectra: their smallest and largest value without the empty zero frequency."""
    values = np.stack([np.asarray(spectrum, float) for spectrum in spectra.values()])
    not_empty = np.ones(values.shape[1:], bool)
    not_empty[values.shape[1] // 2, values.shape[2] // 2] = False
    return float(values[:, not_empty].min()), float(values[:, not_empty].max())


def spectrum_picture(
    spectrum: Float[np.ndarray, "h w"], low: float | int, high: float | int
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws a spectrum in the colours of `SPECTRUM_MAP`, dark at `low` and light at `high`."""
    import matplotlib

    unit = (np.asarray(spectrum, float) - low) / max(high - low, 1e-9)
    return np.rint(255 * matplotlib.colormaps[SPECTRUM_MAP](np.clip(unit, 0, 1))[..., :3]).astype(np.uint8)


def _profiles(panel: "Axes", results: Mapping[str, Any], kind: str) -> None:
    profiles = results["spectra"]["profiles"]
    for index, name in enumerate(results["classes"]):
        panel.plot(profiles["frequencies"], profiles[kind][name], color=colour(index), linewidth=1.5,
                   linestyle=DASHES[index % len(DASHES)], label=shown(name))  # fmt: skip
    panel.set(xlim=(0, 0.5), xlabel="frequency, cycles per pixel", ylabel=f"log10 power, {kind}")
    panel.grid(alpha=0.2, linewidth=0.5, color=INK)


def _pictures(sample: Mapping[str, Any]) -> list[np.ndarray]:
    return [np.asarray(sample["image"]), np.asarray(sample["fingerprint"]), *map(np.asarray, sample["responses"])]


def _tall(picture: np.ndarray) -> float:
    """Returns a picture's height in inches at a width of one inch."""
    return picture.shape[0] / picture.shape[1]


def _rgb(colour: str) -> Sequence[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
