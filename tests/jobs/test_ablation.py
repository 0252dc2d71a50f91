"""The ablation: its table by hand and beside `evaluate` on the same images, its errors, its figure."""

import csv
import io
import json

import jax
import numpy as np
import pytest
from golden_files import initialize
from PIL import Image

from configs import ablation as config_file
from configs import attribution
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.view_logits import ViewLogits, ablate
from ganfp_jax.attribution.voting import count_votes
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.jobs import ablation
from ganfp_jax.metrics.statistics import holm, mcnemar_p
from ganfp_jax.report.ablation_figure import draw_ablation
from ganfp_jax.report.table import csv_text, doubt_table, votes_table
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.checkpoint import Checkpoints

CLASSES = ("ProGAN", "SNGAN", "real")
COLUMNS = "views,rule,num_views,accuracy,ci95_low,ci95_high,wrong_to_right,right_to_wrong,mcnemar_p,images_per_second"


@pytest.fixture(scope="module")
def images_root(tmp_path_factory):
    """24 noisy 16x16 test images of each of three sources, and a file that is no image."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    for source in CLASSES:
        (root / "test" / source).mkdir(parents=True)
        for i in range(24):
            encode_png(root / "test" / source / f"{source}_{i:08d}.png", rng.randint(0, 256, (16, 16, 3), np.uint8))
    (root / "test" / "real" / "broken.png").write_bytes(b"not a picture")
    return root


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, images_root):
    """An untrained network, its biases moved so that views of noise disagree about all three sources."""
    workdir = tmp_path_factory.mktemp("runs") / "visnet"
    config = attribution.get_config("tiny").to_dict()
    network = models.create(**config["model"], resolution=16, num_classes=3)
    params = initialize(network, jax.random.key(0))["params"]
    folder = labelled.open_labelled(images_root, split="test")
    images = labelled.Images(folder, 16).decode().images
    logits = Attributor(network, {"params": params}, CLASSES, 16).vote(images, "identity").view_logits[0]
    # The biases of the logits are the only array of three.
    params = jax.tree.map(lambda leaf: leaf - logits.mean(0) if leaf.shape == (3,) else leaf, params)
    workdir.mkdir()
    write_json(workdir / "config.json", config)
    checkpoints = Checkpoints(workdir, keep=1)
    checkpoints.save(0, {"network": {"params": params, "stats": {}}}, {"classes": list(CLASSES), "resolution": 16})
    checkpoints.close()
    return workdir


@pytest.fixture(scope="module")
def attributor(run_folder):
    return Attributor.load(run_folder)


@pytest.fixture(scope="module")
def config(run_folder, images_root):
    config = config_file.get_config("tiny").to_dict()
    config |= {"checkpoint": str(run_folder), "view_sets": ("identity", "mirror", "d4", "vertical_flip,crop-4_ul")}
    return config | {"data": config["data"] | {"root": str(images_root)}, "perturb": ("none", "blur0.7")}


@pytest.fixture(scope="module")
def job(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("ablation")
    ablation.run(config, workdir)
    return workdir


def rows_of(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {(row["views"], row["rule"]): row for row in rows}


# --- the job


def test_the_table_has_the_columns_and_a_row_for_every_set_and_rule(job, config):
    for file in ("ablation.csv", "ablation-blur0.7.csv"):
        text = (job / file).read_text()
        assert text.splitlines()[0] == COLUMNS
        rows = rows_of(job / file)
        assert list(rows) == [(views, rule) for views in config["view_sets"] for rule in config["rules"]]
        assert [row["num_views"] for row in rows.values()] == ["1"] * 3 + ["2"] * 3 + ["8"] * 3 + ["2"] * 3
        for row in rows.values():
            low, accuracy, high = (float(row[key]) for key in ("ci95_low", "accuracy", "ci95_high"))
            assert 0 <= low < accuracy < high <= 1
            assert float(row["images_per_second"]) > 0
            assert float(row["mcnemar_p"]) == mcnemar_p(int(row["wrong_to_right"]), int(row["right_to_wrong"]))
    assert (job / "rejected.csv").read_text() == "image,reason\nreal/broken.png,not an image\n"


@pytest.mark.parametrize(("perturbation", "file"), [("none", "ablation.csv"), ("blur0.7", "ablation-blur0.7.csv")])
def test_rows_are_what_evaluate_measures_on_the_same_images(job, attributor, images_root, perturbation, file):
    folder = labelled.open_labelled(images_root, split="test", classes=attributor.classes)
    images = labelled.Images(folder, 16, perturbation=perturbation)
    metrics = evaluate(attributor, images, views="d4", rule="majority").metrics
    rows = rows_of(job / file)
    for row, block in (
        (rows["d4", "majority"], metrics),
        (rows["identity", "majority"], metrics["single_view"]),
    ):
        assert float(row["accuracy"]) == block["accuracy"]
        assert [float(row["ci95_low"]), float(row["ci95_high"])] == block["ci95"]
    changes = {key: json.loads(rows["d4", "majority"][key]) for key in metrics["vote_changes"]}
    assert changes == metrics["vote_changes"]
    if perturbation == "none":  # on blurred images this tiny network's views may all agree
        assert changes["wrong_to_right"] + changes["right_to_wrong"], "this network's votes change nothing"
    assert len({rows["identity", rule]["accuracy"] for rule in ("majority", "mean_logit", "mean_probability")}) == 1

    early = evaluate(attributor, images, views="d4", rule="majority", early_stopping=True).metrics
    saved = early.pop("views_saved")
    assert 0 < saved <= 3 / 8
    for block in (early, metrics):
        block.pop("images_per_second")
    assert early == metrics


def test_the_json_holds_everything(job, config):
    results = json.loads((job / "ablation.json").read_text())
    assert results["classes"] == list(CLASSES)
    assert [condition["condition"] for condition in results["conditions"]] == ["clean", "blur0.7"]
    for condition in results["conditions"]:
        rows = condition["rows"]
        assert condition["single_view"]["total"] == 72
        speed = 72 / sum(condition["seconds"][view] for view in rows[6]["view_names"])
        assert rows[6]["images_per_second"] == pytest.approx(speed)
        tested = [row for row in rows if row["views"] != "identity"]
        assert [row["holm_p"] for row in tested] == holm([row["mcnemar_p"] for row in tested])
        assert all(row["holm_p"] is None for row in rows[:3])
        told = [(entry["views"], entry["errors_of"]) for entry in condition["doubt"]]
        several = [views for views in config["view_sets"] if views != "identity"]
        assert told == [(views, who) for views in several for who in ("single_view", *config["rules"])]
        for entry in condition["doubt"]:
            low, high = entry["control"]["ci95"]
            assert 0 <= low < entry["control"]["auroc"] < high <= 1
            expected = entry["disagreement"]["auroc"] - entry["control"]["auroc"]
            assert entry["difference"]["auroc"] == pytest.approx(expected)


def test_the_logits_are_kept(job, attributor, images_root):
    kept = np.load(job / "logits-clean.npz")
    assert kept["logits"].shape == (len(kept["views"]), 72, 3)
    folder = labelled.open_labelled(images_root, split="test", classes=CLASSES)
    evaluation = evaluate(attributor, labelled.Images(folder, 16), views="vertical_flip,crop-4_ul", rule="majority")
    assert kept["images"].tolist() == list(evaluation.names)
    np.testing.assert_array_equal(kept["targets"], evaluation.targets)
    assert len(kept["origins"]) == 72
    own = [kept["views"].tolist().index(view) for view in ("vertical_flip", "crop-4_ul")]
    np.testing.assert_allclose(kept["logits"][own], evaluation.vote.view_logits, atol=1e-5)
    clean, blurred = kept["logits"], np.load(job / "logits-blur0.7.npz")["logits"]
    assert np.abs(clean - blurred).max() > 0.01


def test_the_figure_is_a_png_and_shows_every_row(job, config):
    with Image.open(job / "ablation.png") as picture:
        assert picture.format == "PNG"
    figure = draw_ablation(json.loads((job / "ablation.json").read_text()))
    assert len(figure.axes) == 2
    for panel in figure.axes:
        assert len(panel.containers) == len(config["rules"])
        assert all(len(container.lines[0].get_xdata()) == len(config["view_sets"]) for container in panel.containers)
    shown = [label.get_text().replace("\n", "") for label in figure.axes[-1].get_xticklabels()]
    assert shown == ["identity", "mirror", "vertical_flip,crop-4_ul", "d4"]  # by their number of views


# --- the table by hand


def measured(logits, targets, seconds=1.0):
    views = ("identity", "mirror", "rot90")[: len(logits)]
    return ViewLogits(
        names=[f"real/{i}.png" for i in range(len(targets))],
        targets=np.array(targets, np.int32),
        origins=[f"real/{i}.png" for i in range(len(targets))],
        logits=dict(zip(views, np.asarray(logits, np.float32), strict=True)),
        seconds={view: seconds * (i + 1) for i, view in enumerate(views)},
        notes={},
        rejected=[],
    )


def test_rows_and_doubts_by_hand():
    identity = [[2, 0], [0, 2], [1, 0], [0, 1]]
    mirror = [[2, 0], [0, 2], [0, 3], [0, 1]]
    rot90 = [[2, 0], [0, 2], [0, 1], [1, 0]]
    rows, doubts = ablate(
        measured([identity, mirror, rot90], [0, 1, 1, 1], seconds=0.5),
        {"identity": ("identity",), "all": ("identity", "mirror", "rot90"), "mirror alone": ("mirror",)},
        ("majority", "mean_logit"),
        repeats=20,
    )
    assert [row["correct"] for row in rows] == [3, 3, 4, 4, 4, 4]
    assert [row["wrong_to_right"] for row in rows] == [0, 0, 1, 1, 1, 1]
    assert [row["images_per_second"] for row in rows] == pytest.approx([8, 8, 4 / 3, 4 / 3, 4, 4])
    assert [row["holm_p"] for row in rows] == [None, None, 1, 1, 1, 1]  # a single view that is not identity is tested
    assert [entry["errors_of"] for entry in doubts] == ["single_view", "majority", "mean_logit"]
    # Images 2 and 3 split the views, image 2 is what one view has wrong; it shares its doubt with 3.
    assert doubts[0]["disagreement"]["auroc"] == pytest.approx(2.5 / 3)
    assert doubts[0]["control"]["auroc"] == pytest.approx(2.5 / 3)
    assert doubts[0]["difference"]["auroc"] == pytest.approx(0)
    assert doubts[1]["errors"] == 0
    assert doubts[1]["disagreement"] == {"auroc": None, "ci95": None}
    assert "–" in doubt_table(doubts, "majority")
    assert "Holm" in votes_table(rows)


def test_counting_is_the_vote_s():
    rng = np.random.default_rng(0)
    logits = rng.choice([-1.0, 0.0, 2.0], (3, 50, 3)).astype(np.float32)
    targets = rng.integers(0, 3, 50)
    names = ("identity", "mirror", "rot90")
    for rule in ("majority", "mean_logit", "mean_probability"):
        (row,), _ = ablate(measured(logits, targets), {"all": names}, (rule,), repeats=1)
        assert row["correct"] == int((count_votes(logits, rule).predicted == targets).sum())


def test_the_csv_quotes_a_list_of_views():
    row = dict.fromkeys(ablation.COLUMNS, 0) | {"views": "identity,rot15", "holm_p": 1.0}
    text = csv_text(ablation.COLUMNS, [row])
    assert text.splitlines()[0] == COLUMNS
    assert next(csv.DictReader(io.StringIO(text)))["views"] == "identity,rot15"


# --- what is wrong with a config is said before any work


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": ""}, "config.checkpoint is empty"),
        ({"view_sets": ()}, "config.view_sets needs a list of one or more"),
        ({"rules": "majority"}, "config.rules needs a list"),
        ({"view_sets": ("d4", "d5")}, "unknown view 'd5'"),
        ({"view_sets": ("d4", "d4")}, "config.view_sets names 'd4' twice"),
        ({"view_sets": ("mirror", "mirror,identity")}, "'mirror,identity' and 'mirror', which are the same views"),
        ({"rules": ("best",)}, "unknown vote rule 'best'"),
        ({"perturb": ("jpeg",)}, "unknown perturbation 'jpeg'"),
        ({"bootstrap": 0}, "config.bootstrap is 0"),
        ({"view_sets": ("identity", "crop16")}, "'crop16' of 16x16 images would be 16x16"),
    ],
)
def test_ablation_says_what_is_wrong(config, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        ablation.run(config | change, tmp_path)
    assert not list(tmp_path.iterdir())


def test_early_stopping_is_for_the_majority(attributor):
    images = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(UserError, match="early stopping needs the rule majority, not mean_logit"):
        attributor.vote(images, "d4", "mean_logit", early_stopping=True)
    with pytest.raises(UserError, match="give numbers from 1 that add up to 8"):
        attributor.vote(images, "d4", early_stopping=(4, 3))


def test_default_view_sets_are_twelve():
    assert len(config_file.get_config().view_sets) >= 12
