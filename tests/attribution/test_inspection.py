"""What an inspection says of its images: nothing that they do not bear out, and no more sources than a page holds."""

import dataclasses

import numpy as np
import pytest

from ganfp_jax.attribution import inspection
from ganfp_jax.attribution.inspection import Inspected
from ganfp_jax.jobs import inspect_fingerprints as job
from ganfp_jax.models.fingerprints import Fingerprints

PICTURE = np.zeros((4, 4, 3), np.uint8)


def inspected(classes, each, groups=None, size=6):
    """Random images and fingerprints; every model fingerprint is an axis, so the verdicts are random too."""
    rng = np.random.default_rng(0)
    count = len(classes) * each
    features = rng.normal(size=(count, size)).astype(np.float32)
    models = rng.normal(size=(size, len(classes))).astype(np.float32)
    return Inspected(
        classes=classes,
        names=[f"{name}/{i}.png" for name in classes for i in range(each)],
        images=rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8),
        targets=np.repeat(np.arange(len(classes)), each),
        groups=np.arange(count) if groups is None else groups,
        fingerprints=Fingerprints(features, models, np.zeros(len(classes), np.float32), features @ models),
        rejected=(),
    )


def said(found, real="real"):
    metrics = job.measure(found, real=real, seed=0)
    return metrics, " ".join(job._notes(found, metrics))


def test_where_photographs_are_unknown_no_control_over_them_is_claimed():
    metrics, notes = said(inspected(["real", "fake"], 12))
    assert "is not known" in notes
    for words in ("resample photographs", "never share a photograph", "not the photographs"):
        assert words not in notes
    for block in metrics["separability"].values():
        assert block["frechet_ratio_by_group"] is None and block["photographs"] is None


def test_where_photographs_are_known_the_control_is_said():
    found = inspected(["real", "fake"], 12)
    found = dataclasses.replace(found, groups=np.concatenate([np.arange(12) // 3, 4 + np.arange(12)]))
    metrics, notes = said(found)
    assert found.photographs == 4
    assert "resample photographs" in notes and "never share a photograph" in notes
    assert "is not known" not in notes
    grouped, alone = (metrics["separability"]["fingerprints"][f"frechet_ratio{key}"] for key in ("_by_group", ""))
    assert grouped["value"] != alone["value"]


def test_of_many_sources_some_are_compared(monkeypatch):
    monkeypatch.setattr(job, "MOST", 5)
    monkeypatch.setattr(job, "COMPARED", 3)
    classes = ["real", *(f"s{k}" for k in range(6))]
    metrics, notes = said(inspected(classes, 6))
    assert "real" in metrics["compared"] and len(metrics["compared"]) == 3
    assert metrics["separability"]["pixels"]["n"] == 18
    assert len(metrics["confusion"]) == len(metrics["model_cosine"]) == len(metrics["mean_logit"]) == 7
    assert "Separability is that of 3 of the 7 sources" in notes


def test_pictures_and_map_are_of_the_sources_asked_for():
    found = inspected(["a", "b", "c", "d"], 6)
    columns = ["d", "b"]
    shown = found.some_of_each(2, columns)
    assert [found.targets[i] for i in shown] == [3, 3, 1, 1]
    scales = inspection.choose_scales(
        found, shown, columns, fingerprint_limit=1.0, response_limit=1.0, mask_negative=False
    )
    samples, models = inspection.pictures(found, shown, columns, scales)
    assert len(models) == len(samples[0]["responses"]) == len(samples[0]["logits"]) == 2
    assert samples[0]["logits"] == found.fingerprints.logits[shown[0], [3, 1]].tolist()
    drawn = inspection.map_of(found, 0, columns)
    assert drawn["labels"].tolist() == [0] * 6 + [1] * 6
    assert set(job.spectra_of(found, columns)["images"]) == set(columns)


@pytest.mark.parametrize(("asked", "sources", "taken"), [(400, 2, 400), (400, 1000, 10), (0, 1000, 0), (3, 1000, 3)])
def test_of_very_many_sources_fewer_images_are_taken(asked, sources, taken):
    assert inspection.images_of_each(asked, sources) == taken


def sample(name, value):
    picture = np.full((4, 4, 3), value, np.uint8)
    return {"name": name, "fingerprint": picture, "responses": [picture, picture]}


def test_pictures_lie_inside_their_folder_and_none_replaces_another(tmp_path):
    names = ["real/a.png", "real/a.jpg", "../b.png", "../../b.png", "/b.png", f"real/{'x' * 240}.png"]
    folder = tmp_path / "out" / "pictures"
    classes = ("real", "G" * 250)
    job.write_pictures(folder, classes, [sample(name, i) for i, name in enumerate(names)], [PICTURE, PICTURE])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(folder in path.parents for path in files)
    assert len(files) == len(classes) + len(names) * (1 + len(classes))
    assert (folder / "real" / "a_image_fingerprint_responding_to_model_fingerprint_real.png") in files
    assert (folder / "model_fingerprint_real.png") in files
