"""Legends and long names in figures."""

import matplotlib
import pytest
from matplotlib.figure import Figure
from page_results import ablation_results

from ganfp_jax.report.ablation_figure import draw_ablation
from ganfp_jax.report.figures import THEME
from ganfp_jax.report.legends import legend_below, short


@pytest.mark.parametrize(
    ("name", "letters", "text"),
    [
        ("ProGAN", 6, "ProGAN"),
        ("StyleGAN2-ada-256", 10, "StyleG…256"),
        ("0123456789" * 30, 40, "01234567890123456789012345…7890123456789"),
    ],
)
def test_long_names_keep_their_ends(name, letters, text):
    assert short(name, letters) == text and len(text) <= letters


def width_of_legend(figure):
    figure.draw_without_rendering()
    [legend] = figure.legends
    return legend.get_window_extent().width / figure.bbox.width


@pytest.mark.parametrize("letters", [3, 12, 25, 300])
def test_a_legend_is_never_wider_than_its_figure(letters):
    with matplotlib.rc_context(THEME):
        figure = Figure(figsize=(4.6, 3), layout="constrained")
        lines = [figure.subplots().plot([0, 1])[0] for _ in range(5)]
        legend_below(figure, lines, [f"{k}{'w' * letters}" for k in range(5)], 4)
        assert 0.1 < width_of_legend(figure) <= 1


def test_the_legend_of_three_rules_fits(tmp_path):
    results = ablation_results(tmp_path)
    for condition in results["conditions"]:
        rows = [row for row in condition["rows"] if row["rule"] == "majority"]
        condition["rows"] = [
            row | {"rule": rule} for row in rows for rule in ("majority", "mean_logit", "mean_probability")
        ]
    with matplotlib.rc_context(THEME):
        figure = draw_ablation(results)
        assert 0.7 < width_of_legend(figure) <= 1
