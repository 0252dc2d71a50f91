"""The main job, tiny: `configs/quickstart.py:tiny`, its outputs, and what is built on them."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import run_job

from configs import score
from ganfp_jax import Attributor
from ganfp_jax.attribution.certainty import where_unsure
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import weights
from ganfp_jax.interop.load import load
from ganfp_jax.metrics.statistics import wilson_interval

SOURCES = ["real", "ProGAN", "SNGAN", "CramerGAN", "MMDGAN"]
NO_BASELINES = {"baselines.methods": (), "baselines.immunised_methods": ()}


def read_json(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("study")
    return workdir, run_job("quickstart:tiny", workdir)


def test_the_study_says_what_it_found_and_where(study):
    workdir, out = study
    assert f"report: {workdir / 'report' / 'index.html'}" in out
    assert "logistic regression on log-DCT" in out
    page = (workdir / "report" / "index.html").read_text()
    for word in ("ProGAN", "SNGAN", "JPEG", "95", "data:image/png"):
        assert word in page


def size_of(file):
    with Image.open(file) as picture:
        return picture.size


def test_image_set(study):
    workdir, _ = study
    for split, count in (("train", 48), ("test", 24)):
        root = workdir / "images" / split
        manifest = json.loads((root / "manifest.json").read_text())
        assert manifest["classes"] == SOURCES
        for source in SOURCES:
            files = sorted((root / source).iterdir())
            assert len(files) == count
            assert {size_of(file) for file in files} == {(16, 16)}
        assert (root / "ProGAN" / "ProGAN_00000000.png").exists()
        assert manifest["sources"]["SNGAN"] | {"count": count, "encoding": "plain"} == manifest["sources"]["SNGAN"]
        assert len(manifest["sources"]["SNGAN"]["digest"]) == 64
    train, test = (read_json(workdir / "images" / split / "manifest.json")["sources"] for split in ("train", "test"))
    assert not set(train["real"]["photographs"]) & set(test["real"]["photographs"])
    assert train["ProGAN"]["seed"] != test["ProGAN"]["seed"]


CONTRACT = ("image", "target", "predicted", "confidence", "votes")  # the first columns of predictions.csv


def test_outputs_follow_the_contract(study):
    workdir, _ = study
    folder = workdir / "evaluation" / "d4-clean-d4-24"
    rows = list(csv.DictReader((folder / "predictions.csv").read_text().splitlines()))
    assert list(rows[0]) == [*CONTRACT, *SOURCES, "verdict", "margin", "distance", "typicality", "sources", "tiles"]
    assert len(rows) == 120
    for row in rows:
        assert row["image"].split("/")[0] == row["target"]
        assert sum(json.loads(row["votes"]).values()) == 8
        assert sum(float(row[name]) for name in SOURCES) == pytest.approx(1, abs=1e-5)
        assert row["confidence"] == row[row["predicted"]]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["classes"] == SOURCES
    right = sum(row["predicted"] == row["target"] for row in rows)
    assert (metrics["correct"], metrics["total"]) == (right, 120)
    assert metrics["ci95"] == pytest.approx(wilson_interval(right, 120))
    assert np.trace(metrics["confusion"]) == right
    assert np.array(metrics["confusion"]).sum(1).tolist() == [24] * 5
    changes = metrics["vote_changes"]
    gained = changes["wrong_to_right"] - changes["right_to_wrong"]
    assert metrics["correct"] - metrics["single_view"]["correct"] == gained
    assert len(metrics["views"]) == 8
    assert metrics["rule"] == "majority"
    assert (folder / "rejected.csv").read_text() == "image,reason\n"


def test_a_finished_study_repeats_nothing(study):
    workdir, out = study
    before = {path: path.stat().st_mtime_ns for path in (workdir / "images").rglob("*.png")}
    steps = {path: path.stat().st_mtime_ns for path in workdir.glob("*/checkpoints/*")}
    again = run_job("quickstart:tiny", workdir)
    assert before == {path: path.stat().st_mtime_ns for path in (workdir / "images").rglob("*.png")}
    assert steps == {path: path.stat().st_mtime_ns for path in workdir.glob("*/checkpoints/*")}

    def table(text):
        return [line for line in text.splitlines() if not line.startswith("==")]

    assert table(again) == table(out)


def test_calibrate_and_attribute_the_network_of_the_study(study, tmp_path):
    workdir, _ = study
    shutil.copytree(workdir / "visnet-d4", tmp_path / "network")
    network, images = tmp_path / "network", workdir / "images"
    run_job("calibrate:tiny", tmp_path / "c", {"checkpoint": network, "data.root": images})
    out = run_job("attribute:tiny", tmp_path / "a", {"checkpoint": network, "images": images / "test"})
    threshold = read_json(tmp_path / "network" / "calibration.json")["threshold"]
    assert f"unsure: {where_unsure(threshold)}" in out
    with (tmp_path / "a" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (workdir / "evaluation" / "d4-clean-d4-24" / "predictions.csv").open() as file:
        evaluated = {str(images / "test" / row["image"]): row["predicted"] for row in csv.DictReader(file)}
    assert [row["image"] for row in rows] == sorted(evaluated)
    assert all(row["predicted"] == evaluated[row["image"]] for row in rows)


def test_evaluate_agrees_with_the_study(study, tmp_path):
    workdir, _ = study
    out = run_job("evaluate:tiny", tmp_path, {"checkpoint": workdir / "visnet-d4", "data.root": workdir / "images"})
    theirs = read_json(workdir / "evaluation" / "d4-clean-d4-24" / "metrics.json")
    ours = read_json(tmp_path / "metrics.json")
    beside = {entry["name"]: entry["confusion"] for entry in ours.pop("baselines")}
    assert ours.pop("leak") is None
    assert ours.pop("tiles")["mean"] == 1
    for block in (theirs, ours):
        block.pop("images_per_second")
    assert ours == theirs
    assert "McNemar" in out
    assert list(beside) == ["logistic_log_dct", "metadata", "logistic_log_dct_immunised"]
    for entry in read_json(workdir / "baselines.json"):
        if entry["name"] in beside and entry["condition"] == "clean":
            assert beside[entry["name"]] == entry["metrics"]["confusion"]
    page = (tmp_path / "report" / "index.html").read_text()
    for words in (f"report: {tmp_path / 'report' / 'index.html'}", "control: metadata of the files only"):
        assert words in out
    assert "control: metadata of the files only" in page
    wrong = page.count('<ul class="seen"')
    assert wrong == min(24, ours["total"] - ours["correct"] + ours["vote_changes"]["wrong_to_right"])
    assert page.count("<span>vertical flip</span>") == wrong  # every view of every one of them
    assert "t-SNE of 120 image fingerprints" in page
    assert page.count('alt="Model fingerprint of') == len(SOURCES)


def test_an_exported_network_answers_like_its_run_folder(study, tmp_path):
    workdir, _ = study
    out = run_job("export_weights:tiny", tmp_path / "export", {"checkpoint": workdir / "visnet-d4"})
    file = tmp_path / "export" / "weights.safetensors"
    assert f"--config.checkpoint={file}" in out
    assert ", ".join(SOURCES) in out
    # The same bytes are written again, from the run folder and from the file.
    for path in (workdir / "visnet-d4", file):
        weights.write_file(tmp_path / "again.safetensors", load(path))
        assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()
    settings = {"checkpoint": file, "data.root": workdir / "images"}
    run_job("evaluate:tiny", tmp_path / "evaluation", settings | NO_BASELINES)
    # The study takes the images of a source in another order.
    theirs = (workdir / "evaluation" / "d4-clean-d4-24" / "predictions.csv").read_text().splitlines()
    ours = (tmp_path / "evaluation" / "predictions.csv").read_text().splitlines()
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 121


def test_an_exported_generator_has_the_digest_of_the_manifest_and_its_images(study, tmp_path):
    workdir, _ = study
    manifest = read_json(workdir / "images" / "test" / "manifest.json")["sources"]
    for folder, source in (("progan", "ProGAN"), ("cramergan", "CramerGAN")):
        file = tmp_path / f"{folder}.safetensors"
        assert weights.write_file(file, load(workdir / folder)) == manifest[source]["digest"]
        by_folder, by_file = Sampler(workdir / folder), Sampler(file)
        assert by_file.origin == by_folder.origin | {"generator": str(file)}
        images = [next(iter(sampler.stream(7, 16, 16))) for sampler in (by_folder, by_file)]
        np.testing.assert_array_equal(*images)


def test_the_studys_images_give_nothing_but_themselves_away(study, tmp_path):
    workdir, told = study
    assert "warning:" not in told
    run_job("audit:tiny", tmp_path, {"data.root": workdir / "images"})
    results = read_json(tmp_path / "audit.json")
    assert results["verdict"].startswith("No leak found")
    assert {row["kind"] for row in results["kinds"] if row["says"] == "all files alike"} >= {
        *("format", "dimensions", "compression", "metadata"),
    }
    assert (results["files"], results["files_tested"]) == (5 * (48 + 24), 5 * 40)
    assert results["duplicates"]["exact_across_splits"] == 0
    assert results["shared_photographs"] == []


def test_two_networks_of_the_study_are_scored_beside_each_other(study, tmp_path):
    workdir, _ = study
    written = score.get_config("tiny").predictions.replace("runs/quickstart-tiny", str(workdir))
    run_job("score:tiny", tmp_path, {"predictions": written, "data.root": workdir / "images"})
    found = read_json(tmp_path / "metrics.json")
    for path in map(Path, written.split(",")):
        theirs, ours = read_json(path / "metrics.json"), found["tools"][path.name]
        assert {key: ours[key] for key in ("accuracy", "confusion", "classes")}.items() <= theirs.items()
    assert found["pairs"][0]["shared"] == 5 * 24
    assert 0 < found["tools"][path.name]["groups"]["real"] < 24  # photographs, of the manifest
    assert found["audit"]["verdict"].startswith("No leak found")


def test_baselines_agree_with_the_study_and_stand_beside_its_network(study, tmp_path):
    workdir, _ = study
    out = run_job("baselines:tiny", tmp_path, {"checkpoint": workdir / "visnet-d4", "data.root": workdir / "images"})
    rows = read_json(tmp_path / "baselines.json")["rows"]
    reached = {(row["method"], row["condition"]): row for row in rows if row["images_per_source"] in (48, None)}
    for entry in read_json(workdir / "baselines.json"):
        assert reached[entry["name"], entry["condition"]]["confusion"] == entry["metrics"]["confusion"]
    single = read_json(workdir / "evaluation" / "d4-clean-d4-24" / "metrics.json")["single_view"]
    assert reached["network", "clean"]["confusion"] == single["confusion"]
    assert reached["metadata", "clean"]["accuracy"] == 0.2
    assert "the network, one view" in out


def test_robustness_agrees_with_the_study_and_compares_its_networks(study, tmp_path):
    workdir, _ = study
    settings = {
        "immunised": workdir / "visnet-d4",
        "networks": {"mirror": str(workdir / "visnet-mirror")},
        "data.root": workdir / "images",
        "count": 24,
        "attacks": ("jpeg75", "combination"),
    }
    out = run_job("robustness:tiny", tmp_path, settings)
    rows = {(row["network"], row["attack"]): row for row in read_json(tmp_path / "metrics.json")["rows"]}
    for attack in ("clean", "jpeg75"):
        theirs = read_json(workdir / "evaluation" / f"d4-{attack}-d4-24" / "metrics.json")
        ours = rows["immunised", attack]
        assert (ours["confusion"], ours["n"]) == (theirs["confusion"], 120)
        assert ours["single_view_accuracy"] == theirs["single_view"]["accuracy"]
    assert len(rows) == 2 * 3
    assert "no plain network to compare with; to train one: python -m ganfp_jax.main" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "50% of the images attacked by JPEG quality 50–95; turned and flipped: mirror" in page
    assert "logistic regression on log-DCT, immunised" in page


def test_generation_is_a_function_of_the_seed(study, tmp_path):
    workdir, _ = study
    for count in (5, 70):  # more than a batch
        settings = {"generator": workdir / "progan", "count": count, "seed": 7}
        run_job("generate", tmp_path / str(count), settings)
    few, many = (sorted((tmp_path / n / "images" / "ProGAN").iterdir()) for n in ("5", "70"))
    assert [path.name for path in few] == [f"ProGAN_{i:08d}.png" for i in range(5)]
    assert len(many) == 70
    for a, b in zip(few, many, strict=False):
        assert a.read_bytes() == b.read_bytes()


def test_a_bad_file_is_listed_and_stops_nothing(study, tmp_path):
    workdir, _ = study
    for source in SOURCES:
        (tmp_path / "data" / source).mkdir(parents=True)
        for file in sorted((workdir / "images" / "test" / source).iterdir())[:4]:
            (tmp_path / "data" / source / file.name).write_bytes(file.read_bytes())
    (tmp_path / "data" / "real" / "broken.png").write_bytes(b"not a picture")
    Image.new("RGB", (40, 24), (9, 90, 200)).save(tmp_path / "data" / "real" / "large.png")
    settings = {"checkpoint": workdir / "visnet-d4", "data.root": tmp_path / "data"}
    out = run_job("evaluate:tiny", tmp_path / "run", settings)
    assert (tmp_path / "run" / "rejected.csv").read_text() == "image,reason\nreal/broken.png,not an image\n"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["total"] == 21
    assert "real/large.png: all of 40x24 is flat" in out
    assert "class counts" in out  # the per-image table, since there are few
    assert f"no baselines: {tmp_path / 'data'} has no train/ of its own" in out
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "No baseline was run." in page
    assert "of each source" not in page  # 21 images do not spread evenly
    assert "1 files could not be used" in page


def test_quality_of_a_generator_of_the_study(study, tmp_path):
    workdir, _ = study
    out = run_job("quality:tiny", tmp_path, {"generator": workdir / "progan"})
    quality = read_json(tmp_path / "quality.json")
    manifest = read_json(workdir / "images" / "test" / "manifest.json")
    assert quality["generator"]["digest"] == manifest["sources"]["ProGAN"]["digest"]
    assert quality["generated"]["swd64_16"] > quality["real"]["swd64_16"] > 0
    assert "swd64_16  " in out


def inspect(checkpoint, images, workdir, **overrides):
    return run_job("inspect_fingerprints:tiny", workdir, {"checkpoint": checkpoint, "data.root": images} | overrides)


def test_fingerprints_of_the_classifier(study, tmp_path):
    workdir, _ = study
    out = inspect(workdir / "visnet-d4", workdir / "images", tmp_path)
    metrics = read_json(tmp_path / "metrics.json")
    single = read_json(workdir / "evaluation" / "d4-clean-d4-24" / "metrics.json")["single_view"]
    assert {k: metrics[k] for k in single if k != "view"} == {k: v for k, v in single.items() if k != "view"}
    assert set(metrics["separability"]) == {"fingerprints", "pixels", "log spectra"}
    fingerprints = metrics["separability"]["fingerprints"]
    assert (fingerprints["n"], fingerprints["dimension"]) == (120, 16)
    for block in (fingerprints, fingerprints["control"]):
        low, high = block["frechet_ratio"]["ci95"]
        assert 0 < low < block["frechet_ratio"]["value"] < high
        for measure in ("auc", "eer"):
            low, high = block["verification"][measure]["ci95"]
            assert 0 <= low <= block["verification"][measure]["value"] <= high <= 1
    assert np.diag(metrics["model_cosine"]) == pytest.approx(np.ones(5))
    rows = list(csv.DictReader((tmp_path / "interactions.csv").read_text().splitlines()))
    assert list(rows[0]) == ["image", "target", "predicted", *SOURCES]
    found = Attributor.load(workdir / "visnet-d4").fingerprints(images_of(workdir, rows[:3]))
    written = [[float(row[name]) for name in SOURCES] for row in rows[:3]]
    np.testing.assert_allclose(written, found.interactions, rtol=1e-3, atol=1e-4)
    pictures = {path.name for path in (tmp_path / "pictures").rglob("*.png")}
    assert {f"model_fingerprint_{name}.png" for name in SOURCES} <= pictures
    assert len(pictures) == 5 + 5 * 2 * 6  # models; two images a source, each with its fingerprint and five responses
    assert read_json(tmp_path / "pictures" / "scales.json")["response"] > 0
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        "responses", "confusion", "embedding", "spectra", "roc",
    }  # fmt: skip
    page = (tmp_path / "report" / "index.html").read_text()
    assert "real photographs as sources" in page
    assert "://" not in page
    assert "real images in halves" in out


def images_of(workdir, rows):
    return np.stack([np.asarray(Image.open(workdir / "images" / "test" / row["image"])) for row in rows])


def test_the_fingerprint_network_from_training_to_pictures(study, tmp_path):
    workdir, _ = study
    images, network = workdir / "images", tmp_path / "network"
    run_job("fingerprint:tiny", network, {"data.root": images})
    settings = {"checkpoint": network, "data.root": images, "views": "identity"}
    run_job("evaluate:tiny", tmp_path / "evaluation", settings)
    inspect(network, images, tmp_path / "inspection", response_limit=5.0, mask_negative=True)
    metrics, evaluated = (read_json(tmp_path / name / "metrics.json") for name in ("inspection", "evaluation"))
    assert metrics["confusion"] == evaluated["confusion"]
    assert metrics["separability"]["fingerprints"]["dimension"] == 16 * 16 * 3
    assert read_json(tmp_path / "inspection" / "pictures" / "scales.json")["response"] == 5
    # Zero is mid grey, and masked responses are nowhere darker.
    picture = next((tmp_path / "inspection" / "pictures" / "real").glob("*_responding_to_model_fingerprint_real.png"))
    assert np.asarray(Image.open(picture)).min() >= 127
    assert "Fingerprints" in (tmp_path / "inspection" / "report" / "index.html").read_text()


def test_the_python_api_takes_paths_pictures_and_arrays(study):
    workdir, _ = study
    attributor = Attributor.load(workdir / "visnet-d4")
    assert attributor.classes == tuple(SOURCES)
    paths = sorted((workdir / "images" / "test" / "SNGAN").iterdir())[:3]
    by_path = attributor.attribute(paths)
    pictures = [Image.open(path) for path in paths]
    assert attributor.attribute(pictures) == by_path
    assert attributor.attribute(np.stack([np.asarray(picture) for picture in pictures])) == by_path
    for verdict in by_path:
        assert verdict.predicted in SOURCES
        assert verdict.confidence == verdict.probabilities[verdict.predicted]
        assert sum(verdict.votes.values()) == 8


def test_a_stopped_study_goes_on(study, tmp_path):
    """A copy without its last stages makes the same results again from what is left."""
    workdir, out = study
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "evaluation")
    shutil.rmtree(copy / "images" / "test" / "SNGAN")
    manifest = json.loads((copy / "images" / "test" / "manifest.json").read_text())
    manifest["classes"].remove("SNGAN")
    del manifest["sources"]["SNGAN"]
    (copy / "images" / "test" / "manifest.json").write_text(json.dumps(manifest))
    shutil.move(workdir, tmp_path / "aside")
    shutil.move(copy, workdir)  # paths inside the folder are part of its configs
    try:
        again = run_job("quickstart:tiny", workdir)
    finally:
        shutil.rmtree(workdir)
        shutil.move(tmp_path / "aside", workdir)
    assert [line for line in again.splitlines() if "%" in line] == [line for line in out.splitlines() if "%" in line]
