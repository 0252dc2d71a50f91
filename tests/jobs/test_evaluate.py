"""The job `evaluate`: what stands in the run folder when something fails on the way."""

import csv
import json

import numpy as np
import opinions
import pytest
from small_weights import CLASSES, network

from configs import attribute as attribute_file
from configs import evaluate as config_file
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.calibration import calibrate
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.tiles import DEPENDENCE
from ganfp_jax.attribution.verdict import NOTHING, UNSURE
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.perturb import perturb
from ganfp_jax.interop.weights import CALIBRATION, FILE, write_file
from ganfp_jax.jobs import attribute as attribute_job
from ganfp_jax.jobs import evaluate as evaluation_job
from ganfp_jax.run.errors import UserError


def test_metrics_are_not_lost_with_the_page(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        encode_png(tmp_path / "images" / name / "x.png", rng.integers(0, 256, (16, 16, 3), np.uint8))
    write_file(tmp_path / "network.safetensors", network())
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network.safetensors"), "views": "identity"}
    config["data"]["root"] = str(tmp_path / "images")
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    written = {"predictions.csv", "rejected.csv", "notes.csv"}

    def full(*arguments, **settings):
        raise OSError("no space left")

    monkeypatch.setattr(evaluation_job, "write_page", full)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")  # of an earlier run, on other images perhaps
    with pytest.raises(OSError, match="no space left"):
        evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written | {"metrics.json"}
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (found["total"], found["baselines"], found["leak"]) == (3, [], None)
    monkeypatch.undo()
    evaluation_job.run(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == written | {"metrics.json", "report"}
    assert (tmp_path / "run" / "report" / "index.html").is_file()


def test_answers_are_those_of_attribute_and_of_python(tmp_path, capsys):
    """Calibrated: the same verdicts from the same call, and how many are decided."""
    write_file(tmp_path / "network" / FILE, opinions.weights())
    pictures, root = opinions.pictures(40), tmp_path / "images"
    for i, said in enumerate(Attributor.load(tmp_path / "network").attribute(pictures, "mirror")):
        source = said.predicted if said.margin > 0.3 else CLASSES[i % 3]
        (root / source).mkdir(parents=True, exist_ok=True)
        encode_png(root / source / f"{i:02d}.png", pictures[i])
    found = calibrate(Attributor.load(tmp_path / "network"), root, views="mirror", error_rate=0.3)
    (tmp_path / "network" / CALIBRATION).write_text(json.dumps(found.to_dict()))
    same = {"checkpoint": str(tmp_path / "network"), "views": "mirror"}
    config = config_file.get_config("tiny").to_dict() | same
    config["data"]["root"] = str(root)
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    evaluation_job.run(config, tmp_path / "evaluated")
    (tmp_path / "attributed").mkdir()
    attribute_job.run(
        attribute_file.get_config("tiny").to_dict() | same | {"images": str(root)}, tmp_path / "attributed"
    )
    ours, theirs = (
        list(csv.DictReader((tmp_path / run / "predictions.csv").read_text().splitlines()))
        for run in ("evaluated", "attributed")
    )
    ours = sorted(
        # What a file says of itself, `claims`, is asked by `attribute` alone.
        (row | {"image": str(root / row["image"]), "target": "", "claims": ""} for row in ours),
        key=lambda row: row["image"],
    )
    assert ours == theirs
    python = Attributor.load(tmp_path / "network").attribute([row["image"] for row in theirs], "mirror")
    assert [(v.verdict, f"{v.margin:.6f}", f"{v.distance:.6f}") for v in python] == [
        (row["verdict"], row["margin"], row["distance"]) for row in ours
    ]
    verdicts = json.loads((tmp_path / "evaluated" / "metrics.json").read_text())["verdicts"]
    undecided = sum(row["verdict"] in (UNSURE, NOTHING) for row in ours)
    assert 0 < undecided == verdicts["undecided"] == 40 - found.decided
    assert (verdicts["decided"], verdicts["wrong"], verdicts["ci95"]) == (found.decided, found.wrong, list(found.ci95))
    sentence = f"decides {found.decided} of 40 images, {found.wrong} of them wrongly"
    out = capsys.readouterr().out
    assert sentence in out and "; 95% interval " in out
    assert verdicts["calibrated_on_these"] and "These are the images that it was calibrated on" in out
    assert sentence in (tmp_path / "evaluated" / "report" / "index.html").read_text()
    # elsewhere they are still those images; perturbed, or with one more among them, they are not
    moved = root.rename(tmp_path / "moved")
    config["data"]["root"] = str(moved)

    def told():
        verdicts = json.loads((tmp_path / "again" / "metrics.json").read_text())["verdicts"]
        said = "that it was calibrated on" in capsys.readouterr().out
        assert said == verdicts.get("calibrated_on_these", False)
        return said

    evaluation_job.run(config, tmp_path / "again")
    assert told()
    evaluation_job.run(config | {"perturb": "noise5"}, tmp_path / "again")
    assert not told()
    encode_png(moved / CLASSES[0] / "more.png", pictures[0])
    evaluation_job.run(config, tmp_path / "again")
    assert not told()
    # a vote that stops early is not the one that was calibrated
    evaluation_job.run(config | {"early_stopping": True}, tmp_path / "early")
    assert "verdicts" not in json.loads((tmp_path / "early" / "metrics.json").read_text())


@pytest.mark.parametrize("fault", ["a source more", "unreadable"])
def test_training_images_of_no_use_cost_the_baselines_only(tmp_path, capsys, fault):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in (*CLASSES, "other")[: 4 if split == "train" and fault == "a source more" else 3]:
            (tmp_path / "images" / split / name).mkdir(parents=True)
            path = tmp_path / "images" / split / name / "x.png"
            encode_png(path, rng.integers(0, 256, (16, 16, 3), np.uint8))
            if split == "train" and fault == "unreadable":
                path.write_bytes(b"no picture")
    write_file(tmp_path / "visnet-v1.2.safetensors", network())
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "visnet-v1.2.safetensors"), "views": "identity"}
    config["data"]["root"] = str(tmp_path / "images")
    evaluation_job.run(config, tmp_path / "run")
    said = {"a source more": "source other is none of the classes", "unreadable": "could be read"}[fault]
    assert said in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("no baselines: "))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["total"], metrics["baselines"]) == (3, [])
    assert "visnet-v1.2 network" in (tmp_path / "run" / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"views": "identity,crop40"}, "crop40.*16x16"),
        ({"rule": "mean_logit", "early_stopping": True}, "early stopping needs the rule majority"),
    ],
)
def test_a_vote_that_does_not_fit_is_said_before_an_image_is_read(tmp_path, monkeypatch, settings, words):
    attributor = Attributor(models.create(**network().model), network().variables, CLASSES, 16)
    monkeypatch.setattr(labelled.Images, "decode", None)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        encode_png(tmp_path / name / "x.png", np.zeros((16, 16, 3), np.uint8))
    folder = labelled.open_labelled(tmp_path, classes=CLASSES)
    with pytest.raises(UserError, match=words):
        evaluate(attributor, labelled.Images(folder, 16), **{"views": "identity", "rule": "majority"} | settings)


