"""Calibration, from labelled images to the verdict "unsure": where it is kept, and that it is of these weights only."""

import dataclasses
import json

import jax
import numpy as np
import opinions
import pytest

from configs import calibrate as config_file
from ganfp_jax.attribution import calibration
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import Calibration, where_unsure
from ganfp_jax.attribution.tiles import DEPENDENCE
from ganfp_jax.attribution.verdict import UNKNOWN, UNSURE
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import CALIBRATION, FILE, write_file
from ganfp_jax.jobs import calibrate
from ganfp_jax.run.errors import UserError

VIEWS = "mirror"
COUNT = 250


@pytest.fixture(scope="module")
def verdicts():
    return opinions.attributor_of(opinions.weights()).attribute(opinions.pictures(COUNT), VIEWS)


@pytest.fixture(scope="module")
def root(tmp_path_factory, verdicts):
    """The pictures, in the folders of what the network takes them for; of the 30 least sure, in those of others."""
    root = tmp_path_factory.mktemp("labelled")
    classes = opinions.weights().about["classes"]
    least_sure = np.argsort([verdict.margin for verdict in verdicts])[:30]
    for i, (picture, verdict) in enumerate(zip(opinions.pictures(COUNT), verdicts, strict=True)):
        others = [name for name in classes if name != verdict.predicted]
        source = others[0] if i in least_sure else verdict.predicted
        (root / source).mkdir(exist_ok=True)
        encode_png(root / source / f"{i:03d}.png", picture)
    return root


@pytest.fixture
def network(tmp_path):
    """A run folder that holds exported weights."""
    write_file(tmp_path / "network" / FILE, opinions.weights())
    return tmp_path / "network"


def run(checkpoint, root, workdir, **settings):
    workdir.mkdir(exist_ok=True)
    config = (
        config_file.get_config("tiny").to_dict()
        | {"checkpoint": str(checkpoint), "views": VIEWS, "min_decided": 0.0, "unknown_rate": 0.0}
        | settings
    )
    calibrate.run(config | {"data": {"root": str(root), "resize": "crop", "layout": "auto"}}, workdir)


def test_the_api_and_the_job_find_the_same(network, root, tmp_path, verdicts, capsys):
    run(network, root, tmp_path / "run", error_rate=0.05)
    out = capsys.readouterr().out
    found = json.loads((network / CALIBRATION).read_text())
    assert json.loads((tmp_path / "run" / CALIBRATION).read_text()) == found
    attributor = Attributor.load(network)
    assert attributor.calibration == Calibration.from_dict(found)
    by_api = calibration.calibrate(
        opinions.attributor_of(opinions.weights()), root, views=VIEWS, error_rate=0.05, unknown_rate=0.0
    )
    assert by_api.to_dict() == found
    # The 30 mistakes are the least sure: a part of them is let in, as many as 5 % with confidence.
    seen = sum(verdict.tiles for verdict in verdicts)  # in the others there is nothing to see
    assert (found["images"], found["decided"] - found["wrong"]) == (seen, seen - 30)
    assert 0 < found["wrong"] < 12 and found["upper"] <= 0.05 < 0.06
    assert sum(counts["decided"] for counts in found["per_class"].values()) == found["decided"]
    assert sum(counts["wrong"] for counts in found["per_class"].values()) == found["wrong"]
    assert f"Unsure where the margin is under {found['threshold']:.3g}." in out
    assert f"calibration: {network / CALIBRATION}" in out
    # And the verdicts are those of the threshold.
    now = attributor.attribute(opinions.pictures(COUNT), VIEWS)
    assert [v.verdict == UNSURE for v in now] == [v.tiles == 1 and v.margin < found["threshold"] for v in verdicts]
    assert sum(v.verdict == v.predicted for v in now) == found["decided"]
    assert [v.predicted for v in now] == [v.predicted for v in verdicts]


def test_a_calibration_says_how_its_images_were_shown(network, root, tmp_path, capsys):
    run(network, root, tmp_path / "job", perturb="none|jpeg50-95", error_rate=0.9)
    assert "The images were shown as: clean or JPEG quality 50–95." in capsys.readouterr().out
    attributor = Attributor.load(network)
    found, images = (
        attributor.calibration,
        labelled.Images(labelled.open_labelled(root, classes=attributor.classes), attributor.resolution),
    )
    assert found.perturbation == "none|jpeg50-95"
    asked = {"views": VIEWS, "error_rate": 0.9, "unknown_rate": 0.0}
    assert calibration.calibrate(attributor, root, **asked, perturbation="none|jpeg50-95") == found
    assert calibration.calibrate(attributor, root, **asked).to_dict().get("perturbation") is None
    assert calibration.found_on(found, dataclasses.replace(images, perturbation="none|jpeg50-95"))
    assert not calibration.found_on(found, images)


