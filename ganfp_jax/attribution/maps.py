"""Where in a picture which source was found: from votes on windows to a map of cells."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.tiles import logs
from ganfp_jax.data.sweep import Sweep

REACH = 1.0  # sides of a window; how far from its centre it counts
NOTHING = -1  # the label of cells in which there is nothing to see


class SourceMap(NamedTuple):
    """The sources of the parts of a picture."""

    probabilities: Float32[np.ndarray, "rows cols k"]
    """Of each cell; NaN where there is nothing to see."""
    row_edges: Int[np.ndarray, " rows_1"]
    """Where the rows of cells begin and, at last, end, in pixels of the picture."""
    column_edges: Int[np.ndarray, " cols_1"]
    classes: tuple[str, ...]

    @property
    def labels(self) -> Int[np.ndarray, "rows cols"]:
        """The most probable class of each cell; `NOTHING` where there is nothing to see."""
        return np.where(np.isnan(self.probabilities[..., 0]), NOTHING, np.nan_to_num(self.probabilities).argmax(-1))

    @property
    def strengths(self) -> Float[np.ndarray, "rows cols"]:
        """The probability of that class; 0 where there is nothing to see."""
        return np.nan_to_num(self.probabilities).max(-1)

    @property
    def shares(self) -> dict[str, float]:
        """The share of the picture's area where each source was found, largest first; "" for nothing to see."""
        areas = np.outer(np.diff(self.row_edges), np.diff(self.column_edges))
        found = {name: float(areas[self.labels == k].sum() / areas.sum()) for k, name in enumerate(self.classes)}
        found[""] = float(areas[self.labels == NOTHING].sum() / areas.sum())
        return dict(sorted(((name, share) for name, share in found.items() if share), key=lambda item: -item[1]))

    def pixels(self) -> Int[np.ndarray, "h w"]:
        """The label of every pixel of the picture."""
        wide = self.labels.repeat(np.diff(self.column_edges), axis=1)
        return wide.repeat(np.diff(self.row_edges), axis=0)


def map_sources(
    attributor: Attributor,
    swept: Sweep,
    views: str | Sequence[str] = "",
    rule: str = "majority",
    batch_size: int = 32,
) -> SourceMap:
    """Finds out where in a picture which source is.

    Args:
        attributor: the network; the side of the windows is its resolution.
        swept: the windows of the picture.
        views, rule, batch_size: as for `Attributor.vote`.

    Raises:
        UserError: as `Attributor.vote`.
    """
    found: np.ndarray = np.zeros((0, len(attributor.classes)), np.float32)
    if len(swept.windows):
        found = np.asarray(attributor.vote(swept.windows, views, rule, batch_size).probabilities)
    return cells(found, swept, attributor.classes)


def cells(probabilities: Float[np.ndarray, "n k"], swept: Sweep, classes: Sequence[str]) -> SourceMap:
    """Spreads the probabilities of windows over cells.

    The logarithms of a cell's probabilities are the mean over the windows around its centre, in which a window counts
    the more the nearer its own centre is. A cell is as large as the windows are apart.

    Args:
        probabilities: of the windows that are not flat, in reading order.
        swept: the windows.
        classes: K names.
    """
    found = np.zeros((*swept.seen.shape, len(classes)))
    found[swept.seen] = logs(probabilities)
    rows, row_edges = _near(swept.tops, swept.side, swept.size[0])
    columns, column_edges = _near(swept.lefts, swept.side, swept.size[1])
    total = np.einsum("ir,jc,rck->ijk", rows, columns, found, optimize=True)
    count = np.einsum("ir,jc,rc->ij", rows, columns, swept.seen.astype(float), optimize=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / np.where(count > 0, count, np.nan)[..., None]
    shares = np.exp(mean - np.nan_to_num(mean).min())
    return SourceMap(
        (shares / shares.sum(-1, keepdims=True)).astype(np.float32), row_edges, column_edges, tuple(classes)
    )


def _near(
    starts: Int[np.ndarray, " n"], side: int, length: int
) -> tuple[Float[np.ndarray, "m n"], Int[np.ndarray, " m_1"]]:
    """How much each of n windows along an axis counts in each of m cells, and the edges of the cells.

    The cells lie where the windows are; before and behind there is one more cell, in which none counts.
    """
    begin, end = int(starts[0]), int(starts[-1]) + side
    step = (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else end - begin
    count = max(round((end - begin) / step), len(starts)) if step < side else len(starts)
    edges = np.rint(np.linspace(begin, end, count + 1)).astype(np.int64)
    apart = np.abs((edges[:-1] + edges[1:])[:, None] / 2 - (starts + side / 2)[None])
    near = np.maximum(1 - apart / (REACH * side), 0)
    alone = near.sum(1) == 0  # far from all windows: the nearest one counts
    near[alone] = apart[alone] == apart[alone].min(1, keepdims=True)
    margins = int(begin > 0), int(end < length)
    inner = np.pad(near, (margins, (0, 0)))
    return inner, np.concatenate([[0] * margins[0], edges, [length] * margins[1]]).astype(np.int64)
