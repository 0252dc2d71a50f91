"""`import_weights`: published files become run folders that the jobs use as the published code would."""

import csv
import hashlib
import json
import shlex

import jax
import jax.numpy as jnp
import numpy as np
import published_golden as files
import pytest
from command_line import run_main
from golden_files import load
from published_files import write_pickle

from configs import evaluate, generate, import_weights, interpolate
from ganfp_jax import Attributor
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import load_published, weights
from ganfp_jax.interop.load import load as load_weights
from ganfp_jax.interop.pickles import StoredNetwork
from ganfp_jax.jobs import evaluate as evaluation_job
from ganfp_jax.jobs import generate as generation
from ganfp_jax.jobs import import_weights as importing
from ganfp_jax.jobs import interpolate as interpolation
from ganfp_jax.models.pixels import to_stored
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import open_run

REAL_FIRST = ["real", "ProGAN", "SNGAN", "CramerGAN", "MMDGAN"]


def run(job, config_file, workdir, **settings):
    config = config_file.get_config("tiny").to_dict() | settings
    with open_run(workdir, config):
        job.run(config, workdir)
    return workdir


def imported(source, **settings):
    """The run folder of an import, beside its source."""
    workdir = source.parent / f"imported {source.name}"
    return run(importing, import_weights, workdir, **({"source": str(source)} | settings))


def assert_drawn_as_published(folder, net, encoding, pixels):
    """What the jobs draw from the run folder is what the published network draws, as its authors store it."""
    sampler = Sampler(folder, encoding)
    latents = np.random.RandomState(0).randn(sampler.batch_size or 3, 8).astype(np.float32)
    ours = sampler.draw(latents, 3).astype(int)
    # Two programs may round the last bit differently, of which a value at a step makes another number.
    least, most = (
        np.asarray(to_stored(jnp.asarray(net(latents)) + slack, pixels, encoding)).astype(int)
        for slack in (-1e-5, 1e-5)
    )
    assert ours.shape == least.shape
    assert np.abs(ours - most).max() <= 1
    assert ((ours < least) | (ours > most)).mean() < 1e-3  # of stretched images both ends move as well
    return sampler


def test_progan(tmp_path, capsys):
    half = load("progan_generator").param["4x4/Dense/weight"] / 2
    source = files.write_progan(tmp_path / "any.bin", **{"4x4/Dense/weight": half})
    folder = imported(source)
    nets = load_published(source)
    sampler = assert_drawn_as_published(folder, nets["Gs"], "plain", "signed")  # and not G
    assert (sampler.source_name, sampler.resolution, sampler.batch_size) == ("ProGAN", 32, None)
    assert sampler.latents == {"size": 8, "distribution": "normal"}

    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    kept = load_weights(folder)
    assert kept.origin == {"format": "tfutil pickle", "network": "Gs", "sha256": {"any.bin": digest}}
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["tfutil pickle", f"any.bin  sha256 {digest}"]
    rows = [line.split() for line in lines]
    assert ["Gs", "ProGAN", "generator", "(N,", "8)", "4,488", "imported"] in rows
    assert ["D", "ProGAN", "critic", "(N,", "32,", "32,", "3)", "4,589"] in rows
    assert "images called ProGAN, from 8 normal latents" in lines
    assert lines[-1].startswith(f"weights: {folder / 'weights.safetensors'}  digest: {weights.digest(kept.variables)}")


def test_another_network_and_name_can_be_chosen(tmp_path):
    folder = imported(files.write_progan(tmp_path / "p"), network="G", source_name="ProGAN_seed_3")
    assert load_weights(folder).origin["network"] == "G"
    assert Sampler(folder).source_name == "ProGAN_seed_3"


@pytest.mark.parametrize("parts", [("generator",), ("generator", "discriminator")])
def test_sngan(tmp_path, parts):
    source = files.write_sngan(tmp_path / "s.npz", *parts)
    folder = imported(source)
    if len(parts) == 1:
        sampler = assert_drawn_as_published(folder, load_published(source)["generator"], "published", "dithered")
        assert (sampler.source_name, sampler.latents["distribution"]) == ("SNGAN", "normal")
    assert load_weights(folder, "generator").origin["format"] == "Chainer npz"


def test_cramer_and_mmd_are_told_apart_by_their_critics(tmp_path):
    prefix = files.write_cramer_or_mmd(tmp_path / "mmd" / "MMDGAN.model-1000")
    folder = imported(prefix)
    sampler = assert_drawn_as_published(folder, load_published(prefix)["generator"], "published", "unit")
    assert (sampler.source_name, sampler.batch_size) == ("MMDGAN", 32)  # its images depend on the others of their 32
    assert sampler.latents == {"size": 8, "distribution": "uniform"}
    names = {f"MMDGAN.model-1000.{end}" for end in ("index", "data-00000-of-00001")}
    assert load_weights(folder).origin["sha256"] == {
        name: hashlib.sha256((prefix.parent / name).read_bytes()).hexdigest() for name in names
    }

    cramer = files.write_cramer_or_mmd(tmp_path / "cramer" / "MMDGAN.model-1000", num_features=256)
    assert load_weights(imported(cramer.parent)).about["source_name"] == "CramerGAN"
    other = files.write_cramer_or_mmd(tmp_path / "other" / "x", num_features=20)
    with pytest.raises(UserError, match=r"its critic has 20 features; say which with --config\.source_name=CramerGAN"):
        imported(other)
    assert load_weights(imported(other.with_name("x.index"), source_name="MMDGAN")).about["source_name"] == "MMDGAN"


