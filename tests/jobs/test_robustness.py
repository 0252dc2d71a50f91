"""The job `robustness`: its table beside `evaluate` and by hand, going on after a stop, its page, its errors."""

import copy
import csv
import dataclasses
import json
import math
import shutil
from functools import partial

import jax
import numpy as np
import pytest
import small_weights
from html_page import Page
from PIL import Image

from configs import robustness as config_file
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.comparison import Answers, compare, training_command
from ganfp_jax.attribution.evaluation import Evaluation, evaluate, evaluation_metrics
from ganfp_jax.attribution.predictions import write_outputs
from ganfp_jax.attribution.voting import Vote, count_votes
from ganfp_jax.data import labelled, reports
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.perturb import check_perturbation, family_of, perturb
from ganfp_jax.interop.weights import write_file
from ganfp_jax.jobs import robustness
from ganfp_jax.metrics.statistics import holm, mcnemar_p
from ganfp_jax.report import pages
from ganfp_jax.report.robustness_figure import draw_robustness, panels
from ganfp_jax.report.table import robustness_table
from ganfp_jax.run.errors import UserError

render = partial(pages.render, "robustness")

CLASSES = small_weights.CLASSES
ATTACKS = ("noise20", "noise60", "jpeg30", "blur2", "jpeg10-75", "combination")
NETWORKS = ["plain", "immunised", "file"]


