"""Verdicts on images that were sent on: how they are counted and shown."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.spectral import sent
from experiments.spectral.sent import Way
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png


class BySize:
    """Names the first half of the images of 16x16 "A" and of the others real; of the rest it is unsure."""

    def attribute(self, images, resize):
        first = "A" if images.shape[1] == 16 else "real"
        assert resize == ("area" if images.shape[1] < 16 else "crop")
        count = len(images)
        return [SimpleNamespace(verdict=first if i < count // 2 else "unsure") for i in range(count)]


@pytest.fixture
def images(tmp_path):
    rng = np.random.RandomState(0)
    for source in ("A", "B", "real"):
        (tmp_path / source).mkdir()
        for number in range(2):
            encode_png(tmp_path / source / f"{number}.png", rng.randint(0, 256, (16, 16, 3)).astype(np.uint8))
    return labelled.Images(labelled.open_labelled(tmp_path, classes=("A", "B", "real")), 16)


def test_verdicts_are_counted_by_source_and_kind(images):
    ways = (Way("none"), Way("rescale2"), Way("rescale0.5", "area"))
    plain, enlarged, reduced = sent.verdicts("net", BySize(), images, ways)
    zero = dict.fromkeys(sent.KINDS, 0)
    assert plain["counts"] == {
        "A": zero | {"right": 2}, "B": zero | {"other": 1, "unsure": 1}, "real": zero | {"unsure": 2},
    }  # fmt: skip
    assert enlarged["counts"]["A"] == reduced["counts"]["A"] == zero | {"real": 2}
    assert (reduced["perturbation"], reduced["resize"], reduced["method"]) == ("rescale0.5", "area", "net")


def test_tables_have_a_line_for_each_way_and_network(images):
    ways = (Way("none"), Way("rescale0.5", "area"))
    rows = [row for name in ("one", "two") for row in sent.verdicts(name, BySize(), images, ways)]
    lines = sent.table(rows, generated=True).splitlines()
    assert lines[0] == "| generated images, n = 4 | network | right | unsure | other | real |"
    assert lines[2] == "| clean | one | 50.0 | 25.0 | 25.0 | 0.0 |"
    assert lines[3].startswith("| clean | two |")
    assert lines[4] == "| rescaling by 0.5, resize=area | one | 0.0 | 25.0 | 0.0 | 75.0 |"
    photographs = sent.table(rows, generated=False).splitlines()
    assert photographs[0] == "| photographs, n = 2 | network | right | unsure | other |"
    assert photographs[2] == "| clean | one | 0.0 | 100.0 | 0.0 |"
