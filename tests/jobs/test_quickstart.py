"""The quickstart: what is shipped makes and names a small test set; stages are timed and go on where they stopped."""

import json

import numpy as np
import pytest

from configs import quickstart as quickstart_file
from ganfp_jax.data import labelled, manifests
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.jobs import quickstart
from ganfp_jax.jobs.quickstart import parts
from ganfp_jax.jobs.quickstart.parts import Stage, Study
from ganfp_jax.jobs.quickstart.shipped import make_images
from ganfp_jax.run.errors import UserError

SET = "photos32"


def test_quickstart_on_few_images(tmp_path, capsys):
    config = quickstart_file.get_config().to_dict() | {"count": 6, "course_counts": (1, 2), "conditions": ("none",)}
    quickstart.run(config, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["metrics"]["total"] for row in results["evaluations"]] == [3, 6, 30]
    assert {row["name"] for row in results["baselines"]} == {"logistic_log_dct", "logistic_log_dct_immunised"}
    course = np.array(results["evaluations"][1]["metrics"]["confusion"])
    assert course.sum(axis=1).tolist() == [2, 2, 2, 0, 0]  # real, ProGAN, SNGAN
    assert results["main"]["count"] == 6
    out = capsys.readouterr().out
    assert "real/astronaut_00000.png" in out and "report" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert len(page) > 10_000
    # a generator that the network does not know
    kind = results["unknown"]["kinds"]["SNGAN-seed-2"]
    assert kind["images"] == sum(kind["called"].values()) == 6
    assert len((tmp_path / "evaluation" / "unknown" / "predictions.csv").read_text().splitlines()) == 7
    assert "SNGAN-seed-2" in out and "SNGAN-seed-2" in page
    # the same images again, from the same seed
    name = "SNGAN/SNGAN_00000003.png"
    before = labelled.open_labelled(tmp_path / "images", "test")
    again = next(Sampler(f"{SET}/sngan").stream(config["seed"], 6, 50))[3]
    kept = labelled.Images(before, 32).part([before.names.index(name)]).decode().images[0]
    np.testing.assert_array_equal(kept, again)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 50}, "config.count is 50; give more than the course tests' 50 images of a source"),
        ({"course_sources": ("real", "StyleGAN")}, "config.course_sources has 'StyleGAN'; choose from real, ProGAN"),
        ({"shipped": "photos64"}, "photos64 is not a run folder"),
    ],
)
def test_a_quickstart_that_cannot_be_is_refused_before_it_writes(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        quickstart.run(quickstart_file.get_config().to_dict() | change, tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_of_older_generators_are_made_anew(tmp_path):
    config = quickstart_file.get_config().to_dict() | {"count": 3, "resolution": 32}
    study = Study(config, tmp_path)
    make_images(study)
    manifest = manifests.read_manifest(tmp_path / "images" / "test")
    image = tmp_path / "images" / "test" / "SNGAN" / "SNGAN_00000000.png"
    made = image.read_bytes()
    image.write_bytes((image.parent.parent / "ProGAN" / "ProGAN_00000000.png").read_bytes())
    make_images(study)
    assert image.read_bytes() != made  # nothing says that it is not what it was
    manifest["sources"]["SNGAN"]["digest"] = "of older weights"
    manifests.write_manifest(tmp_path / "images" / "test", manifest["classes"], manifest["sources"])
    unknown = tmp_path / "unknown" / "SNGAN-seed-2" / "SNGAN-seed-2_00000000.png"
    written = unknown.stat().st_mtime_ns
    make_images(study)
    assert image.read_bytes() == made
    assert unknown.stat().st_mtime_ns == written  # those of today's weights are left alone


@pytest.mark.parametrize("variant", ["default", "scratch", "course", "seeds", "tiny"])
def test_the_command_is_that_of_the_variant(variant):
    named = "" if variant == "default" else f":{variant}"
    command = f"python -m ganfp_jax.main --config=configs/quickstart.py{named}"
    assert quickstart_file.get_config(variant).command == command


def test_stages_are_counted_and_their_times_add_up_where_they_go_on(tmp_path, monkeypatch, capsys):
    done, clock = [], iter(range(100))
    monkeypatch.setattr(parts, "time", type("Clock", (), {"perf_counter": lambda: float(next(clock))}))
    monkeypatch.setattr(parts, "take_fingerprints", lambda study: {})
    monkeypatch.setattr(parts, "publish", lambda study, fingerprints: done.append("published"))
    stages = [Stage("train", lambda: done.append("train")), Stage("ask", lambda: done.append("ask"), resumes=False)]

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.carry_out(Study({}, tmp_path, [*stages, Stage("stopped", stop)]))
    study = Study({}, tmp_path, stages)
    assert study.seconds() == {"train": 1.0, "ask": 1.0, "stopped": 1.0}
    parts.carry_out(study)
    assert study.seconds() == {"train": 2.0, "ask": 1.0, "stopped": 1.0, "take fingerprints": 1.0}
    assert done == ["train", "ask", "train", "ask", "published"]
    assert "== stage 3 of 3: take fingerprints" in capsys.readouterr().out