def test_verdicts_that_name_the_spared_source_have_a_margin_of_their_own(network, root, tmp_path, verdicts, capsys):
    run(network, root, tmp_path / "run", error_rate=0.2, spared="real")
    attributor = Attributor.load(network)
    found = attributor.calibration
    assert found.spared == "real" and found.spared_threshold < found.threshold
    assert f"Unsure of real {where_unsure(found.spared_threshold)}, of the others where" in capsys.readouterr().out
    needed = [found.spared_threshold if verdict.predicted == "real" else found.threshold for verdict in verdicts]
    now = attributor.attribute(opinions.pictures(COUNT), VIEWS)
    assert [v.verdict == UNSURE for v in now] == [
        v.tiles == 1 and v.margin < margin for v, margin in zip(verdicts, needed, strict=True)
    ]
    assert sum(v.verdict == v.predicted for v in now) == found.decided
    (accused,) = {counts["wrong"] for name, counts in found.per_class.items() if name == "real"}
    assert accused == 0 < found.wrong
    write_file(tmp_path / "exported.safetensors", load(network))  # whose header has sources in another order
    exported = Attributor.load(tmp_path / "exported.safetensors").attribute(opinions.pictures(COUNT), VIEWS)
    assert [v.verdict for v in exported] == [v.verdict for v in now]


def test_calibration_does_not_judge_other_votes(network, root, tmp_path):
    run(network, root, tmp_path / "run", error_rate=0.05)
    attributor = Attributor.load(network)
    assert attributor.calibration_for(["mirror", "identity"], "majority") == attributor.calibration
    assert attributor.calibration_for("identity", "majority") is None
    assert attributor.calibration_for(VIEWS, "mean_logit") is None
    assert all(v.verdict == v.predicted for v in attributor.attribute(opinions.pictures(9), VIEWS, "mean_logit"))


def test_calibration_travels_with_the_weights_and_not_with_others(network, root, tmp_path):
    run(network, root, tmp_path / "run", error_rate=0.05)
    expected = json.loads((network / CALIBRATION).read_text())
    write_file(tmp_path / "exported.safetensors", load(network))
    assert Attributor.load(tmp_path / "exported.safetensors").calibration.to_dict() == expected
    # A training that went on has other weights: its calibration does not count.
    other = dataclasses.replace(
        opinions.weights(), variables=jax.tree.map(lambda x: x + 1, opinions.weights().variables)
    )
    write_file(network / FILE, other)
    assert Attributor.load(network).calibration is None
    # In a file it can only have been put there by hand.
    write_file(
        tmp_path / "forged.safetensors", dataclasses.replace(other, about=other.about | {"calibration": expected})
    )
    with pytest.raises(UserError, match=r"forged\.safetensors: its calibration is of other weights"):
        Attributor.load(tmp_path / "forged.safetensors")


def test_a_file_is_left_as_it_is(network, root, tmp_path, capsys):
    before = (network / FILE).read_bytes()
    run(network / FILE, root, tmp_path / "run", error_rate=0.05)
    assert (network / FILE).read_bytes() == before and not (network / CALIBRATION).exists()
    copy = Attributor.load(tmp_path / "run" / FILE)
    assert copy.calibration.to_dict() == json.loads((tmp_path / "run" / CALIBRATION).read_text())
    assert f"calibrated weights: {tmp_path / 'run' / FILE}" in capsys.readouterr().out


def test_too_few_images_are_said_before_any_is_read(network, root, tmp_path, monkeypatch):
    monkeypatch.setattr(labelled.Images, "decode", None)
    with pytest.raises(
        UserError, match=f"{COUNT} images are too few to show an error rate of 0.0001: that takes 29956"
    ):
        run(network, root, tmp_path / "run", error_rate=0.0001)


def test_nothing_is_written_where_the_rate_is_not_reached(network, root, tmp_path):
    with pytest.raises(UserError, match=r"250 images are too few .* 0\.01"):
        run(network, root, tmp_path / "run", error_rate=0.01)
    assert not (network / CALIBRATION).exists() and not (tmp_path / "run" / CALIBRATION).exists()


@pytest.mark.parametrize("content", ["{", "[]", "{}", "7", '{"digest": 3'])
def test_a_damaged_calibration_is_said(network, content):
    (network / CALIBRATION).write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json is damaged; delete it"):
        Attributor.load(network)


def test_a_calibration_with_other_keys_is_said(network):
    digest = opinions.attributor_of(opinions.weights()).digest
    (network / CALIBRATION).write_text(json.dumps({"digest": digest, "threshold": 0.5}))
    with pytest.raises(UserError, match="network: the calibration is damaged"):
        Attributor.load(network)


