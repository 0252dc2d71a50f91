"""The pooling of the voting experiment: by hand, on made-up logits of a few networks and images."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments.voting import counting, tables
from experiments.voting.figure import voting_figure
from ganfp_jax.metrics.statistics import mcnemar_p, wilson_interval

VIEWS = ["identity", "mirror"]
ROWS = [
    {"views": "identity", "view_names": ["identity"], "num_views": 1, "rule": "majority", "images_per_second": 90.0},
    {"views": "mirror", "view_names": VIEWS, "num_views": 2, "rule": "majority", "images_per_second": 45.0},
]
DOUBT = {"views": "mirror", "errors_of": "single_view", "control": {"auroc": 0.8}}


def write_ablation(folder, single_right, vote_right, disagreement=0.7):
    """An ablation of two classes whose single view and whose vote are right on these images; the target is 0."""
    folder.mkdir()
    single, voted = (np.where(np.array(right) == 1, 1.0, -1.0) for right in (single_right, vote_right))
    # A tie of two views goes to the higher mean probability, so the second view decides where it is surer.
    second = np.where(single == voted, single, 3 * voted)
    logits = np.stack([np.stack([x, -x], -1) for x in (single, second)]).astype(np.float32)
    np.savez(folder / "logits-clean.npz", views=VIEWS, logits=logits, targets=np.zeros(len(single), np.int32))
    doubt = DOUBT | {"disagreement": {"auroc": disagreement}}
    condition = {"condition": "clean", "rows": ROWS, "doubt": [doubt]}
    (folder / "ablation.json").write_text(json.dumps({"conditions": [condition]}))
    return folder


@pytest.fixture
def measured(tmp_path):
    """Two networks on the six images of fold 0, one on the four of fold 1."""
    return [
        (0, write_ablation(tmp_path / "a", [1, 1, 0, 0, 0, 1], [1, 0, 1, 1, 0, 1])),
        (0, write_ablation(tmp_path / "b", [1, 1, 0, 1, 0, 1], [1, 1, 1, 0, 0, 1], disagreement=0.5)),
        (1, write_ablation(tmp_path / "c", [0, 0, 1, 1], [1, 1, 1, 1])),
    ]


def test_images_count_once_however_many_networks_answered_them(measured):
    single, vote = counting.count_cells(measured)
    assert (vote["images"], vote["networks"]) == (10, 3)
    # Fold 0: 3/6 and 4/6 right by one view, 4/6 and 4/6 by the vote; fold 1: 2/4, then 4/4.
    assert single["accuracy"] == pytest.approx((6 * (3 / 6 + 4 / 6) / 2 + 2) / 10)
    assert vote["accuracy"] == pytest.approx((4 + 4) / 10)
    assert (vote["least"], vote["most"]) == (pytest.approx(4 / 6), 1)
    assert vote["ci95"] == list(wilson_interval(8, 10))
    assert vote["wrong_to_right"] == pytest.approx((2 + 1 + 2) / 3)
    assert vote["right_to_wrong"] == pytest.approx((1 + 1 + 0) / 3)
    assert vote["change"] == pytest.approx(vote["accuracy"] - single["accuracy"])
    low, high = vote["change_ci95"]
    assert low < vote["change"] < high
    # Image 2 and both of fold 1 gain, image 1 loses, image 3 gains in one network what it loses in the other.
    assert vote["p"] == mcnemar_p(3, 1)
    assert (single["change"], single["p"]) == (0, 1)
    assert vote["images_per_second"] == 45


def test_one_network_has_mcnemars_test(measured):
    _, vote = counting.count_cells(measured[:1])
    assert vote["p"] == mcnemar_p(2, 1)
    assert vote["ci95"] == list(wilson_interval(4, 6))


def test_holm_leaves_identity_out(measured):
    cells = list(counting.count_cells(measured))
    counting.correct(cells)
    assert [cell["holm_p"] for cell in cells] == [None, cells[1]["p"]]


def test_tables_and_figure(measured):
    cells = [{"task": "t", "training": "d4"} | cell for cell in counting.count_cells(measured)]
    counting.correct(cells)
    doubts = [{"task": "t", "training": "d4"} | row for row in counting.read_doubts([folder for _, folder in measured])]
    assert doubts[0]["disagreement"] == [0.7, 0.5, 0.7]
    text = tables.all_tables(cells, doubts)
    assert "| identity | 1 | 90 | 55.0 (" in text
    assert "| mirror | 2 | 45 | +25.0 (+2 −1) |" in text
    assert "\\*" not in text
    strong = [cell | {"holm_p": 0.01} for cell in cells if cell["views"] == "mirror"]
    assert "+25.0\\*" in tables.accuracy_table(strong)
    assert "0.63 (0.50 to 0.70)" in tables.doubt_table(doubts)
    path = measured[0][1] / "figure.png"
    path.write_bytes(voting_figure(cells))
    with Image.open(path) as picture:
        assert picture.width > 1000
