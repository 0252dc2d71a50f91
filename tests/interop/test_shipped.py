"""The shipped set: complete, small, intact, and found by name wherever weights are asked for."""

import json
import re
import shutil

import jax
import jax.export
import numpy as np
import pytest
import safetensors.numpy

from configs import quickstart as quickstart_file
from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.jobs.export_weights.program import export_vote
from ganfp_jax.run.errors import UserError

SET = "photos32"
CLASSES = ("real", "ProGAN", "SNGAN", "CramerGAN", "MMDGAN")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the shipped sets that a test may damage."""
    shutil.copytree(shipped.ROOT, tmp_path / "zoo")
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "zoo")
    return tmp_path / "zoo"


def test_the_sets_are_under_sixteen_megabytes():
    assert SET in shipped.sets()
    assert sum(path.stat().st_size for path in shipped.ROOT.rglob("*") if path.is_file()) < 16e6


def test_every_file_of_the_set_is_listed_and_intact():
    index = json.loads((shipped.ROOT / SET / shipped.INDEX).read_text())
    files = {path.name for path in (shipped.ROOT / SET).glob("*.safetensors")}
    assert files == set(index["sha256"])
    assert all(shipped.find(f"{SET}/{name.removesuffix('.safetensors')}") for name in files)


def test_the_network_knows_the_generators_that_come_with_it():
    names = [load(name, "generator").about["source_name"] for name in shipped.generators(SET)]
    assert sorted(names) == sorted(CLASSES[1:])
    assert Attributor.load(SET).classes == CLASSES


def test_a_generator_comes_with_it_that_the_network_does_not_know():
    (name,) = shipped.unknown_generators(SET)
    assert name == "photos32/unknown-sngan"
    assert name not in shipped.generators(SET)
    assert Sampler(name).source_name == "SNGAN-seed-2"
    assert Sampler(name).origin["digest"] != Sampler(f"{SET}/sngan").origin["digest"]


def test_the_network_is_calibrated_for_the_vote_of_the_quickstart():
    config = quickstart_file.get_config()
    assert Attributor.load(SET).calibration_for(config.views, config.rule).error_rate == 0.01


def test_a_file_of_the_users_goes_before_a_set_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / SET).mkdir()
    with pytest.raises(UserError, match="is not a run folder"):
        load(SET)


def test_an_unknown_member_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="photos32 has no stylegan; choose photos32 or one of photos32/baselines, "):
        load(f"{SET}/stylegan")


def test_the_immunised_baseline_answers_where_a_network_is_asked_for():
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    images = np.concatenate([*Sampler(f"{SET}/progan").stream(1, 24, 24), noise])
    attributor = Attributor.load(f"{SET}/baselines")
    fitted = baselines.read(shipped.baselines(SET))["logistic_log_dct_immunised"]
    predicted, scores = baselines.predict(fitted, images)
    verdicts = attributor.attribute(images)
    assert attributor.classes == Attributor.load(SET).classes == fitted.classes
    assert attributor.default_views == "identity"
    assert [verdict.predicted for verdict in verdicts] == [attributor.classes[k] for k in predicted]
    assert [verdict.predicted for verdict in verdicts[:24]].count("ProGAN") >= 22
    np.testing.assert_allclose([list(verdict.probabilities.values()) for verdict in verdicts], scores, atol=2e-3)


def _header(entry):
    return {"baselines": entry if isinstance(entry, str) else json.dumps({"one": entry})}


RIGHT = {"name": "logistic_pixels", "shape": [8, 8, 3], "classes": ["a", "b"]}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({**RIGHT, "classes": ["a", "b", "c"]}, r"bias is F32 2 in the place of F32 3"),
        ({**RIGHT, "shape": [16, 8, 3]}, r"weights is F32 192x2 in the place of F32 768x2"),
        ({**RIGHT, "shape": [2**50, 8, 3]}, "no size of a network is above"),
        ({**RIGHT, "shape": ["x"]}, "cannot be made here"),
        ({**RIGHT, "name": "knn"}, "model 'knn' is unknown"),
        ({**RIGHT, "classes": ["a", "../b"]}, "../b"),
        ({"name": "logistic_pixels", "shape": [8, 8, 3]}, "holds baselines, but it does not say what the sources are"),
        ({**RIGHT, "shape": []}, "holds baselines, but its header is damaged"),
        ("{", "holds baselines, but its header is damaged"),
        ("[1]", "holds baselines, but its header is damaged"),
        ("{}", "holds baselines, but its header is damaged"),
        ("[" * 100_000, "holds baselines, but its header is damaged"),
    ],
)
def test_a_file_of_baselines_is_believed_no_more_than_one_of_weights(tmp_path, header, words):
    arrays = {"one/weights": np.zeros((192, 2), np.float32), "one/bias": np.zeros(2, np.float32)}
    safetensors.numpy.save_file(arrays, tmp_path / "b.safetensors", _header(RIGHT))
    assert load(tmp_path / "b.safetensors", "attribution").about == {"classes": ["a", "b"], "augment": "none"}
    safetensors.numpy.save_file(arrays, tmp_path / "b.safetensors", _header(header))
    with pytest.raises(UserError, match=re.escape(words)):
        load(tmp_path / "b.safetensors", "attribution")


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"nowhere is not a run folder.*of a shipped set \(photos32, restorers64\)"):
        load("nowhere")
    with pytest.raises(UserError, match="no shipped set 'nowhere'; choose one of photos32, restorers64"):
        shipped.baselines("nowhere")


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_damaged_file_is_refused(copied, damage):
    damage(copied / SET / "visnet.safetensors")
    with pytest.raises(UserError, match=r"visnet.safetensors is missing or damaged; install ganfp_jax again"):
        Attributor.load(SET)


def test_baselines_read_back_answer_alike(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 12)
    images = (rng.integers(0, 120, (36, 8, 8, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    fitted = {
        "all": baselines.fit("logistic_pixels", images, labels, ["a", "b", "c"]),
        "two": baselines.fit("logistic_log_dct", images[:24], labels[:24], ["a", "b"]),
    }
    baselines.write(tmp_path / "b.safetensors", fitted)
    for called, back in baselines.read(tmp_path / "b.safetensors").items():
        assert (back.name, back.shape, back.classes) == (
            fitted[called].name,
            fitted[called].shape,
            fitted[called].classes,
        )
        np.testing.assert_allclose(
            baselines.predict(back, images)[1], baselines.predict(fitted[called], images)[1], atol=1e-5
        )


def test_a_baseline_is_exported_for_any_number_of_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    program = export_vote(load(f"{SET}/baselines"), views="mirror", rule="majority")
    there = jax.export.deserialize(bytearray(program)).call(images)
    here = Attributor.load(f"{SET}/baselines").vote(images, "mirror")
    np.testing.assert_allclose(there["view_logits"], here.view_logits, rtol=1e-3, atol=1e-3)
