"""Folders that others load: what stands in them, what is read from them, and who says what they are."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import yaml
from small_weights import CLASSES, assert_same, network, refusal

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.typicality import Typical, learn
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import digest, read_file, write_file

METRICS = {
    "accuracy": 0.9375, "correct": 15, "total": 16, "ci95": [0.717, 0.989], "classes": CLASSES, "rule": "majority",
    "views": ["identity", "mirror"],
}  # fmt: skip


def calibrated(typicality=None):
    weights = network()
    calibration = Calibration(
        threshold=0.5,
        error_rate=0.01,
        confidence=0.95,
        views=EXACT_VIEWS,
        rule="majority",
        images=400,
        decided=300,
        wrong=0,
        ci95=(0.0, 0.0126),
        upper=0.00994,
        per_class={name: {"images": 400, "decided": 300, "wrong": 0} for name in CLASSES},
        digest=digest(weights.variables),
        typicality=typicality,
    )
    return dataclasses.replace(weights, about=weights.about | {"calibration": calibration.to_dict()})


def attributor(weights=None):
    return Attributor.of(weights or calibrated(), "memory")


def card_of(folder):
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_folder_gives_back_the_network_and_its_calibration(tmp_path):
    folder = tmp_path / "new" / "sources"
    attributor().save_pretrained(folder, license="apache-2.0", metrics=METRICS)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    for found in (load(folder), load(folder / "model.safetensors"), read_file(folder / "model.safetensors")):
        assert_same(found, calibrated())
    again = Attributor.from_pretrained(folder)
    assert again.calibration == attributor().calibration is not None
    again.save_pretrained(tmp_path / "sources", license="apache-2.0", metrics=METRICS)
    for path in folder.iterdir():
        assert (tmp_path / "sources" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_folder_holds_the_statistics_of_a_spectrum(tmp_path):
    weights = network(spectral_features=6)
    attributor(weights).save_pretrained(tmp_path / "sources")
    assert "batch_stats" in weights.variables
    assert_same(Attributor.from_pretrained(tmp_path / "sources").weights, weights)


def test_its_weights_are_a_file_of_the_kind_that_there_was(tmp_path):
    attributor(network()).save_pretrained(tmp_path / "sources")
    write_file(tmp_path / "weights.safetensors", network())
    assert (tmp_path / "sources" / "model.safetensors").read_bytes() == (tmp_path / "weights.safetensors").read_bytes()


def test_the_settings_are_told_to_other_programs(tmp_path):
    attributor().save_pretrained(tmp_path / "sources")
    described = json.loads((tmp_path / "sources" / "config.json").read_text())
    weights = calibrated()
    assert described == {
        "library_name": "ganfp_jax",
        "kind": "attribution",
        "model": weights.model,
        "about": json.loads(json.dumps(weights.about)),
        "origin": weights.origin,
        "digest": digest(weights.variables),
    }


def test_the_card_has_what_the_hub_reads(tmp_path):
    attributor().save_pretrained(tmp_path / "sources", license="apache-2.0", metrics=METRICS)
    data, text = card_of(tmp_path / "sources")
    assert data["library_name"] == "ganfp_jax"
    assert data["license"] == "apache-2.0"
    assert data["pipeline_tag"] == "image-classification"
    assert "image-forensics" in data["tags"]
    (index,) = data["model-index"]
    (result,) = index["results"]
    assert index["name"] == "sources"
    assert result["metrics"] == [{"type": "accuracy", "name": "accuracy of the vote (majority)", "value": 0.9375}]
    for said in (
        "93.8%",
        "71.7–98.9",
        "16 labelled images",
        "where the margin is under 0.5",
        "400",
        digest(network().variables),
    ):
        assert said in text, said
    for name in CLASSES:
        assert name in text


def test_a_card_says_what_is_not_known(tmp_path):
    attributor(network()).save_pretrained(tmp_path / "sources")
    data, text = card_of(tmp_path / "sources")
    assert data["license"] == "unknown" and "model-index" not in data
    assert "Not stated here" in text and "not calibrated" in text


def test_the_library_of_the_hub_reads_the_card(tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    attributor().save_pretrained(tmp_path / "sources", license="apache-2.0", metrics=METRICS)
    data = hub.ModelCard.load(tmp_path / "sources" / "README.md").data
    assert (data.library_name, data.license, data.pipeline_tag) == ("ganfp_jax", "apache-2.0", "image-classification")
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, data.model_name) == ("accuracy", 0.9375, "sources")


def test_names_are_text_on_the_card(tmp_path):
    names = ["<img src=x>", "[a](b)", "*real*"]
    weights = network()
    attributor(dataclasses.replace(weights, about=weights.about | {"classes": names})).save_pretrained(tmp_path / "a_b")
    _, text = card_of(tmp_path / "a_b")
    assert r"\<img src=x\>, \[a\](b), \*real\*" in text
    assert r"# a\_b" in text and '"a_b"' in text


def test_nothing_is_believed_of_the_other_files(tmp_path):
    folder = tmp_path / "sources"
    attributor().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"about": {"classes": ["a", "b", "c"]}, "model": {"name": "x"}}))
    (folder / "README.md").write_text("[" * 10_000)
    assert_same(load(folder), calibrated())
    assert_same(Attributor.from_pretrained(folder).weights, calibrated())


def test_a_damaged_file_is_one_line(tmp_path):
    folder = tmp_path / "sources"
    attributor().save_pretrained(folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1000] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert "is damaged: its weights do not have the digest" in refusal(Attributor.from_pretrained, folder)
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "cannot be read as safetensors" in refusal(Attributor.from_pretrained, folder)


def test_a_folder_without_a_network_is_one_line(tmp_path):
    assert f"{tmp_path} holds no network: it has no model.safetensors" in refusal(Attributor.from_pretrained, tmp_path)
    assert "cannot be read" in refusal(Attributor.from_pretrained, "x" * 5000)
    attributor().save_pretrained(tmp_path / "sources")
    (tmp_path / "sources" / "model.safetensors").unlink()
    assert "holds no network: it has no model.safetensors" in refusal(load, tmp_path / "sources")


def test_without_the_library_a_folder_is_read_and_a_name_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "ganfp_jax.interop.hub", raising=False)
    attributor().save_pretrained(tmp_path / "sources")
    assert Attributor.from_pretrained(tmp_path / "sources").classes == tuple(CLASSES)
    message = refusal(Attributor.from_pretrained, "somebody/sources")
    assert "somebody/sources is no folder here" in message and "pip install 'ganfp_jax[hub]'" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"license": "Apache 2.0\ntags: []"}, "is no identifier of the hub; give one such as apache-2.0"),
        ({"metrics": {}}, "the metrics are not those of a network of real, ProGAN, SNGAN"),
        ({"metrics": METRICS | {"classes": ["a", "b"]}}, "the metrics are not those"),
        ({"metrics": METRICS | {"accuracy": "high"}}, "the metrics are not those"),
        ({"metrics": METRICS | {"rule": "x\n---"}}, "the metrics are not those"),
    ],
)
def test_what_a_card_cannot_say_is_one_line_and_nothing_is_written(tmp_path, settings, message):
    network_ = attributor()
    assert message in refusal(lambda: network_.save_pretrained(tmp_path / "sources", **settings))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    assert "choose another file" in refusal(attributor().save_pretrained, tmp_path / "file" / "sources")


def test_a_network_that_was_not_loaded_does_not_know_its_settings(tmp_path):
    from ganfp_jax import models

    weights = network()
    bare = Attributor(models.create(**weights.model), weights.variables, CLASSES, 16)
    assert "use Attributor.load" in refusal(bare.save_pretrained, tmp_path / "sources")
    images = np.zeros((1, 16, 16, 3), np.uint8)
    assert bare.vote(images, "identity").predicted.shape == (1,)


def test_a_card_says_whether_images_of_other_sources_can_be_unknown(tmp_path):
    attributor().save_pretrained(tmp_path / "names")
    assert "still names one of these" in card_of(tmp_path / "names")[1]
    scores, photographs = np.linspace(0, 1, 60, dtype=np.float32), np.arange(60) // 2
    typical = Typical("strangeness", 0.05, tuple(learn(name, scores, photographs) for name in CLASSES))
    attributor(calibrated(typical)).save_pretrained(tmp_path / "refuses")
    _, text = card_of(tmp_path / "refuses")
    assert "still names" not in text and 'is "unknown" where it is unlike all of these' in text
    assert "at most 5% of its images" in text and f"30 photographs of {CLASSES[0]}" in text
    assert Attributor.from_pretrained(tmp_path / "refuses").calibration.typicality == typical