def images(count=6, side=32):
    return np.random.RandomState(5).randint(0, 256, (count, side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize("which", ["postpool_4", "postpool_16", "predownscale_16"])
def test_classifiers_answer_as_published(tmp_path, which):
    source = files.write_classifier(tmp_path / "c.pkl", which)
    attributor = Attributor.load(imported(source))
    assert list(attributor.classes) == REAL_FIRST
    # The published test divides by 255, doubles, takes one off.
    logits = load_published(source)["C_im"]((images() / 255 * 2 - 1).astype(np.float32))
    vote = attributor.vote(images(), "identity")
    np.testing.assert_allclose(vote.probabilities, jax.nn.softmax(logits), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(vote.predicted, logits.argmax(1))


def test_fingerprint_networks_answer_as_published(tmp_path):
    source = files.write_fingerprint_network(tmp_path / "v.pkl")
    folder = imported(source, classes=("a", "b", "c", "d", "e"))
    assert load_weights(folder).origin["network"] == "EGs"
    attributor = Attributor.load(folder)
    assert attributor.classes == ("a", "b", "c", "d", "e")
    _, fingerprints, logits = load_published(source)["EGs"]((images() / 255 * 2 - 1).astype(np.float32))
    np.testing.assert_allclose(attributor.fingerprints(images()).images, fingerprints, rtol=0, atol=1e-5)
    probabilities = attributor.vote(images(), "identity").probabilities
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), rtol=0, atol=1e-5)


def write_classifier_of(path, count):
    """The golden classifier with another number of classes."""
    recorded = load("classifier_postpool_4")
    rng = np.random.RandomState(0)
    last = {
        "4x4/Dense2/weight": rng.standard_normal((16, count)).astype(np.float32),
        "4x4/Dense2/bias": np.zeros(count, np.float32),
    }
    kwargs = recorded.meta | {"label_size": count}
    write_pickle(path, [StoredNetwork("C_im", "C_patch", kwargs, recorded.param | last)], as_tuple=False)
    return path


def test_names_of_eleven_classes_are_known_and_of_three_are_asked_for(tmp_path):
    eleven = Attributor.load(imported(write_classifier_of(tmp_path / "eleven", 11)))
    assert list(eleven.classes) == ["real", *(f"ProGAN_seed_{i}" for i in range(10))]
    assert eleven.default_views == "mirror"  # as published: turned views would vote badly
    three = write_classifier_of(tmp_path / "three", 3)
    with pytest.raises(UserError, match=r"C_im has 3 classes, whose names no file says; .*--config\.classes="):
        imported(three)
    with pytest.raises(UserError, match=r"config\.classes are 2 \(real, mine\), but C_im of .* has 3"):
        importing.import_weights(three, load_published(three), classes=("real", "mine"))
    # As ml_collections reads --config.classes=real,mine,theirs and --config.classes="('real', 'mine', 'theirs')".
    for i, classes in enumerate([("real,mine,theirs",), ("real", "mine", "theirs")]):
        config = import_weights.get_config().to_dict() | {"source": str(three), "classes": classes}
        importing.run(config, tmp_path / str(i))
        assert load_weights(tmp_path / str(i) / weights.FILE).about["classes"] == ["real", "mine", "theirs"]


@pytest.mark.parametrize(
    ("write", "settings", "words"),
    [
        (
            files.write_classifier,
            {"classes": ("a", "b", "c", "a", "d")},
            "the source name 'a' stands there twice",
        ),
        (
            files.write_classifier,
            {"classes": ("a", "b", "c", "../d", "e")},
            "the source name '../d' has a path",
        ),
        (files.write_classifier, {"source_name": "ProGAN"}, "config.source_name names a generator's images"),
        (files.write_progan, {"classes": ("a", "b")}, "config.classes are an attribution network's"),
        (files.write_progan, {"source_name": "../up"}, "config.source_name: the source name '../up' has a path"),
        (files.write_progan, {"network": "EGs"}, "no network 'EGs'; config.network can be one of G (ProGAN generator)"),
        (files.write_progan, {"network": "D"}, "a critic makes no images and tells no sources apart"),
        (files.write_fingerprint_network, {"network": "D_rec"}, "a critic makes no images"),
        (lambda path: files.write_sngan(path, "discriminator"), {}, "critics only (discriminator (SNGAN critic))"),
        (lambda path: files.write_progan(path, lod=0.3), {}, "has not grown to its full size (its lod is 0.3)"),
        (lambda path: files.write_classifier(path, "patch_latent8"), {}, "answers with a map of 8x8 logits"),
    ],
)
def test_what_cannot_be_imported(tmp_path, write, settings, words):
    source = write(tmp_path / "file")
    with pytest.raises(UserError) as error:
        imported(source, **settings)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob(weights.FILE))


