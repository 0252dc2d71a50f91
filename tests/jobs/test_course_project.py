"""The course project's test: its data sets, its table against its rows, a stopped run, and a bad study."""

import csv
import json

import jax
import numpy as np
import pytest
from golden_files import jit
from PIL import Image
from scipy import stats

from configs import course_project as config_file
from configs import quickstart as study_file
from experiments.course_project.__main__ import table
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.data import labelled, manifests
from ganfp_jax.jobs import course_project
from ganfp_jax.jobs.quickstart import scratch
from ganfp_jax.jobs.quickstart.parts import Study
from ganfp_jax.metrics.statistics import mcnemar_p
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.checkpoint import Checkpoints
from ganfp_jax.training.programs import PROGRAMS

SOURCES = ("real", "ProGAN", "SNGAN")
SEEDS = (100, 101, 102)


def save(workdir, config, state, metadata):
    workdir.mkdir()
    write_json(workdir / "config.json", config)
    checkpoints = Checkpoints(workdir, keep=1)
    checkpoints.save(0, state, metadata)
    checkpoints.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose networks were not trained; the biases of the last layers are moved so that views disagree."""
    workdir = tmp_path_factory.mktemp("runs") / "study"
    workdir.mkdir()
    config = study_file.get_config("tiny").to_dict()
    config |= {"generators": ("progan", "sngan"), "train_count": 12, "test_counts": (12,)}
    write_json(workdir / "config.json", config)
    for name in config["generators"]:
        program = PROGRAMS["gan"](config[name], workdir)
        state = jit(program.init)(jax.random.key(0))
        generator = {"params": state.generator.params, "stats": state.generator.stats}
        plain = {"step": state.step, "generator": generator, "ema_params": state.ema_params}
        save(workdir / name, config[name], plain, program.metadata)
    scratch.make_images(Study(config, workdir))
    images = labelled.Images(labelled.open_labelled(workdir / "images", split="test"), 16).decode().images
    attribution = config["attribution"]
    network = models.create(**attribution["model"], resolution=16, num_classes=3)
    init, logits = jit(network.init), jit(lambda variables, x: network.apply(variables, x))
    for number, name in enumerate(config["networks"]):
        x = images.astype(np.float32) / 127.5 - 1
        params = init(jax.random.key(number), x)["params"]
        mean = logits({"params": params}, x).mean(0)
        # The biases of the logits are the only array of three.
        params = jax.tree.map(lambda leaf, by=mean: leaf - by if leaf.shape == (3,) else leaf, params)
        metadata = {"classes": list(SOURCES), "resolution": 16}
        save(workdir / f"visnet-{name}", attribution, {"network": {"params": params, "stats": {}}}, metadata)
    write_json(workdir / "results.json", {})
    return workdir


@pytest.fixture(scope="module")
def config(study):
    return config_file.get_config("tiny").to_dict() | {
        "study": str(study),
        "n_real": (2, 7),
        "n_progan": (3, 5),
        "n_sngan": (1, 6),
        "dataset_seeds": SEEDS,
    }


@pytest.fixture(scope="module")
def job(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("job")
    course_project.run(config, workdir)
    return workdir


def read(job, name="results.json"):
    return json.loads((job / name).read_text())


def pixels(root):
    return [np.asarray(Image.open(path)).tobytes() for path in sorted(root.rglob("*.png"))]


def test_counts_and_seeds_are_honoured(job):
    for seed in SEEDS:
        folder = labelled.open_labelled(job / "images" / f"seed{seed}")
        assert folder.classes == SOURCES
        assert np.bincount(folder.labels).tolist() == [7, 5, 6]
        manifest = manifests.read_manifest(folder.root)
        assert {origin["seed"] for origin in manifest["sources"].values()} == {seed}
    rows = read(job)["rows"]
    assert len(rows) == 2 * 3 * 2 * 4  # tests, seeds, networks, the single view and three votes
    assert {(row["images"], row["seed"]) for row in rows} == {(n, seed) for n in (6, 18) for seed in SEEDS}


def test_no_image_is_another_seeds_or_one_of_the_study(job, study):
    ours, theirs = pixels(job / "images"), pixels(study / "images" / "train")
    assert len(ours) == 3 * 18
    assert len(set(ours)) == len(ours)
    assert not set(ours) & set(theirs)


def test_crops_that_meet_are_passed_over():
    photos = {"fold": 0, "reduction": 2.0, "min_luma_std": 0.0}
    # A seed twice over: all that its first half drew is taken, so the second goes on in the same stream.
    crops = course_project.draw_crops(photos, (5, 6), 30, 16)
    again = course_project.draw_crops(photos, (5, 5), 30, 16)[5]
    first = [image.tobytes() for image in crops[5].images]
    assert not set(first) & {image.tobytes() for image in again.images}
    assert len(again) == 30
    assert not set(crops[5].names) & set(again.names)


def test_rows_are_what_evaluate_finds_in_the_same_folder(job, study):
    rows = {(row["images"], row["seed"], row["network"], row["views"]): row for row in read(job)["rows"]}
    changed = 0
    attributor = Attributor.load(study / "visnet-d4")
    folder = labelled.open_labelled(job / "images" / "seed101", classes=attributor.classes)
    for views in ("mirror", "d4"):
        metrics = evaluate(attributor, labelled.Images(folder, 16), views=views, rule="majority").metrics
        row, single = rows[18, 101, "d4", views], rows[18, 101, "d4", "identity"]
        assert (row["correct"], single["correct"]) == (metrics["correct"], metrics["single_view"]["correct"])
        assert row["right"] == {name: block["correct"] for name, block in metrics["per_class"].items()}
        changes = metrics["vote_changes"]
        assert (row["repaired"], row["broken"]) == (changes["wrong_to_right"], changes["right_to_wrong"])
        changed += row["repaired"] + row["broken"]
    assert changed, "this network's votes change nothing"


def test_the_smaller_test_is_the_first_of_each_source(job):
    record, counts = read(job, "seeds/100.json"), dict(zip(SOURCES, (2, 3, 1), strict=True))
    rows = course_project.image_rows(record, (2, 3, 1), "d4", "d4")
    assert [row.target for row in rows] == [source for source, n in counts.items() for _ in range(n)]
    assert rows[2].image == "ProGAN/ProGAN_00000000.png"
    assert all(sum(row.votes.values()) == 8 for row in rows)
    (row,) = [
        row
        for row in read(job)["rows"]
        if (row["images"], row["seed"], row["network"], row["views"]) == (6, 100, "d4", "d4")
    ]
    assert row["correct"] == sum(image.target == image.predicted for image in rows)


def test_the_summary_follows_from_the_rows(job):
    results = read(job)
    lines = list(csv.DictReader((job / "course.csv").read_text().splitlines()))
    assert len(lines) == len(results["rows"])
    assert len(results["summary"]) == 2 * 2 * 4
    for entry in results["summary"]:
        same = ("images", "network", "views")
        own = [line for line in lines if all(line[key] == str(entry[key]) for key in same)]
        correct = np.array([int(line["correct"]) for line in own])
        accuracy = correct / entry["images"]
        assert [int(line["seed"]) for line in own] == list(SEEDS)
        assert entry["mean"] == pytest.approx(accuracy.mean())
        if len(set(correct)) == 1:
            assert entry["ci95"] is None
        else:
            expected = stats.t.interval(0.95, 2, accuracy.mean(), stats.sem(accuracy))
            assert entry["ci95"] == pytest.approx(np.clip(expected, 0, 1))
        assert (entry["least"], entry["most"]) == (correct.min(), correct.max())
        assert entry["right"] == {source: sum(int(line[f"right_{source}"]) for line in own) for source in SOURCES}
        assert sum(entry["right"].values()) == correct.sum()
        assert "published" not in entry  # these counts are not the project's
        if entry["views"] != "identity":
            change = np.array([int(line["repaired"]) - int(line["broken"]) for line in own])
            assert (entry["helped"], entry["hurt"]) == ((change > 0).sum(), (change < 0).sum())
            assert entry["helped"] + entry["same"] + entry["hurt"] == 3
            assert entry["repaired"] - entry["broken"] == change.sum()
            assert entry["mcnemar_p"] == mcnemar_p(entry["repaired"], entry["broken"])
            assert entry["gain"]["mean"] == pytest.approx(change.mean() / entry["images"])


def test_published_figures_stand_beside_the_single_view():
    rows = [
        {
            "images": 15,
            "seed": s,
            "network": "d4",
            "views": v,
            "correct": c,
            "repaired": r,
            "broken": 0,
            "right": {"real": c},
        }
        for s, single, voted in ((1, 13, 14), (2, 14, 14))
        for v, c, r in (("identity", single, 0), ("d4", voted, voted - single))
    ]
    single, vote = course_project.summarise(rows, {15: 14})
    assert (single["published"]["correct"], single["published"]["total"]) == (14, 15)
    assert single["published"]["seeds_reaching_it"] == 1
    assert "published" not in vote
    assert (vote["helped"], vote["same"], vote["hurt"]) == (1, 1, 0)
    assert course_project.summarise(rows[:2], {})[0]["ci95"] is None  # one seed has no interval
    text = table([single, vote])
    assert "| 15 | d4 | identity | 90.0% (47.6–100.0) | 13–14 |  |  |  | 14 of 15 |" in text
    assert "| +3.3 (−39.0 to +45.7) | 1, 1, 0 | 1, 0 (1.000) |" in text


def test_a_finished_run_repeats_nothing_and_a_stopped_one_goes_on(config, job, capsys):
    before, results = {path: path.stat().st_mtime_ns for path in job.rglob("*.png")}, read(job)
    course_project.run(config, job)
    first = capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in job.rglob("*.png")}
    (job / "seeds" / "101.json").unlink()
    course_project.run(config, job)
    changed = {path.parent.parent.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"seed101"}
    assert read(job) == results
    assert capsys.readouterr().out == first
    assert "seed 100, network d4, one view:" in first
    assert "seed 100, network d4, majority of d4:" in first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_real": (5,)}, r"config.n_real has 1, config.n_progan has 2.*give as many numbers each"),
        ({"n_sngan": (0, 5)}, r"config.n_sngan has 0; a test needs one image"),
        ({"n_real": (5, 4), "n_progan": (5, 6), "n_sngan": (5, 5)}, r"two tests have the same number of images"),
        ({"dataset_seeds": (7, 7)}, r"config.dataset_seeds is \(7, 7\); give one or more, each once"),
        ({"dataset_seeds": (7, 1)}, r"seed 1 has made the train images of .*; leave it out"),
        ({"rule": "loudest"}, r"unknown vote rule 'loudest'"),
        ({"view_sets": ("spin",)}, r"unknown view 'spin'"),
        ({"networks": ("d5",)}, r"config.study: .* has no d5 among its networks; give the run folder of"),
    ],
)
def test_bad_values_are_refused_before_any_work(config, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        course_project.run(config | change, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_bad_study_is_told_in_one_line(config, study, tmp_path):
    with pytest.raises(
        UserError, match=r"config.study: .*nowhere is not a run folder; give the run folder of .*quickstart.py:course"
    ):
        course_project.run(config | {"study": str(tmp_path / "nowhere")}, tmp_path)
    with pytest.raises(UserError, match=r"holds no study \(its job is 'train'\); give the run folder"):
        course_project.run(config | {"study": str(study / "progan")}, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    whole = json.loads((study / "config.json").read_text())
    write_json(other / "config.json", whole)
    with pytest.raises(UserError, match=r"the study in .*other is not finished; run its command again, it resumes"):
        course_project.run(config | {"study": str(other)}, tmp_path)
    write_json(other / "config.json", whole | {"generators": ["progan"]})
    with pytest.raises(UserError, match=r"has no sngan among its generators"):
        course_project.run(config | {"study": str(other)}, tmp_path)
