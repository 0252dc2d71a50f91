"""The protocol of unknown sources: drawings, scores from the literature, what is a row, and the choice of a score."""

import numpy as np
import opinions
import pytest
from scipy.spatial.distance import cdist

from experiments.open_set import drawings, figures, protocol, scores, tables
from experiments.open_set.protocol import Network, Protocol, choose
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.unknown import open_unknown
from ganfp_jax.models.fingerprints import Fingerprints
from ganfp_jax.report.figures import png


def test_kinds_are_many_and_on_one_side_each():
    assert min(len(drawings.DEVELOPMENT), len(drawings.TEST)) >= 10
    assert not set(drawings.DEVELOPMENT.values()) & set(drawings.TEST.values())
    assert len(drawings.KINDS) == len(drawings.DEVELOPMENT) + len(drawings.TEST)


@pytest.mark.parametrize("kind", drawings.KINDS)
def test_drawings_differ_and_a_shorter_set_is_the_beginning(kind):
    pictures = drawings.draw(kind, 4, 32)
    assert pictures.shape == (4, 32, 32, 3) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 4
    np.testing.assert_array_equal(drawings.draw(kind, 2, 32), pictures[:2])
    assert (drawings.draw(kind, 1, 32, seed=1) != pictures[:1]).any()


def test_energy_and_generalised_entropy_by_hand():
    logits = np.log(np.array([[[1.0, 3.0]], [[2.0, 6.0]]]))  # two views of one image
    assert scores.energy(logits) == pytest.approx([(np.log(4) + np.log(8)) / 2])
    assert scores.gen(np.array([[0.25, 0.75], [0.0, 1.0]])) == pytest.approx([-2 * 0.1875**0.1, 0.0])


def fingerprints_of(features, models=None, bias=None):
    models = np.eye(features.shape[1])[:, :2] if models is None else models
    bias = np.zeros(models.shape[1]) if bias is None else bias
    arrays = features, models, bias, features @ models + bias
    return Fingerprints(*(np.asarray(array, np.float32) for array in arrays))


def test_fingerprints_far_from_the_known_ones_score_low():
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], 100)
    means = np.array([[5.0, 0, 0, 0], [0, 5.0, 0, 0]])
    fitted = scores.fit(fingerprints_of(rng.normal(means[targets], 0.5)), targets)
    here, there = rng.normal(means[targets], 0.5), rng.normal([0, 0, 5.0, 5.0], 0.5, (50, 4))
    found, others = fitted(fingerprints_of(here)), fitted(fingerprints_of(there))
    for name in ("kNN", "relative Mahalanobis", "ViM"):
        assert np.quantile(found[name], 0.05) > np.quantile(others[name], 0.95), name


def test_knn_is_the_distance_to_the_tenth_nearest():
    rng = np.random.default_rng(1)
    bank, given = rng.normal(size=(40, 3)), rng.normal(size=(5, 3))
    found = scores.fit(fingerprints_of(bank), np.arange(40) % 2)(fingerprints_of(given))["kNN"]
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (given, bank)]
    assert found == pytest.approx(-np.sort(cdist(*unit), axis=1)[:, 9])