def test_larger_pictures_count_once(tmp_path, capsys):
    """One row a picture; the perturbation is of the whole picture; a flat one counts, though nothing is seen in it."""
    attributor, rng = opinions.attributor_of(opinions.weights()), np.random.default_rng(0)
    write_file(tmp_path / "network" / FILE, opinions.weights())
    pictures = rng.integers(0, 256, (9, 40, 56, 3), np.uint8)
    pictures[4] = 90
    for i, picture in enumerate(pictures):
        (tmp_path / "images" / CLASSES[i % 3]).mkdir(parents=True, exist_ok=True)
        encode_png(tmp_path / "images" / CLASSES[i % 3] / f"{i}.png", picture)
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network"), "views": "mirror", "tiles": 5, "perturb": "noise20"}
    config["data"]["root"] = str(tmp_path / "images")
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    evaluation_job.run(config, tmp_path / "run")
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "Map of " in page and "at most 5 tiles, 5.0 in the mean" in page and "test pictures, whole" in page
    rows = list(csv.DictReader((tmp_path / "run" / "predictions.csv").read_text().splitlines()))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(rows) == metrics["total"] == 9 and list(rows[0])[-1] == "tiles"
    noisy = [
        perturb(pictures[i][None], "noise20", 0, np.array([number]))[0]
        for number, i in enumerate((0, 3, 6, 1, 4, 7, 2, 5, 8))
    ]  # by class, then by name
    verdicts = attributor.attribute(noisy, "mirror", tiles=5)
    assert [row["verdict"] for row in rows] == [v.verdict for v in verdicts]
    assert [int(row["tiles"]) for row in rows] == [v.tiles for v in verdicts] == [5] * 9
    config |= {"perturb": "none"}
    evaluation_job.run(config, tmp_path / "clean")
    metrics = json.loads((tmp_path / "clean" / "metrics.json").read_text())
    assert metrics["tiles"] == {"at_most": 5, "mean": 40 / 9, "nothing_to_see": 1, "dependence": DEPENDENCE}
    assert metrics["total"] == sum(map(sum, metrics["confusion"])) == 9
    flat = [
        row
        for row in csv.DictReader((tmp_path / "clean" / "predictions.csv").read_text().splitlines())
        if row["tiles"] == "0"
    ]
    assert [(row["verdict"], row["predicted"] in CLASSES) for row in flat] == [(NOTHING, True)]


