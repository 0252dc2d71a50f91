"""Which score tells mistakes from right answers: what experiments/stability counts, on scores made by hand."""

import dataclasses

import numpy as np
import pytest

from experiments.stability import __main__ as experiment
from experiments.stability.figure import draw_shares
from ganfp_jax.attribution.stability import Rung, Stability
from ganfp_jax.attribution.voting import count_votes


def stands(*shares):
    """A verdict that each of some blurs changes where fewer than half of the views stay."""
    rungs = tuple(
        Rung(f"blur{sigma}", "real" if share >= 0.5 else "unsure", share, share)
        for sigma, share in enumerate(shares, 1)
    )
    return Stability(Rung("none", "real", 1.0, 1.0), "real", {"blurred": rungs})


@pytest.fixture
def found():
    """Four images, two of one photograph; stability ranks them perfectly, and the margin the wrong way round."""
    each = [stands(1.0, 1.0), stands(1.0, 0.5), stands(0.5, 0.25), stands(0.25, 0.0)]
    stability = np.array([of.value for of in each])
    scores = {"stability": stability, "margin": -stability}
    return experiment.Found(np.array([True, True, False, False]), scores, each, np.array([0, 1, 2, 2]))


def test_every_score_is_high_for_a_sure_vote():
    logits = np.zeros((8, 2, 3), np.float32)
    logits[:, 0, 1] = 9  # the first image is clear, of the second nothing is known
    scores = experiment.scores_of(count_votes(logits, "majority"), [stands(1.0, 1.0), stands(0.5, 0.25)])
    assert all(values[0] > values[1] for values in scores.values())
    np.testing.assert_allclose(scores["p (1 - p), one view"][1], -2 / 9, rtol=1e-6)
    assert scores["steps that keep the verdict"].tolist() == [1, 0.5]


def test_a_row_has_the_mistakes_the_areas_and_what_is_between_them(found):
    row = experiment.row("jpeg75", found, repeats=5)
    assert (row["condition"], row["images"], row["units"], row["mistakes"]) == ("jpeg75", 4, 3, 2)
    assert row["auroc"]["stability"]["value"] == 1 and row["auroc"]["margin"]["value"] == 0
    assert row["ahead"]["margin"]["value"] == 1
    assert row["within_one_source"] == {"stability": 1, "margin": 0}
    assert row["stability_by_source"] == {"real": np.mean(found.scores["stability"])}
    assert row["curves"]["right"]["blur2"] == {"share": 0.75, "same": 1.0}
    assert row["curves"]["wrong"]["blur1"] == {"share": 0.375, "same": 0.5}


def test_the_table_marks_the_best_and_the_figure_has_a_line_for_right_and_wrong(found):
    row = experiment.row("jpeg75", found, repeats=5)
    head, _, first, second, *rest = experiment.table([row]).splitlines()
    assert "jpeg75: stability 1.000, margin 0.000" in rest
    assert "2 mistakes of n = 4" in head
    assert first.startswith("| stability | **1.000") and second.startswith("| margin | 0.000")
    (panel,) = draw_shares({"rows": [row]}).axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in panel.get_lines()}
    assert lines["jpeg75, named right"] == [100, 100, 75] and lines["jpeg75, named wrong"] == [100, 37.5, 12.5]


def test_no_source_has_an_advantage_within_one_source(found):
    apart = [found.each[0], dataclasses.replace(found.each[1], source="ProGAN"), *found.each[2:]]
    apart[3] = dataclasses.replace(apart[3], source="ProGAN")
    scores = np.array([0.1, 0.9, 0.0, 0.8])  # between the sources the order is wrong
    assert experiment.within(found._replace(each=apart), scores) == 1
    assert experiment.within(found._replace(right=np.full(4, True)), scores) is None


def test_images_are_chosen_evenly_from_each_source():
    class Folder:
        classes, labels = ("real", "ProGAN"), np.array([0] * 5 + [1] * 2)

    assert experiment.chosen(Folder, 3).tolist() == [0, 2, 4, 5, 6]
