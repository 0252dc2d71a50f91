"""The sources of the study of restorers: equal slots for all classes, and the sets that are made of them."""

import collections
import dataclasses

import numpy as np
import pytest

from experiments.restorers import shipped, sources, uniqueness
from experiments.restorers.sources import ImageSet
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.decode import encode_png
from ganfp_jax.run.errors import UserError

IMAGES = ImageSet(crop=64, cluster=2, slots=8, reductions=(1.0, 1.5, 2.0, 3.0), tiles=(144, 160))


def test_all_classes_have_the_same_places_at_the_same_reductions(tmp_path):
    jobs = list(sources.jobs(tmp_path, "photographs", sources.FAMILIES, IMAGES))
    slots = collections.defaultdict(list)
    for job in jobs:
        slots[job.source_name.partition("/")[0]].append(job.settings)
    assert set(slots) == set(sources.FAMILIES)
    assert all(settings == slots["real"] for settings in slots.values())
    assert [settings.seed for settings in slots["real"]] == list(range(8))
    assert [settings.reduction for settings in slots["real"]] == [1.0, 1.5, 2.0, 3.0] * 2
    assert {settings.crops for settings in slots["real"]} == {4}
    assert len({job.source_name for job in jobs}) == len(jobs)


def test_a_setting_does_not_always_have_one_reduction(tmp_path):
    for family, settings in sources.FAMILIES.items():
        jobs = list(sources.jobs(tmp_path, "photographs", {family: settings}, IMAGES))
        assert {job.generator for job in jobs} == set(settings)
        if len(settings) in (2, 4):  # as many as reductions, or half as many
            reductions = collections.defaultdict(set)
            for job in jobs:
                reductions[job.generator].add(job.settings.reduction)
            assert all(len(some) >= 2 for some in reductions.values())


def test_a_folder_is_made_once_and_one_of_other_settings_or_photographs_is_an_error(tmp_path):
    found = tmp_path / "photographs"
    found.mkdir()
    encode_png(found / "a.png", np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8))
    images = ImageSet(crop=32, cluster=1, slots=1, reductions=(2.0,), tiles=(48,))
    (job,) = sources.jobs(tmp_path / "images", str(found), {"real": ("pillow:real",)}, images)
    assert not sources._is_done(job)
    sources._make(job)
    assert sources._is_done(job)
    other = dataclasses.replace(job, settings=dataclasses.replace(job.settings, reduction=1.5))
    assert not sources._is_done(other)
    with pytest.raises(UserError, match="holds images of another reduction"):
        sources._make(other)
    encode_png(found / "b.png", np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8))
    sources._digests.cache_clear()
    assert not sources._is_done(job)


def test_a_control_has_one_network_twice():
    assert uniqueness.classes_of("control-srmdnf-twice") == {
        "srmdnf-x2": ("ncnn:srmdnf-x2",),
        "srmdnf-x2-again": ("ncnn:srmdnf-x2",),
    }
    assert all(len(uniqueness.classes_of(group)) == len(names) for group, names in uniqueness.GROUPS.items())


def _said(predicted, verdict):
    return Attribution(predicted, 0.9, {}, {}, verdict=verdict, margin=0.8, distance=0.1, views={})


def test_a_row_counts_pictures_and_accused_photographs():
    said = [
        _said("real", "real"),
        _said("srmd", "srmd"),
        _said("srmd", "srmd"),
        _said("srmd", "unsure"),
        _said("real", "nothing to see"),
    ]
    row = shipped.row("whole", "real", "none", said, ["a", "b", "b", "c", "d"], "real")
    assert (row["pictures"], row["photographs"], row["decided"]) == (5, 4, 3)
    assert (row["wrong_pictures"], row["wrong"]) == (2, 1)
    assert row["named"] == {"real": 2, "srmd": 3}
    assert row["verdicts"] == {"nothing to see": 1, "real": 1, "srmd": 2, "unsure": 1}
    assert abs(row["bound"] - 0.7514) < 1e-3  # one of four