def test_of_larger_pictures_the_dependence_of_tiles_is_learned(network, tmp_path):
    pictures = opinions.pictures(4 * 60).reshape(60, 2, 2, 16, 16, 3).transpose(0, 1, 3, 2, 4, 5).reshape(60, 32, 32, 3)
    attributor, classes = Attributor.load(network), opinions.weights().about["classes"]
    for i, (picture, verdict) in enumerate(zip(pictures, attributor.attribute(pictures, VIEWS), strict=True)):
        source = classes[i % 3] if i % 10 == 0 else verdict.predicted
        (tmp_path / "images" / source).mkdir(parents=True, exist_ok=True)
        encode_png(tmp_path / "images" / source / f"{i:02d}.png", picture)
    run(network, tmp_path / "images", tmp_path / "run", error_rate=0.5)
    found = Attributor.load(network).calibration
    assert found.dependence is not None and 0 <= found.dependence <= 1
    assert Attributor.load(network).dependence(VIEWS, "majority") == found.dependence
    assert Attributor.load(network).dependence("identity", "majority") == DEPENDENCE  # another vote
    now = Attributor.load(network).attribute(pictures, VIEWS)
    assert sum(v.verdict == v.predicted for v in now) == found.decided
    run(network, tmp_path / "images", tmp_path / "run", error_rate=0.95, tiles=0)
    assert "dependence" not in json.loads((network / CALIBRATION).read_text())


@pytest.fixture(scope="module")
def photographed(tmp_path_factory, verdicts):
    """The pictures in the folders of what the network takes them for: "real" ones are of 20 photographs."""
    root = tmp_path_factory.mktemp("photographed")
    classes = opinions.weights().about["classes"]
    taken = [(picture, verdict.predicted) for picture, verdict in zip(opinions.pictures(COUNT), verdicts, strict=True)]
    for i, (picture, source) in enumerate(taken):
        (root / source).mkdir(exist_ok=True)
        encode_png(
            root / source / (f"photo{i % 20:02d}_{i:03d}.png" if source == classes[0] else f"{i:03d}.png"), picture
        )
    origins = {classes[0]: {"photographs": [f"photo{i:02d}" for i in range(20)]}, classes[1]: {}, classes[2]: {}}
    (root / "manifest.json").write_text(json.dumps({"classes": list(classes), "sources": origins}))
    return root


def test_p_values_are_learned_by_photograph_and_give_verdicts(network, photographed, tmp_path, capsys):
    run(network, photographed, tmp_path / "run", error_rate=0.1, unknown_rate=0.1)
    out, attributor = capsys.readouterr().out, Attributor.load(network)
    real, *generated = attributor.calibration.typicality.known
    assert real.photographs == 20 < real.images and all(known.photographs == known.images for known in generated)
    assert "Not promised: a rate below 4.76% for real, since of 20 photographs" in out and "fewest first" in out
    write_file(tmp_path / "exported.safetensors", load(network))
    assert Attributor.load(tmp_path / "exported.safetensors").calibration == attributor.calibration
    by_api = calibration.calibrate(
        opinions.attributor_of(opinions.weights()), photographed, views=VIEWS, error_rate=0.1, unknown_rate=0.1
    )
    assert by_api == attributor.calibration
    now = [found for found in attributor.attribute(opinions.pictures(COUNT), VIEWS) if found.tiles]
    assert all(found.typicality is not None for found in now)
    for found in now:
        assert (found.predicted in found.sources) == (found.typicality > 0.1)
        assert (found.verdict == UNKNOWN) == (not found.sources)
        assert found.sources == (found.predicted,) or found.verdict in (UNSURE, UNKNOWN)
    assert {found.verdict for found in now} > {UNSURE, UNKNOWN}
    # a vote that it is not of has none
    assert {found.typicality for found in attributor.attribute(opinions.pictures(9), "identity")} == {None}


def test_too_few_photographs_are_said_and_nothing_is_unknown(network, photographed, tmp_path, capsys):
    run(network, photographed, tmp_path / "run", error_rate=0.1, unknown_rate=0.02)
    out, attributor = capsys.readouterr().out, Attributor.load(network)
    assert "No verdict is unknown: a rate of 2% takes 49 independent photographs of each source" in out
    assert "there are 20 photographs of real" in out
    assert "; 0.048 is the lowest config.unknown_rate for these" in out
    assert attributor.calibration.typicality is not None and attributor.calibration.typical is None
    assert {found.typicality for found in attributor.attribute(opinions.pictures(9), VIEWS)} == {None}
    with pytest.raises(UserError, match=r"config\.unknown_rate is 1\.5"):
        run(network, photographed, tmp_path / "run", unknown_rate=1.5)


def test_p_values_of_other_sources_are_refused(network, photographed, tmp_path):
    run(network, photographed, tmp_path / "run", error_rate=0.1, unknown_rate=0.1)
    found = json.loads((network / CALIBRATION).read_text())
    found["typicality"]["known"].reverse()
    (network / CALIBRATION).write_text(json.dumps(found))
    with pytest.raises(UserError, match="its calibration is of other sources"):
        Attributor.load(network)


def test_an_error_rate_that_those_like_one_source_cannot_show_is_said(network, photographed, tmp_path):
    with pytest.raises(
        UserError, match=r"images are like the voted source alone: too few to show an error rate of 0\.02"
    ):
        run(network, photographed, tmp_path / "run", error_rate=0.02, unknown_rate=0.5)