def test_vims_virtual_logit_is_what_the_principal_space_leaves():
    # Two sources along two axes, a third axis that known images hardly use, and a bias that moves the origin.
    rng, models, bias = np.random.default_rng(2), np.eye(3)[:, :2], np.array([1.0, -2.0])
    used = np.repeat(rng.normal(0, 3, (30, 2)) - bias, 2, axis=0)
    bank = np.concatenate([used, np.tile([[0.1], [-0.1]], (30, 1))], axis=1)
    known = fingerprints_of(bank, models, bias)
    given = fingerprints_of(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), models, bias)
    found = scores.fit(known, np.arange(60) % 2)(given)["ViM"]
    scale = float(known.logits.max(1).mean()) / 0.1
    assert found[0] == pytest.approx(np.logaddexp(1, -2), rel=1e-3)
    assert found[0] - found[1] == pytest.approx(2 * scale, rel=1e-3)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The protocol of a network that was never trained, in which classes are what it says of half of the images."""
    monkeypatch.setattr(protocol, "VIEWS", "mirror")
    monkeypatch.setattr(protocol, "CHANGES", {protocol.CONTROL: "none", "enlarged": "rescale1.5"})
    attributor = opinions.attributor_of(opinions.weights())
    pictures = opinions.pictures(90)
    said = attributor.vote(pictures, "mirror").predicted
    for i, (picture, k) in enumerate(zip(pictures, said, strict=True)):
        part = ("calibration", "test", "held_out")[i % 3]
        source = attributor.classes[k if i % 6 else (k + 1) % 3]
        (tmp_path / part / source).mkdir(parents=True, exist_ok=True)
        encode_png(tmp_path / part / source / f"{i:02d}.png", picture)
    for i, picture in enumerate(drawings.draw("white noise", 6, opinions.SIDE)):
        folder = tmp_path / "unknown" / ("seed" if i < 4 else "other") / f"run {i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        encode_png(folder / f"{i}.png", picture)

    def folder(name):
        return labelled.open_labelled(tmp_path / name, classes=attributor.classes)

    found = Protocol(Network(attributor, tmp_path / "calibration"), folder("test"), repeats=20)
    unknown = open_unknown(tmp_path / "unknown")
    rows = [found.known_row(), *found.changed_rows(folder("held_out"))]
    return rows, list(found.unknown_rows("development", unknown)), list(found.unknown_rows("test", unknown))


def test_rows_are_of_kinds_and_of_their_generators(measured):
    known, development, test = measured
    assert [row["kind"] for row in known] == ["known", protocol.CONTROL, "enlarged"]
    assert known[0]["accuracy"] == pytest.approx(np.mean([i % 6 > 0 for i in range(1, 90, 3)]))
    assert [(row["kind"], row["generator"], row["generators"], row["images"]) for row in test] == [
        ("other", "", 2, 2), ("other", "run 0", None, 1), ("other", "run 1", None, 1),
        ("seed", "", 2, 4), ("seed", "run 0", None, 2), ("seed", "run 1", None, 2),
    ]  # fmt: skip
    for row in [*known, *test]:
        assert sum(row["called"].values()) == row["images"]
    names = set(test[0]["scores"])
    assert {"margin", "distance", "strangeness", "maximum probability", "energy", "GEN", "kNN"} < names
    assert 0.2 < known[1]["scores"]["margin"]["auroc"]["value"] < 0.8
    chosen = choose(development)
    assert chosen["rules"] == len(names) and chosen["score"] in names
    single = [row["scores"]["kNN"]["auroc"]["value"] for row in development if row["generator"]]
    assert chosen["mean_auroc"]["kNN"] == pytest.approx(np.mean(single))
    rows = [*known, *development, chosen, *test]
    for draw in (figures.draw_verdicts, figures.draw_auroc):
        assert png(draw, {"rows": rows}).startswith(b"\x89PNG")


def test_the_highest_mean_is_chosen_among_development_kinds_alone():
    def row(side, kind, generator, generators, **aurocs):
        numbers = {name: {"auroc": {"value": value, "ci95": None}} for name, value in aurocs.items()}
        return {"side": side, "kind": kind, "generator": generator, "generators": generators, "scores": numbers}

    rows = [
        row("development", "drawn", "", 2, a=0.0, b=1.0),  # the sum of the next two, which is not counted again
        row("development", "drawn", "x", None, a=0.9, b=0.5),
        row("development", "drawn", "y", None, a=0.7, b=0.5),
        row("development", "flat", "", None, a=0.5, b=0.8),
        row("test", "new", "", None, a=0.0, b=1.0),
    ]
    found = choose(rows)
    assert (found["score"], found["rules"]) == ("a", 2)
    assert found["mean_auroc"] == {"a": pytest.approx(0.7), "b": pytest.approx(0.6)}


def test_tables_say_how_known_images_fare_and_what_unknown_ones_are_called():
    called = {"real": 3, "A": 1, "B": 0, "unsure": 2, "unknown": 3, "nothing to see": 1}
    rows = [{"side": "test", "kind": "drawn", "generator": "", "images": 10, "called": called}]
    assert tables.called(rows).splitlines()[-1] == "| **drawn**, test | 10 | 30.0% | 10.0% | 20.0% | 30.0% | 10.0% |"
    by_source = {
        "real": {"real": 3, "A": 1},
        "A": {"A": 5, "B": 1, "real": 2},
        "B": {"B": 6, "unsure": 4, "unknown": 2},
    }
    line = tables.known([{"kind": "JPEG", "by_source": by_source}]).splitlines()[-1]
    assert line == "| JPEG | 55.0% | 5.0% | 10.0% | 20.0% | 10.0% | 75.0% | 25.0% | 0.0% | 0.0% |"


def test_a_training_is_told_by_its_accuracies_and_by_the_score_that_it_chose():
    def scored(side, kind, value):
        number = {"value": value, "ci95": None}
        return {"side": side, "kind": kind, "generator": "", "scores": {"a": {"auroc": number, "fpr95": number}}}

    rows = [
        {"side": "known", "kind": "known", "accuracy": 0.99},
        scored("known, changed", "JPEG 75", 0.6) | {"accuracy": 0.95},
        {"side": "choice", "score": "a"},
        scored("test", "seed", 0.5),
    ]
    lines = tables.of_trainings([row | {"training": "LogitNorm"} for row in rows]).splitlines()
    assert lines[2:] == ["| LogitNorm | 99.0% | 95.0% | a | seed | 50.0% | 50.0% |  |  |  |"]


def test_a_kind_with_one_generator_on_one_side_is_shown_beside_those_of_the_other():
    def row(side, generator):
        return {"side": side, "kind": "architecture", "generator": generator, "scores": {}}

    rows = [row("development", ""), row("test", ""), row("test", "DCGAN"), row("test", "diffusion")]
    assert figures.shown(rows) == [rows[0], rows[2], rows[3]]