@pytest.fixture(scope="module")
def images_root(tmp_path_factory):
    """12 training and 10 test images of each of three sources, and a file that is no image."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    for split, count in (("train", 12), ("test", 10)):
        for source in CLASSES:
            (root / split / source).mkdir(parents=True)
            for i in range(count):
                image = rng.randint(0, 256, (4, 4, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
                encode_png(root / split / source / f"{source}_{i:08d}.png", image)
    (root / "test" / "real" / "broken.png").write_bytes(b"not a picture")
    return root


@pytest.fixture(scope="module")
def networks(tmp_path_factory, images_root):
    """Untrained networks: run folders of a plain and an immunised training, and a file, which says nothing of its own.

    The biases of the immunised one are moved so that it names all three sources.
    """
    root = tmp_path_factory.mktemp("networks")
    images = labelled.Images(labelled.open_labelled(images_root, split="test"), 16).decode().images
    plain, drawn, third = (small_weights.network(seed=seed) for seed in range(3))
    attributor = Attributor(models.create(**drawn.model), drawn.variables, CLASSES, 16)
    logits = attributor.vote(images, "identity").view_logits[0]
    # The biases of the logits are the only array of three.
    moved = jax.tree.map(lambda leaf: leaf - logits.mean(0) if leaf.shape == (3,) else leaf, drawn.variables)
    immune = dataclasses.replace(drawn, variables=moved)
    for name, weights, share, perturbations in (("plain", plain, 0.0, []), ("immune", immune, 0.5, ["jpeg10-75"])):
        section = {"immunise": {"share": share, "perturbations": perturbations}}
        config = small_weights.attribution.get_config("tiny").to_dict() | section
        small_weights.run_folder(root / name, config, {8: weights})
    write_file(root / "third.safetensors", third)
    return root


@pytest.fixture(scope="module")
def config(networks, images_root):
    config = config_file.get_config("tiny").to_dict()
    return config | {
        "plain": str(networks / "plain"),
        "immunised": str(networks / "immune"),
        "networks": {"file": str(networks / "third.safetensors")},
        "data": {"root": str(images_root), "resize": "crop", "layout": "auto"},
        "attacks": ATTACKS,
        "count": 9,
        "views": "mirror",
    }


@pytest.fixture(scope="module")
def job(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("robustness")
    robustness.run(config, workdir)
    return workdir


def read(job):
    return json.loads((job / "metrics.json").read_text())


# --- the table


def test_the_table_has_a_row_for_every_network_and_attack(job):
    lines = (job / "robustness.csv").read_text().splitlines()
    assert lines[0] == (
        "network,attack,accuracy,ci95_low,ci95_high,single_view_accuracy,n,wrong_to_right,right_to_wrong,mcnemar_p,psnr,"
        "images_per_second"
    )
    rows = list(csv.DictReader(lines))
    assert [(row["network"], row["attack"]) for row in rows] == [
        (network, attack) for network in NETWORKS for attack in ("clean", *ATTACKS)
    ]
    for row in rows:
        low, accuracy, high = (float(row[key]) for key in ("ci95_low", "accuracy", "ci95_high"))
        assert 0 <= low <= accuracy <= high <= 1
        assert int(row["n"]) in (26, 27)  # the one that cannot be read may be among the nine of its source
        assert float(row["images_per_second"]) > 0
        assert (row["psnr"] == "") == (row["attack"] == "clean")
        assert float(row["mcnemar_p"]) == mcnemar_p(int(row["wrong_to_right"]), int(row["right_to_wrong"]))


def test_answers_are_read_with_the_names_that_were_written(tmp_path):
    names = ["-x.png", "@2x/icon.png", "'quoted'.png", "plain.png"]
    rng = np.random.default_rng(0)
    vote = Vote(*map(np.asarray, count_votes(rng.standard_normal((1, 4, 3)).astype(np.float32), "majority")))
    metrics = evaluation_metrics(vote, np.arange(4) % 3, CLASSES, ("identity",), "majority", 1.0)
    given = Evaluation(names, np.arange(4) % 3, vote, metrics, {"-x.png": "cropped"}, [("=a.png", "broken")])
    folder = tmp_path / "networks" / "one" / "clean"
    write_outputs(folder, given)
    assert Answers.read(folder).names == names
    assert reports.read_pairs(folder / "rejected.csv") == [("=a.png", "broken")]
    assert reports.read_pairs(folder / "notes.csv") == [("-x.png", "cropped")]


def test_rows_are_what_evaluate_measures_on_the_same_images(job, config):
    attributor = Attributor.load(config["immunised"])
    folder = labelled.open_labelled(config["data"]["root"], split="test", classes=attributor.classes)
    kept = Answers.read(job / "networks" / "immunised" / "noise60")
    images = labelled.Images(folder, attributor.resolution).part(folder.places(kept.names))
    answers = {
        attack: evaluate(attributor, images.under(attack), views="mirror", rule="majority")
        for attack in ("none", "noise60")
    }
    row = next(r for r in read(job)["rows"] if (r["network"], r["attack"]) == ("immunised", "noise60"))
    metrics = answers["noise60"].metrics
    assert (row["accuracy"], [row["ci95_low"], row["ci95_high"]]) == (metrics["accuracy"], metrics["ci95"])
    assert row["single_view_accuracy"] == metrics["single_view"]["accuracy"]
    assert row["confusion"] == metrics["confusion"]
    clean, attacked = (answer.vote.predicted == answer.targets for answer in answers.values())
    assert row["wrong_to_right"] == (attacked & ~clean).sum()
    assert row["right_to_wrong"] == (clean & ~attacked).sum()
    assert (answers["none"].vote.predicted != answers["noise60"].vote.predicted).any()


def test_strength_is_the_error_of_the_attacked_images(job, config):
    folder = labelled.open_labelled(config["data"]["root"], split="test", classes=CLASSES)
    names = Answers.read(job / "networks" / "plain" / "clean").names
    decoded = labelled.Images(folder, 16).part([folder.names.index(name) for name in names]).decode()
    strengths = {entry["attack"]: entry["psnr"] for entry in read(job)["attacks"]}
    for attack in ATTACKS:
        attacked = perturb(decoded.images, attack, 0, decoded.kept).astype(float)
        assert strengths[attack] == pytest.approx(10 * math.log10(255**2 / ((attacked - decoded.images) ** 2).mean()))
    assert strengths["noise60"] < strengths["noise20"] < strengths["jpeg30"] + 20
    assert strengths["clean"] is None


def test_the_json_compares_with_the_plain_network_and_corrects_the_tests(job):
    results = read(job)
    assert [entry["training"]["immunise"]["share"] for entry in results["networks"][:2]] == [0, 0.5]
    assert results["networks"][2]["training"] is None
    assert [entry["family"] for entry in results["attacks"]] == [family_of(a) for a in ("none", *ATTACKS)]
    for name in NETWORKS:
        own = [row for row in results["rows"] if row["network"] == name]
        assert own[0]["holm_p"] is None
        assert [row["holm_p"] for row in own[1:]] == holm([row["mcnemar_p"] for row in own[1:]])
        tests = [row["against_plain"] for row in own]
        if name == "plain":
            assert tests == [None] * len(own)
        else:
            assert [test["holm_p"] for test in tests] == holm([test["mcnemar_p"] for test in tests])
            plain = [row["correct"] for row in results["rows"] if row["network"] == "plain"]
            for row, test, right in zip(own, tests, plain, strict=True):
                assert row["correct"] - right == test["wrong_to_right"] - test["right_to_wrong"]


def test_baselines_meet_the_same_attacks(job):
    results = read(job)
    assert [(entry["name"], entry["condition"]) for entry in results["baselines"]] == [
        (name, attack)
        for attack_of in ("logistic_log_dct", "logistic_log_dct_immunised")
        for name, attack in ((attack_of, condition) for condition in ("clean", *ATTACKS))
    ]
    assert {entry["metrics"]["total"] for entry in results["baselines"]} == {results["total"]}
    clean, _, hard = (entry["metrics"]["confusion"] for entry in results["baselines"][:3])
    assert clean != hard


def test_compare_by_hand():
    def answers(predicted):
        right = np.array(predicted) == [0, 0, 1, 1]
        metrics = {"accuracy": right.mean(), "ci95": [0, 1], "single_view": {"accuracy": 0.5}, "total": 4}
        metrics |= {"images_per_second": 1, "correct": int(right.sum()), "per_class": {}, "confusion": []}
        return Answers(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), np.array(predicted), metrics)

    rows = compare(
        {
            "plain": {"none": answers([0, 0, 1, 0]), "jpeg9": answers([1, 0, 0, 1])},
            "other": {"none": answers([0, 0, 1, 1]), "jpeg9": answers([0, 0, 1, 0])},
        },
        {"none": None, "jpeg9": 30.0},
    )
    assert [(row["wrong_to_right"], row["right_to_wrong"]) for row in rows] == [(0, 0), (1, 2), (0, 0), (0, 1)]
    assert [row["psnr"] for row in rows] == [None, 30.0, None, 30.0]
    assert rows[0]["against_plain"] is rows[1]["against_plain"] is None
    found = [(row["against_plain"]["wrong_to_right"], row["against_plain"]["right_to_wrong"]) for row in rows[2:]]
    assert found == [(1, 0), (2, 1)]


# --- files


def test_every_evaluation_is_kept(job):
    for name in NETWORKS:
        for attack in ("clean", *ATTACKS):
            assert {path.name for path in (job / "networks" / name / attack).iterdir()} == {
                "predictions.csv", "metrics.json", "rejected.csv", "notes.csv",
            }  # fmt: skip
    with Image.open(job / "robustness.png") as picture:
        assert picture.format == "PNG"


def test_a_stopped_job_goes_on_with_what_is_not_done(job, config, tmp_path):
    workdir = tmp_path / "again"
    shutil.copytree(job, workdir)
    for gone in ("networks/file/combination", "networks/immunised/jpeg30", "report"):
        shutil.rmtree(workdir / gone)
    assert set(json.loads((job / "networks.json").read_text())) == set(NETWORKS)
    for gone in ("baselines.json", "metrics.json", "robustness.csv"):
        (workdir / gone).unlink()
    before = {path: path.stat().st_mtime_ns for path in (workdir / "networks").rglob("*.*")}
    robustness.run(config, workdir)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(list((workdir / "networks").rglob("metrics.json"))) == 3 * 7
    again, whole = read(workdir), read(job)
    for row in [*again["rows"], *whole["rows"]]:
        del row["images_per_second"]
    assert again == whole


@pytest.mark.parametrize("missing", [["networks/file/jpeg30"], []])
def test_images_that_changed_meanwhile_are_noticed(job, config, tmp_path, missing):
    shutil.copytree(job, tmp_path / "run")
    for gone in missing:
        shutil.rmtree(tmp_path / "run" / gone)
    root = tmp_path / "images"
    shutil.copytree(config["data"]["root"], root)
    first = Answers.read(job / "networks" / "plain" / "clean").names[0]
    (root / "test" / first).unlink()
    with pytest.raises(UserError, match=r"have changed since .* was begun; choose another --workdir"):
        robustness.run(config | {"data": config["data"] | {"root": str(root)}}, tmp_path / "run")


def test_a_network_that_changed_meanwhile_is_noticed(job, config, tmp_path):
    shutil.copytree(job, tmp_path / "run")
    write_file(tmp_path / "third.safetensors", small_weights.network(seed=5))
    changed = config | {"networks": {"file": str(tmp_path / "third.safetensors")}}
    with pytest.raises(UserError, match=r"the network file of .*third.safetensors has changed since .* was begun"):
        robustness.run(changed, tmp_path / "run")


# --- the figure and the page


def test_the_figure_shows_every_row(job):
    results = read(job)
    assert panels(results) == {
        "noise, σ of 255": [("clean", "clean"), ("noise20", "20"), ("noise60", "60")],
        "JPEG, quality": [("clean", "clean"), ("jpeg30", "30")],
        "blur, σ in pixels": [("clean", "clean"), ("blur2", "2")],
        "drawn for each image": [
            ("clean", "clean"), ("jpeg10-75", "JPEG\nquality 10–75"), ("combination", "combination"),
        ],
    }  # fmt: skip
    figure = draw_robustness(results)
    for axes, attacks in zip(figure.axes, panels(results).values(), strict=True):
        assert len(axes.containers) == 5  # three networks and two baselines
        for container, name in zip(axes.containers, NETWORKS, strict=False):
            points = dict(zip((a for a, _ in attacks), container.lines[0].get_ydata(), strict=True))
            expected = {r["attack"]: 100 * r["accuracy"] for r in results["rows"] if r["network"] == name}
            assert points == pytest.approx({attack: expected[attack] for attack in points})
    more = copy.deepcopy(results)
    more["attacks"].append({"attack": "jpeg90", "family": "jpeg", "psnr": 40.0})
    assert [words for _, words in panels(more)["JPEG, quality"]] == ["clean", "90", "30"]  # from mild to severe


def test_the_page_has_everything(job, config):
    text = (job / "report" / "index.html").read_text()
    page = Page(text)
    assert not page.open
    sections = [attrs["id"] for attrs in page.all("section")]
    assert sections == ["method", "figure", "attacks", "pictures", "confusion", "reproduce"]
    assert [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("#")][-6:] == [
        f"#{s}" for s in sections
    ]
    results = read(job)
    headline = next(r for r in results["rows"] if (r["network"], r["attack"]) == ("immunised", "combination"))
    for words in (
        f"{headline['accuracy']:.1%}",
        "right under the combination",
        "plain network, same attack",
        "best baseline, same attack",
        f"Measured on {results['total']} test images of 3 sources",
        "50% of the images attacked by JPEG quality 10–75; turned and flipped: d4",
        "not known: these weights do not say",
        "noise σ 60 · PSNR",
        "Against the plain network, file is",
        "logistic regression on log-DCT, immunised by the combination",
        "--config=configs/robustness.py",
        '"views": "mirror"',
    ):
        assert words in page.text, words
    assert "<script" not in text and "://" not in text and "<svg" in text
    pictures = page.all("img")
    assert len(pictures) == 7 and all(picture["src"].startswith("data:image/png") for picture in pictures)
    assert len({picture["src"] for picture in pictures}) == 7
    assert [picture["alt"] for picture in pictures][:2] == [
        "One image of each source under clean", "One image of each source under noise σ 20",
    ]  # fmt: skip


def results_for_page(job, config, **changes):
    page = read(job) | {"title": "t", "command": "c", "created": "now", "devices": "cpu", "versions": {}, "config": {}}
    page |= {"sentences": [], "plain_command": ""}
    page["pictures"] = {entry["attack"]: np.zeros((4, 4, 3), np.uint8) for entry in page["attacks"]}
    return page | changes


def test_the_findings_follow_the_numbers(job, config):
    page = results_for_page(job, config)
    for row in page["rows"]:
        row |= {"accuracy": 0.9, "ci95_low": 0.85, "ci95_high": 0.95}
        row |= {"holm_p": 0.01, "right_to_wrong": 9, "wrong_to_right": 1} if row["attack"] == "noise60" else {}
        if row["against_plain"]:
            row["against_plain"] |= {"holm_p": 0.2 if row["attack"] == "noise60" else 0.001}
            row["against_plain"] |= {"wrong_to_right": 8, "right_to_wrong": 1}
    for entry in page["baselines"]:
        entry["metrics"] |= {"accuracy": 0.5, "ci95": [0.4, 0.6]}
    text = Page(render(page)).text
    assert "Under the combination the best baseline, logistic regression on log-DCT, reaches 50.0% on the same" in text
    assert "40.0 points less than the network" in text
    assert "The plain network is worse than on clean images under 1 of 6 attacks (Holm p < 0.05)" in text
    assert "Against the plain network, immunised is better under 5 and worse under 0 of 6 attacks" in text
    assert "no better than" not in text
    for entry in page["baselines"]:
        entry["metrics"] |= {"accuracy": 0.99, "ci95": [0.97, 1.0]}
    page["rows"][-1] |= {"accuracy": 0.3, "ci95_low": 0.2, "ci95_high": 0.4}
    alone = page | {
        "networks": page["networks"][2:],
        "rows": [row | {"against_plain": None} for row in page["rows"] if row["network"] == "file"],
        "plain_command": "python -m train",
    }
    text = Page(render(alone)).text
    assert "Under the combination the file network is, within its interval, no better than" in text
    assert "a cheap baseline, logistic regression on log-DCT, is better on the same images (99.0%)" in text
    assert "No plain network was measured" in text
    assert "python -m train" in text
    assert "Better than plain" not in text
    text = Page(render(alone | {"baselines": []})).text
    assert "No baseline was run" in text


def test_what_immunised_means_stands_beside_the_word(job, config):
    page = results_for_page(job, config)
    text = Page(render(page)).text
    assert "immunised network (trained with: 50% of the images attacked by JPEG quality 10–75;" in text
    treatments = "network was immunised by JPEG quality 10–75, the immunised baselines by the combination: what differs"
    assert treatments in text
    text = Page(render(page | {"immunised": "by JPEG quality 10–75"})).text
    assert "log-DCT, immunised by JPEG quality 10–75" in text
    assert "what differs between them may be the treatment" not in text
    assert "log-DCT, immunised by the combination" in robustness_table(read(job))


def test_a_page_of_strengths_alone_does_not_speak_of_ranges(job, config):
    page = results_for_page(job, config)
    assert "whose strength is drawn for each image" in Page(render(page)).text
    page["attacks"] = page["attacks"][:3]
    text = Page(render(page | {"baselines": []})).text
    assert "whose strength is drawn for each image." not in text
    assert "Dashed lines" not in text


def test_a_leak_is_said_first_and_is_no_baseline(job, config):
    page = results_for_page(job, config)
    control = {"name": "metadata", "condition": "clean", "metrics": {**page["baselines"][0]["metrics"]}}
    control["metrics"] |= {"accuracy": 1.0, "ci95": [0.9, 1.0]}
    text = Page(render(page | {"baselines": [*page["baselines"], control]})).text
    assert text.index("LEAK: something other than the pixels") < text.index("95% interval")
    assert "LEAK" not in Page(render(page)).text


def test_a_plain_network_of_unknown_training_is_called_so(job, config):
    page = results_for_page(job, config)
    text = Page(render(page)).text
    assert "never saw an attacked image" in text
    assert "is not known: it may have seen" not in text
    page["networks"][0]["training"] = None
    text = Page(render(page)).text
    assert "never saw an attacked image" not in text
    assert "given as plain, its training is not known;" in text
    assert "How the network given as plain was trained is not known: it may have seen attacked images" in text


def test_results_without_a_key_are_refused(job, config):
    page = results_for_page(job, config)
    del page["pictures"]
    with pytest.raises(ValueError, match="without pictures"):
        render(page)


# --- what is wrong with a config is said before any work


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ()}, "config.attacks needs a list"),
        ({"attacks": "jpeg75"}, "config.attacks needs a list"),
        ({"attacks": ("jpeg75", "jpeg75")}, "config.attacks names 'jpeg75' twice"),
        ({"attacks": ("zoom2",)}, "unknown perturbation 'zoom2'"),
        ({"attacks": ("none",)}, "names 'none' alone"),
        ({"count": -1}, "config.count is -1"),
        ({"rule": "best"}, "unknown vote rule 'best'"),
        ({"views": "d5"}, "unknown view 'd5'"),
        ({"networks": {"plain": "x"}}, "'plain' is no name for a network"),
        ({"networks": {"../x": "x"}}, "'../x' is no name for a network"),
        ({"networks": {"x": ""}}, "config.networks.x is ''"),
        ({"plain": "", "immunised": "", "networks": {}}, "no network: give --config.immunised="),
        (
            {"plain": "runs/nowhere"},
            r"config.plain is runs/nowhere, which is not there; give .*plain=runs/plain after .*=runs/plain .*share=0",
        ),
        ({"networks": {"x": "runs/nowhere"}}, r'config.networks.x is runs/nowhere, .*"combination",'),
        (
            {"plain": "runs/nowhere", "data": {"root": "no/images", "resize": "crop", "layout": "auto"}},
            r"nor are the images in no/images; run configs/quickstart.py:scratch first, or .* --config.data.root=DIR",
        ),
    ],
)
def test_robustness_says_what_is_wrong(config, tmp_path, change, message):
    with pytest.raises(UserError, match=message) as error:
        robustness.run(config | change, tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_network_in_the_wrong_role(config, tmp_path):
    swapped = {"plain": config["immunised"], "immunised": config["plain"]}
    with pytest.raises(UserError, match=r"config.plain was trained with 50% perturbed images \(jpeg10-75\)"):
        robustness.run(config | swapped, tmp_path)
    with pytest.raises(UserError, match=r"config.immunised was trained with 0% perturbed images \(none\)"):
        robustness.run(config | {"plain": "", "immunised": config["plain"]}, tmp_path)


def test_networks_of_other_sources_are_not_compared(config, tmp_path):
    other = small_weights.network(seed=3)
    other.about["classes"] = ["a", "b", "c"]
    write_file(tmp_path / "other.safetensors", other)
    with pytest.raises(UserError, match="immunised and other do not know the same sources"):
        robustness.run(config | {"plain": "", "networks": {"other": str(tmp_path / "other.safetensors")}}, tmp_path)


def test_the_plain_network_to_train_is_trained_as_the_immunised_one(config):
    words = training_command("plain", config["immunised"], config["data"]["root"]).split()
    tiny = small_weights.attribution.get_config("tiny")
    for key in ("num_steps", "batch_size", "resolution", "model.fmap_base", "optimizer.learning_rate"):
        value = tiny
        for part in key.split("."):
            value = value[part]
        assert f"--config.{key}={value}" in words
    assert "--config.immunise.share=0.0" in words and "--workdir=runs/plain" in words


def test_defaults_name_attacks_that_there_are():
    for variant in ("default", "tiny"):
        config = config_file.get_config(variant)
        for attack in config.attacks:
            check_perturbation(attack)
        assert config.attacks[-1] == "combination"
