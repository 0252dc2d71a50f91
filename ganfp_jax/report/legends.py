"""Legends for long names: those of sources can have 255 letters."""

from collections.abc import Sequence
from typing import Any

MOST_LETTERS = 40  # of a name in a figure; the tables beside it have the whole name


def short(name: str, letters: int = MOST_LETTERS) -> str:
    """Replaces the middle of a name of more than `letters` letters by "…"; the ends distinguish most names."""
    if len(name) <= letters:
        return name
    return f"{name[: letters - letters // 3 - 1]}…{name[-(letters // 3) :]}"


def legend_below(figure: Any, handles: Sequence[Any], names: Sequence[str], columns: int, **options: Any) -> None:
    """Puts a legend below a figure, in as many columns as its width has room for, and at most `columns`.

    Args:
        figure: a figure or a subfigure.
        handles: the handles of matplotlib.
        names: their names, which are shortened where even one column would be wider than the figure.
        options: options of matplotlib's legend; `loc` may put it above.
    """
    options = {"loc": "outside lower center", **options}
    for number in range(columns, 0, -1):
        legend = figure.legend(handles, names, ncols=number, **options)
        share = legend.get_window_extent().width / figure.bbox.width
        if share <= 1:
            return
        legend.remove()
    letters = int(max(map(len, names)) / share) - 4  # the handle takes the width of four letters
    figure.legend(handles, [short(name, letters) for name in names], **options)