def test_a_network_that_is_no_running_average_has_to_be_chosen(tmp_path):
    two = [files.stored(name, "C_patch", "classifier_postpool_4") for name in ("one", "two")]
    write_pickle(tmp_path / "file", two, as_tuple=True)
    with pytest.raises(
        UserError, match=r"holds one \(attribution classifier\), two .*; say which with --config\.network"
    ):
        imported(tmp_path / "file")


def test_no_source(tmp_path):
    with pytest.raises(UserError, match=r"config\.source is empty; give a published checkpoint"):
        run(importing, import_weights, tmp_path / "w", source="")


# A published file where a run folder is wanted.


@pytest.mark.parametrize(
    ("write", "take"),
    [
        (files.write_classifier, Attributor.load),
        (files.write_fingerprint_network, Attributor.load),
        (files.write_progan, Sampler),
        (lambda path: files.write_sngan(path, "generator"), Sampler),
        (lambda path: files.write_cramer_or_mmd(path / "x.model-1000").parent, Sampler),
    ],
)
def test_a_raw_file_is_to_be_imported_first(tmp_path, write, take):
    source = write(tmp_path / "my model.v2")
    with pytest.raises(UserError) as error:
        take(source)
    message = str(error.value)
    assert "\n" not in message
    command, _, given = message.partition("import it first: ")[2].partition(" - then give ")
    assert shlex.split(command) == [
        *("python", "-m", "ganfp_jax.main", "--config=configs/import_weights.py"),
        *(f"--config.source={source}", "--workdir=runs/my model"),
    ]
    assert given == "runs/my model"


def test_a_progan_in_the_place_of_a_classifier(tmp_path):
    source = files.write_progan(tmp_path / "celeba_align_png_cropped.pkl")
    with pytest.raises(UserError) as error:
        Attributor.load(source)
    message = str(error.value)
    assert message.startswith(
        f"{source} is a published checkpoint of G (ProGAN generator), D (ProGAN critic), Gs (ProGAN generator), which "
        "makes images and only trains another network; wanted here is an attribution network; give the run folder of "
        "configs/attribution.py, or a published classifier"
    )
    with pytest.raises(UserError, match=r"holds no attribution network \(but 'progan_generator'\)"):
        Attributor.load(imported(source))


def test_a_classifier_in_the_place_of_a_generator(tmp_path):
    source = files.write_classifier(tmp_path / "c.pkl")
    with pytest.raises(
        UserError, match=r"C_im \(attribution classifier\), which attributes images; wanted here is a gen"
    ):
        Sampler(source)
    with pytest.raises(UserError, match=r"holds no generator \(but 'visnet_classifier'\)"):
        Sampler(imported(source))


# The jobs.


def test_the_tiny_import_is_generated_from_walked_through_and_evaluated(tmp_path):
    """The command line once, then the jobs on what it left."""
    gan = tmp_path / "gan"
    status, out, err = run_main(gan, "configs/import_weights.py:tiny")
    assert status == 0, err
    assert "published_progan.pkl  sha256 " in out
    assert json.loads((gan / "config.json").read_text())["job"] == "import_weights"

    root = tmp_path / "images"
    run(generation, generate, tmp_path / "generate", generator=str(gan), root=str(root), count=5)
    assert len(list((root / "ProGAN").glob("ProGAN_0000000?.png"))) == 5
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["sources"]["ProGAN"]["digest"] == weights.digest(load_weights(gan).variables)

    walk = run(interpolation, interpolate, tmp_path / "walk", generator=str(gan), count=2, frames=1, seeds=())
    assert (walk / "walk" / "walk.png").is_file()

    classifier = imported(files.write_classifier(tmp_path / "c.pkl"))
    settings = {
        "checkpoint": str(classifier),
        "data": {"root": str(root), "resize": "refuse", "layout": "auto"},
        "views": "identity",
    }
    settings["baselines"] = evaluate.get_config("tiny").baselines.to_dict() | {"methods": (), "immunised_methods": ()}
    workdir = run(evaluation_job, evaluate, tmp_path / "evaluate", **settings)
    rows = list(csv.DictReader((workdir / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 5
    assert list(rows[0])[5:] == [*REAL_FIRST, "verdict", "margin", "distance", "typicality", "sources", "tiles"]
    assert {row["target"] for row in rows} == {"ProGAN"}


def test_a_second_import_into_a_run_folder_must_be_the_same(tmp_path):
    source = files.write_progan(tmp_path / "p")
    first = (imported(source) / weights.FILE).read_bytes()
    assert (imported(source) / weights.FILE).read_bytes() == first
    with pytest.raises(UserError, match="holds a run with another config: network"):
        imported(source, network="G")
