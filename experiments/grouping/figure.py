"""The figure: how many groups are found for how many generators, and how right they are."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ganfp_jax.report.figures import DPI, THEME

PANELS = (("groups", "groups found"), ("ari", "ARI"))


def groups_figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG of two panels, a line for each side and verdict, means over draws with 95 % intervals."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        for panel, (key, label) in zip(figure.subplots(1, 2), PANELS, strict=True):
            for side, verdict in dict.fromkeys((row["side"], row["verdict"]) for row in rows):
                of = [row for row in rows if (row["side"], row["verdict"]) == (side, verdict)]
                numbers, means = [row["generators"] for row in of], [row[key]["value"] for row in of]
                line = panel.plot(numbers, means, marker="o", label=f"{side}, {verdict} images")[0]
                low, high = ([row[key]["ci95"][end] for row in of] for end in (0, 1))
                panel.fill_between(numbers, low, high, alpha=0.12, color=line.get_color(), linewidth=0)
            panel.set_xlabel("generators in a draw")
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
            if key == "groups":
                most = max(row["generators"] for row in rows)
                panel.plot([1, most], [1, most], color="0.5", linestyle=":", linewidth=1)
        panel.legend()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