def test_unknown_sources_are_measured_by_kind(tmp_path, capsys):
    """A kind of the known images themselves is at chance for every score; answers are those of `attribute`."""
    write_file(tmp_path / "network" / FILE, opinions.weights())
    pictures, known, unknown = opinions.pictures(30), tmp_path / "known", tmp_path / "unknown"
    for i, picture in enumerate(pictures):
        for folder in (known / CLASSES[i % 3], unknown / "the same"):
            folder.mkdir(parents=True, exist_ok=True)
            encode_png(folder / f"{i:02d}.png", picture)
    for i, picture in enumerate(opinions.pictures(8, seed=3)):
        (unknown / "=other" / f"seed {i % 2}").mkdir(parents=True, exist_ok=True)
        encode_png(unknown / "=other" / f"seed {i % 2}" / f"{i}.png", picture)
    (unknown / "=other" / "broken.png").write_bytes(b"no picture")
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network"), "views": "mirror", "unknown": str(unknown)}
    config["data"]["root"] = str(known)
    config["baselines"] |= {"methods": (), "immunised_methods": ()}
    evaluation_job.run(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())["unknown"]
    assert (found["images"], found["rejected"], found["known"]["images"]) == (38, 1, 30)
    same, other = found["kinds"]["the same"], found["kinds"]["=other"]
    assert (same["images"], same["generators"]) == (30, None)
    assert (other["images"], other["generators"]) == (8, 2)
    assert {name: numbers["auroc"]["value"] for name, numbers in same["scores"].items()} == dict.fromkeys(
        ("margin", "distance", "strangeness"), 0.5
    )
    assert same["called"] == found["known"]["called"] and sum(other["called"].values()) == 8
    rows = list(csv.DictReader((tmp_path / "run" / "unknown" / "predictions.csv").read_text().splitlines()))
    assert [row["target"] for row in rows] == ["'=other"] * 8 + ["the same"] * 30
    verdicts = Attributor.load(tmp_path / "network").attribute(
        [unknown / row["image"].lstrip("'") for row in rows], "mirror"
    )
    assert [row["verdict"] for row in rows] == [verdict.verdict for verdict in verdicts]
    assert "=other/broken.png" in (tmp_path / "run" / "unknown" / "rejected.csv").read_text()
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert (
        "38 images of sources that the network does not know" in page
        and "Few generators: there are 2 of =other" in page
    )
    out = capsys.readouterr().out
    assert "Known or unknown, by score" in out and "What they were called" in out


def test_the_answers_stay_where_no_image_of_an_unknown_source_can_be_used(tmp_path):
    write_file(tmp_path / "network" / FILE, opinions.weights())
    for i, picture in enumerate(opinions.pictures(6)):
        (tmp_path / "known" / CLASSES[i % 3]).mkdir(parents=True, exist_ok=True)
        encode_png(tmp_path / "known" / CLASSES[i % 3] / f"{i}.png", picture)
    run, old = tmp_path / "run", tmp_path / "run" / "unknown" / "predictions.csv"
    old.parent.mkdir(parents=True)
    old.write_text("of an earlier evaluation")
    (tmp_path / "unknown").mkdir()
    encode_png(tmp_path / "unknown" / "small.png", np.full((4, 4, 3), 9, np.uint8))
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network"), "views": "mirror", "unknown": str(tmp_path / "unknown")}
    config["data"] |= {"root": str(tmp_path / "known")}
    with pytest.raises(UserError):
        evaluation_job.run(config, run)
    assert len((run / "predictions.csv").read_text().splitlines()) == 7
    assert (run / "metrics.json").exists() and not old.exists()


def test_unknown_sources_that_are_not_there_are_said_first(tmp_path, monkeypatch):
    write_file(tmp_path / "network.safetensors", network())
    for name in CLASSES:
        (tmp_path / "known" / name).mkdir(parents=True)
        encode_png(tmp_path / "known" / name / "x.png", np.zeros((16, 16, 3), np.uint8))
    monkeypatch.setattr(evaluation_job, "evaluate", None)
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(tmp_path / "network.safetensors"), "unknown": str(tmp_path / "nowhere")}
    config["data"]["root"] = str(tmp_path / "known")
    with pytest.raises(UserError, match="nowhere is not a folder"):
        evaluation_job.run(config, tmp_path / "run")
