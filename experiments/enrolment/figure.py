"""The figure of the curves."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ganfp_jax.report.figures import DPI, THEME

PANELS = (("found", "images of the new source found, in %"), ("lost", "known accuracy lost, in points"))


def curves_figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG of two panels, a line per new source, the mean over draws with the range of all, by number of images."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        for panel, (key, label) in zip(figure.subplots(1, 2), PANELS, strict=True):
            for source in dict.fromkeys(row["source"] for row in rows):
                of = [row for row in rows if row["source"] == source]
                counts = [row["images"] for row in of]
                line = panel.plot(counts, [100 * row[key] for row in of], marker="o", label=source)[0]
                low, high = ([100 * row[f"{key}_range"][k] for row in of] for k in (0, 1))
                panel.fill_between(counts, low, high, alpha=0.12, color=line.get_color(), linewidth=0)
            panel.set_xscale("log")
            panel.set_xticks(counts, [str(count) for count in counts])
            panel.minorticks_off()
            panel.set_xlabel("images it was enrolled from")
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
        panel.axhline(1, color="0.5", linestyle=":", linewidth=1)
        panel.legend()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
