"""The job `group`: images in; groups as a table, lists and a page, and what was refused out."""

import csv
import dataclasses
import json
import re
import shlex

import numpy as np
import pytest
import small_weights
from html_page import Page
from new_sources import SIDE, drawn, write
from running import run_job

from ganfp_jax.attribution import group_files
from ganfp_jax.attribution.grouping import group
from ganfp_jax.data.lists import paths_of
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, write_file
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A network without views, images of its sources, and others of one that it knows and one that it does not."""
    root = tmp_path_factory.mktemp("group")
    network = small_weights.network()
    write_file(root / "network" / FILE, dataclasses.replace(network, about=network.about | {"augment": "none"}))
    for source in small_weights.CLASSES:
        write(root / "known" / source, drawn(source, 40, seed=1))
    write(root / "new" / "stripes", drawn("stripes", 9, seed=2))
    write(root / "new" / "SNGAN", drawn("SNGAN", 7, seed=3))
    (root / "new" / "broken.png").write_text("no image")
    write(root / "new" / "flat", np.full((1, SIDE, SIDE, 3), 90, np.uint8))
    write(root / "flat", np.full((6, SIDE, SIDE, 3), 90, np.uint8))
    alike = np.stack([drawn("stripes", 1, seed=2)[0]] * 6)
    alike[np.arange(6), 0, np.arange(6), 0] ^= 1  # one level in one pixel
    write(root / "alike", alike)
    write(root / "few", drawn("stripes", 4, seed=2))
    return root


def settings(places, **changed):
    given = {"checkpoint": places / "network", "images": places / "new", "data.root": places / "known", "most": 100}
    return given | changed


@pytest.fixture(scope="module")
def done(places, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("done")
    (workdir / "group-7.txt").write_text("of an earlier run\n")
    (workdir / "group-photo.txt").write_text("somebody else's\n")
    return workdir, run_job("group:tiny", workdir, settings(places))


def test_images_of_two_generators_fall_into_two_groups(done, places):
    workdir, out = done
    found = json.loads((workdir / "groups.json").read_text())
    assert [of["images"] for of in found["groups"]] == [9, 7] and found["alone"] == []
    assert "16 of 16 images fall into 2 groups, as of 2 generators; 0 are alone." in out
    rows = list(csv.DictReader((workdir / "groups.csv").read_text().splitlines()))
    assert len(rows) == 16 and rows[0]["image"] == found["groups"][0]["central"]
    for row in rows:
        assert row["group"] == ("1" if "stripes" in row["image"] else "2")
        assert float(row["distance"]) > 0 and -1 <= float(row["silhouette"]) <= 1
    distances = [float(row["distance"]) for row in rows if row["group"] == "1"]
    assert distances == sorted(distances)


def test_each_group_has_a_list_that_it_is_enrolled_by(done, places, tmp_path):
    workdir, out = done
    # What is not the job's own stays.
    assert sorted(path.name for path in workdir.glob("group-*.txt")) == [
        "group-1.txt",
        "group-2.txt",
        "group-photo.txt",
    ]
    listed = (workdir / "group-2.txt").read_text().splitlines()
    assert sorted(listed) == sorted(str(path) for path in (places / "new" / "SNGAN").iterdir())
    line = next(line for line in out.splitlines() if "group-2.txt" in line)
    words = shlex.split(line)
    assert {"--config=configs/enrol.py", f"--config.images=@{workdir / 'group-2.txt'}"} <= set(words)
    given = dict(word.removeprefix("--config.").split("=", 1) for word in words if word.startswith("--config."))
    numbers = {"images_per_source": int, "tiles": int, "min_luma_std": float}
    out = run_job("enrol", tmp_path, {key: numbers.get(key, str)(value) for key, value in given.items()})
    assert "unknown-2, from 7 images" in out


def test_what_was_left_out_and_the_page(done):
    workdir, out = done
    refused = (workdir / "rejected.csv").read_text()
    assert "broken.png" in refused and "is flat" in refused and "2 files could not be used" in out
    page = Page((workdir / "report" / "index.html").read_text())
    assert page.open == [] and "Group 2: 7 images" in page.text and "--config.most=100" in page.text


def test_an_image_that_is_like_no_other_stays_alone(places):
    weights = load(places / "network", "attribution")
    files = [str(places / "new" / "stripes"), str(places / "new" / "SNGAN" / "000.png")]
    found = group(weights, files, places / "known", of="all")
    assert [len(members) for members in found.groups] == [9]
    (alone,) = found.alone
    assert alone.name.endswith("SNGAN/000.png") and (alone.group, alone.distance, alone.silhouette) == (0, None, None)
    assert all(member.silhouette is None for member in found.groups[0])  # there is no second group


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": ""}, "no images: give those to group after --, or as config.images"),
        ({"of": "unknown"}, "the network has no calibration by which an image could be unknown"),
        ({"of": "nobody"}, "config.of is 'nobody'; give all or verdicts between commas: real, ProGAN, SNGAN, unsure"),
        ({"images": "flat"}, "none of 6 images can be used"),
        ({"images": "alike"}, "the images are all alike"),
        ({"images": "few"}, "4 of 4 images can be used (4 "),
        ({"smallest": 1}, "config.smallest is 1; give the number of images that make a group, 2 or more"),
        ({"most": 3}, "config.most is 3; give 5 or more"),
        ({"threshold": -1.0}, "config.threshold is -1.0; give 0 to 2"),
        ({"images_per_source": 10}, "config.images_per_source is 10; give 20 or more"),
    ],
)
def test_mistakes_are_said_in_one_line(places, tmp_path, changed, said):
    changed = {key: places / str(value) if key == "images" and value else value for key, value in changed.items()}
    with pytest.raises(UserError, match=re.escape(said)) as error:
        run_job("group:tiny", tmp_path, settings(places, **changed))
    assert "\n" not in str(error.value) and not (tmp_path / "groups.json").exists()


def test_a_group_is_enrolled_as_it_was_seen(tmp_path):
    config = dict.fromkeys(group_files.AS_GROUPED, 1) | {"data": {"root": "known", "layout": "sources"}, "most": 9}
    one, none = group_files.enrolments([tmp_path / "group-1.txt", None], config)
    assert {"--config.resize=1", "--config.data.layout=sources", "--config.name=unknown-1"} <= set(shlex.split(one))
    assert "most" not in one and none == ""


def test_a_name_that_ends_in_a_carriage_return_stays_whole(tmp_path):
    path = group_files._write(tmp_path / "group-1.txt", [f"/{i}.png" for i in range(4)] + ["/a.png\r"])
    assert [str(name) for name in paths_of(path)][-1] == "/a.png\r"
