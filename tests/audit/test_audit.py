"""The audit of a labelled folder: every leak that is planted is found and named, and a clean folder passes."""

import csv
import json
import shutil
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from leaky_folders import (
    LEAKS,
    SOURCES,
    commented,
    config_of,
    jpeg,
    judged,
    picture,
    png,
    sampled,
    stretch,
    write_folder,
)
from PIL import Image, ImageFilter

from ganfp_jax.audit import facts, quick, verdict
from ganfp_jax.data import labelled, manifests
from ganfp_jax.data.decode import encode_png
from ganfp_jax.jobs import audit, prepare
from ganfp_jax.run.errors import UserError

RED = np.array([9, 0, 0])
# What is planted in the source "real": (how ProGAN is written, how real is, what is found, what is named)
PLANTED = {
    "format": (png, jpeg, {"format"}, "format="),
    "quality": (jpeg, lambda path, image: jpeg(path, image, quality=90), {"compression"}, "table"),
    "subsampling": (jpeg, lambda path, image: jpeg(path, image, subsampling=0), {"compression"}, "sampling"),
    "progressive": (jpeg, lambda path, image: jpeg(path, image, progressive=True), {"compression"}, "progressi"),
    "zlib": (png, lambda path, image: png(path, image, compress_level=1), {"compression"}, "zlib="),
    "metadata": (png, commented, {"metadata"}, "Software"),
    "profile": (png, lambda path, image: png(path, image, icc_profile=b"x" * 128), {"metadata"}, "profile"),
    "dimensions": (png, lambda path, image: png(path, image[:, 1:]), {"dimensions"}, "size="),
    "stretch": (png, lambda path, image: png(path, stretch(image)), {"stretch"}, "stretched in 100% of real"),
    "levels": (png, lambda path, image: png(path, image // 8 * 8), {"levels"}, "left out"),
    "colour": (png, lambda path, image: png(path, np.clip(image + RED, 0, 254).astype(np.uint8)),
               {"colour"}, "mean red"),
    "bytes": (png, lambda path, image: png(path, np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(0.4)))),
              {"bytes"}, "bytes"),
    "range": (png, lambda path, image: png(path, np.clip(image, 90, 160)), {"values"}, "value"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_named(tmp_path, name):
    first, second, kinds, said = PLANTED[name]
    findings = judged(write_folder(tmp_path / "set", 0, (first, second)))
    for kind in kinds:
        expected = "leak" if facts.KINDS[kind].leak else "warning"
        assert findings[kind].verdict == expected
        assert findings[kind].accuracy > 0.75
        assert said in findings[kind].says
    # It is called by its own name: no other trace of a file but what follows from it is said to be one.
    follows = {"format": {"compression", "metadata"}, "subsampling": {"metadata"}, "profile": {"metadata"}}
    leaks = {kind for kind, finding in findings.items() if finding.verdict == "leak"}
    assert leaks - kinds <= follows.get(name, set())


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_folder_passes(tmp_path, seed):
    findings = judged(write_folder(tmp_path / "set", seed, (png, png)), seed)
    assert {finding.verdict for finding in findings.values()} == {"nothing found"}
    assert audit.overall(list(findings.values())) == "No leak found."
    for kind in LEAKS:
        assert findings[kind].accuracy == 0.5
        assert findings[kind].says == "all files alike"


def test_false_alarms_are_as_rare_as_alpha_says():
    """Facts drawn from one distribution for both sources: at most `alpha` of the audits may find anything."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    alarms = 0
    for seed in range(24):
        own = [
            facts.Facts(
                {kind: frozenset(f"{kind}={n}" for n in range(3) if rng.random() < 0.5) for kind in LEAKS[:4]},
                {kind: tuple(rng.normal(size=len(a.numbers))) for kind, a in facts.KINDS.items() if a.numbers},
            )
            for _ in labels
        ]
        groups = [str(i) for i in range(len(labels))]
        found = verdict.judge(own, labels, SOURCES, groups, folds=5, alpha=0.05, min_gain=0.0, seed=seed)
        alarms += any(finding.verdict != "nothing found" for finding in found)
    assert alarms <= 4  # 1.2 are expected; more than 4 would come once in 150


def test_photographs_are_held_out_whole_and_make_the_interval_wider():
    """Two photographs a source, each of a colour of its own: to know one says nothing of the other."""
    colours = [20.0, 220.0, 120.0, 121.0]
    own, groups = [], []
    for photograph, colour in enumerate(colours):
        for _ in range(20):
            numbers = {kind: (0.0,) * len(about.numbers) for kind, about in facts.KINDS.items() if about.numbers}
            own.append(facts.Facts({kind: frozenset() for kind in LEAKS[:4]}, numbers | {"colour": (colour,) * 3}))
            groups.append(f"p{photograph}")
    labels = np.repeat([0, 1], 40)
    settings = {"folds": 2, "alpha": 0.05, "min_gain": 0.05, "seed": 0}
    apart = {f.kind: f for f in verdict.judge(own, labels, SOURCES, groups, **settings)}["colour"]
    alone = {f.kind: f for f in verdict.judge(own, labels, SOURCES, [str(i) for i in range(80)], **settings)}["colour"]
    assert alone.accuracy == 1
    assert alone.verdict == "warning"
    assert apart.verdict == "nothing found"
    assert np.ptp(apart.ci95) > np.ptp(alone.ci95)


def test_photographs_that_all_sources_show_leave_a_guess_at_chance():
    """Each colour is in both sources: learned from one source's files, it would be right never."""
    rng = np.random.default_rng(0)
    own, labels, groups = [], [], []
    for photograph in range(20):
        for _ in range(3):
            colour = tuple(rng.uniform(0, 255, 3))
            for label in (0, 1):
                numbers = {kind: (0.0,) * len(about.numbers) for kind, about in facts.KINDS.items() if about.numbers}
                own.append(facts.Facts({kind: frozenset() for kind in LEAKS[:4]}, numbers | {"colour": colour}))
                labels.append(label)
                groups.append(f"p{photograph}")
    settings = {"folds": 5, "alpha": 0.05, "min_gain": 0.05, "seed": 0}
    together = {f.kind: f for f in verdict.judge(own, np.array(labels), SOURCES, groups, **settings)}["colour"]
    by_source = [f"{label} {group}" for label, group in zip(labels, groups, strict=True)]
    apart = {f.kind: f for f in verdict.judge(own, np.array(labels), SOURCES, by_source, **settings)}["colour"]
    assert together.accuracy == pytest.approx(0.5, abs=1e-9) and apart.accuracy < 0.4


@pytest.mark.parametrize("sizes", [(40, 10, 10), (58, 1, 1), (30, 30), (60,)])
def test_to_name_one_source_for_all_is_chance_however_photographs_fall(sizes):
    """Of uneven photographs a fold has many or none; a number that hardly any file has tells nothing of that."""
    groups = [f"photograph {i}" for i, size in enumerate(sizes) for _ in range(size)] + [str(i) for i in range(120)]
    labels = np.repeat([0, 1, 2], 60)
    numbers = {kind: (0.0,) * len(about.numbers) for kind, about in facts.KINDS.items() if about.numbers}
    own = [facts.Facts({kind: frozenset() for kind in LEAKS[:4]}, numbers) for _ in labels]
    own[7] = facts.Facts(own[7].words, numbers | {"bytes": (1.0,)})
    findings = verdict.judge(own, labels, "abc", groups, folds=5, alpha=0.05, min_gain=0.0, seed=0)
    assert [finding.accuracy for finding in findings] == pytest.approx([1 / 3] * len(findings))
    assert all(finding.ci95[0] <= finding.accuracy <= finding.ci95[1] for finding in findings)


def test_facts_of_images():
    spread = np.arange(256).repeat(3).reshape(16, 16, 3).astype(np.uint8)
    assert facts.is_stretched(facts.histogram(spread))
    clipped = np.clip(spread.astype(int) * 2 - 128, 0, 255).astype(np.uint8)
    assert not facts.is_stretched(facts.histogram(clipped))  # a quarter of the values piles up at either end
    assert not facts.is_stretched(facts.histogram(spread // 2))
    rng = np.random.default_rng(0)
    for seed in range(5):
        image = picture(rng, 16 + seed)
        assert facts.left_out(facts.histogram(image)) == 0
        assert facts.left_out(facts.histogram(image // 16 * 16)) > 0.9
        assert facts.left_out(facts.histogram(stretch(image // 2 + 60))) == 0  # stretched before it was rounded
    assert facts.left_out(facts.histogram(np.zeros((4, 4, 3), np.uint8))) == 0


# The cheap part


def glance(root):
    return quick.quick_check(labelled.open_labelled(root))


@pytest.mark.parametrize("name", ["format", "quality", "zlib", "metadata", "dimensions", "stretch"])
def test_a_glance_finds_what_is_gross(tmp_path, name):
    first, second, kinds, said = PLANTED[name]
    lines = glance(write_folder(tmp_path / "set", 0, (first, second), count=8))
    said = "0 to 255" if name == "stretch" else said
    assert len(lines) == 1
    assert all(part in lines[0] for part in (*(facts.KINDS[kind].what for kind in kinds), "100%", "configs/audit.py"))
    assert said in lines[0]


def test_a_glance_is_silent_where_there_is_nothing_to_see(tmp_path):
    assert glance(write_folder(tmp_path / "clean", 0, (png, png), count=8)) == []
    few = write_folder(tmp_path / "few", 0, (png, jpeg), count=quick.FEWEST - 1)
    assert glance(few) == []
    broken = write_folder(tmp_path / "broken", 0, (png, png), count=8)
    (broken / "real" / "real_00000000.png").write_bytes(b"no image")
    assert glance(broken) == []
    shutil.rmtree(broken / "real")
    assert quick.quick_check(labelled.open_labelled(broken, classes=SOURCES)) == []


def test_lists_of_files_are_glanced_at_and_audited_too(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, commented), count=12)
    rows = [f"{path.relative_to(root)},{path.parent.name}\n" for path in sorted(root.glob("*/*"))]
    (root / "list.csv").write_text("".join(["image,source\n", *rows]))
    (line,) = quick.quick_check(labelled.open_labelled(root / "list.csv"))
    assert line.startswith(f"{root / 'list.csv'}: metadata")
    out, run = tmp_path / "out", tmp_path / "run"
    run.mkdir()
    audit.run(config_of(root / "list.csv", equalise=str(out)), run)
    assert json.loads((run / "audit.json").read_text())["verdict"].startswith(
        "LEAK: the classes are given away by meta"
    )
    assert glance(out) == []
    assert sorted(path.name for path in out.glob("*/*")) == sorted(path.name for path in root.glob("*/*"))


def test_prepared_data_sets_are_audited_too(tmp_path):
    for split in ("train", "test"):
        write_folder(tmp_path / "set" / split, len(split), (png, commented), count=8)
    for name in ("prepared", "run"):
        (tmp_path / name).mkdir()
    prepare.run({"data": {"root": str(tmp_path / "set"), "layout": "auto"}, "prepare": ""}, tmp_path / "prepared")
    dataset, out = tmp_path / "prepared" / "dataset", tmp_path / "out"
    assert len(quick.quick_check(labelled.open_labelled(dataset, "test"))) == 1
    audit.run(config_of(dataset, equalise=str(out)), tmp_path / "run")
    results = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert (results["files"], results["verdict"][:4]) == (32, "LEAK")
    for split in ("train", "test"):
        assert labelled.open_labelled(out, split).names == labelled.open_labelled(tmp_path / "set", split).names


def test_a_glance_reads_fifty_files_of_a_source(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "set", 0, (png, png), count=2)
    for source in SOURCES:
        for i in range(200):
            shutil.copy(root / source / f"{source}_00000000.png", root / source / f"copy_{i}.png")
    read = []
    whole = quick.words
    monkeypatch.setattr(quick, "words", lambda path: read.append(path) or whole(path))
    assert glance(root) == []
    assert len(read) == len(set(read)) == 2 * quick.FILES


def test_training_says_what_a_glance_finds(tmp_path, capsys):
    from ganfp_jax.training.labelled_images import decode_training

    root = write_folder(tmp_path / "set", 0, (png, commented), count=8)
    config = {"resolution": 24, "data": {"resize": "crop", "cache_gib": 1.0, "crop_from": 0}}
    decode_training(config, labelled.open_labelled(root), tmp_path)
    assert "warning: " in (out := capsys.readouterr().out)
    assert "Software" in out
    decode_training(config, labelled.open_labelled(write_folder(tmp_path / "b", 0, (png, png), count=8)), tmp_path)
    assert capsys.readouterr().out == ""


def test_generation_says_what_a_glance_finds(tmp_path, capsys):
    from configs import generate
    from ganfp_jax.jobs import generate as job

    config = generate.get_config("tiny").to_dict() | {"generator": "photos", "count": 6, "resolution": 16}
    (tmp_path / "other").mkdir()
    for i in range(6):
        jpeg(tmp_path / "other" / f"{i}", picture(np.random.default_rng(i), 16))
    manifests.write_manifest(tmp_path, ["other"], {})
    job.run(config | {"root": str(tmp_path)}, tmp_path / "unused")
    assert "the file format can give the sources away" in capsys.readouterr().out


def test_evaluation_says_what_a_glance_finds(tmp_path, capsys, monkeypatch):
    from configs import evaluate
    from ganfp_jax.attribution.attributor import Attributor
    from ganfp_jax.jobs import evaluate as evaluation_job

    def stop(*given, **settings):
        raise UserError("as far as this test goes")

    root = write_folder(tmp_path / "set", 0, (png, commented), count=8)
    network = Mock(Attributor, classes=SOURCES, resolution=24, default_views="d4")
    monkeypatch.setattr(evaluation_job, "Attributor", SimpleNamespace(load=lambda path: network))
    monkeypatch.setattr(evaluation_job, "evaluate", stop)
    config = evaluate.get_config("tiny").to_dict() | {"data": {"root": str(root), "resize": "crop", "layout": "auto"}}
    with pytest.raises(UserError, match="as far as this test goes"):
        evaluation_job.run(config, tmp_path)
    assert "metadata can give the sources away" in capsys.readouterr().out


# The job


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """Two splits, a leak, a broken file, and images that are there twice."""
    root, workdir = tmp_path_factory.mktemp("set"), tmp_path_factory.mktemp("job")
    write_folder(root / "train", 0, (png, commented), count=20)
    write_folder(root / "test", 1, (png, commented), count=10)
    (root / "test" / "real" / "broken.png").write_bytes(b"no image")
    train, test = root / "train" / "ProGAN", root / "test" / "ProGAN"
    shutil.copy(train / "ProGAN_00000003.png", test / "ProGAN_00000099.png")
    Image.open(train / "ProGAN_00000004.png").convert("RGB").save(test / "ProGAN_00000098.png", optimize=True)
    audit.run(config_of(root, files_per_source=30), workdir)
    return root, workdir


def test_the_job_writes_what_it_found(audited, capsys):
    _, workdir = audited
    results = json.loads((workdir / "audit.json").read_text())
    assert results["verdict"].startswith("LEAK: the classes are given away by metadata")
    assert results["files_tested"] == 2 * 29  # one of the 30 drawn is broken
    rows = {row["kind"]: row for row in csv.DictReader((workdir / "audit.csv").read_text().splitlines())}
    assert list(rows) == list(facts.KINDS)
    metadata = rows["metadata"]
    assert (metadata["verdict"], metadata["accuracy"], metadata["total"], metadata["chance"]) == (
        *("leak", "1.000000", "58", "0.500000"),
    )
    for row in rows.values():
        assert float(row["ci95_low"]) <= float(row["accuracy"]) <= float(row["ci95_high"])
        assert float(row["p"]) <= float(row["p_holm"]) <= 1
    assert list(csv.reader((workdir / "rejected.csv").read_text().splitlines()))[1:] == [
        ["test/real/broken.png", "not an image"]
    ]
    with Image.open(workdir / "audit.png") as picture:
        assert picture.size[0] > 600
    table = audit.summary(results)
    assert "2 of 62 images repeat another one pixel for pixel (2 one in the other split" in table
    assert "metadata" in table
    assert "100.0%" in table


def test_the_job_lists_pairs(audited):
    _, workdir = audited
    pairs = {row["image"]: row for row in csv.DictReader((workdir / "duplicates.csv").read_text().splitlines())}
    for number, original in (("99", "03"), ("98", "04")):  # the same pixels, in a copy and in another file
        pair = pairs[f"test/ProGAN/ProGAN_000000{number}.png"]
        assert pair["repeats"] == f"train/ProGAN/ProGAN_000000{original}.png"
        assert (pair["kind"], pair["across_splits"], pair["across_sources"]) == ("exact", "True", "False")
    assert len(pairs) == 2
    with Image.open(workdir / "duplicates.png") as picture:
        assert picture.size[0] > 4 * audit.SHOWN_SIDE


def test_audit_gives_the_same_numbers_again(audited, tmp_path):
    root, workdir = audited
    audit.run(config_of(root, files_per_source=30), tmp_path)
    assert (tmp_path / "audit.json").read_bytes() == (workdir / "audit.json").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"root": "", "layout": "auto"}}, "config.data.root is empty"),
        ({"folds": 1}, "config.folds is 1"),
        ({"folds": 49, "files_per_source": 500}, "fewer than config.folds"),
        ({"alpha": 0.0}, "config.alpha is 0.0"),
        ({"duplicates": {"distance": 64}}, "distance is 64"),
    ],
)
def test_audit_tells_of_bad_configs(tmp_path, changes, said):
    root = write_folder(tmp_path / "set", 0, (png, png), count=6)
    with pytest.raises(UserError, match=said):
        audit.run(config_of(root, **changes), tmp_path / "run")


def test_sources_of_different_sizes_are_tested_with_as_many_files_each(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, png), count=30)
    for path in sorted((root / "real").iterdir())[8:]:
        path.unlink()
    _, files, _ = sampled(config_of(root))
    assert np.bincount([file.label for file in files]).tolist() == [8, 8]
    encode_png(root / "real" / "extra.png", np.zeros((24, 24, 3), np.uint8))
    _, files, _ = sampled(config_of(root))
    assert np.bincount([file.label for file in files]).tolist() == [9, 9]
