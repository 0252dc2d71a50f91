"""The list of what was found: numbered, in parts, of a shard, and its digest."""

import tarfile

import pytest

from ganfp_jax.data import inventory
from ganfp_jax.data.entries import BESIDE, IMAGE
from ganfp_jax.data.shards import Shard
from ganfp_jax.run.errors import UserError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(9):
        (folder / f"{k}.png").touch()
        (folder / f"{k}.txt").touch()
    return folder


def taken(folder, images=None, shard=""):
    return inventory.taken(images or str(folder), Shard.parse(shard), folder.parent)


def test_parts_hold_so_many_images_and_what_lies_between(folder):
    with taken(folder) as listed:
        parts = list(listed.parts(4))
        assert [[entry.number for entry in part if entry.kind == IMAGE] for part in parts] == [
            *([1, 2, 3, 4], [5, 6, 7, 8], [9]),
        ]
        assert [entry.number for entry in parts[0] if entry.kind == BESIDE] == [1, 2, 3, 4]
        assert [len(listed.ends(size)) for size in (1, 3, 4, 9, 100)] == [9, 3, 3, 1, 1]
        assert listed.ends(4) == [4, 8, 9]
        assert len(list(listed.parts(3))) == 3 and len(list(listed)) == 18  # it is read again and again
    assert list(folder.parent.iterdir()) == [folder]


def test_a_part_holds_ten_times_as_many_things_at_most(folder):
    for k in range(45):
        (folder / f"4{k:02d}.txt").touch()  # behind 4.txt
    with taken(folder) as listed:
        parts = list(listed.parts(2))
        assert [len(part) for part in parts] == [4, 4, 20, 20, 11, 4]
        assert [entry for part in parts for entry in part] == list(listed)
        before = listed.ends(2)
        assert before == [2, 4, 5, 5, 7, 9]
    for k in range(20):
        (folder / f"2{k:02d}.txt").touch()
    with taken(folder) as listed:
        assert listed.ends(2)[:3] == [2, 3, 5]  # so a run that was stopped before does not go on


def test_what_the_job_has_written_is_no_image(folder):
    with inventory.taken(
        str(folder), Shard.parse(""), folder.parent, is_own=lambda path: path.endswith("3.png")
    ) as all_:
        own = [entry for entry in all_ if entry.path.endswith("3.png")]
        assert all_.images == 8 and [(entry.kind, entry.reason) for entry in own] == [(BESIDE, "written by this job")]


def test_shards_have_everything_once_with_the_numbers_of_all(folder):
    with taken(folder) as every:
        expected, digest = sorted(every), every.digest
    together, images = [], 0
    for k in range(3):
        with taken(folder, shard=f"{k}/3") as listed:
            together += listed
            images += listed.images
            assert listed.digest == digest
    assert sorted(together) == expected and images == 9


def test_a_shard_may_be_empty(folder):
    with taken(folder, str(folder / "1.png"), "0/2") as one, taken(folder, str(folder / "1.png"), "1/2") as other:
        assert sorted([one.images, other.images]) == [0, 1]
        assert sorted([one.ends(4), other.ends(4)]) == [[], [1]]


def test_the_digest_is_that_of_the_images(folder):
    def digest():
        with taken(folder) as listed:
            return listed.digest

    before = digest()
    (folder / "more.txt").touch()  # such as what the job itself writes, where the run folder lies among the images
    assert digest() == before
    (folder / "more.png").touch()
    assert digest() != before


def test_no_image(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for images, words in {
        str(tmp_path / "empty"): "empty: no image file in it",
        str(tmp_path / "missing.png"): "missing.png: no such file",
        (str(tmp_path / "*.gif"), "x.png"): r"\*.gif: nothing matches this pattern \(and 1 more\)",
        str(folder / "*.txt.png"): "nothing matches",
        ("", str(tmp_path / "empty")): "empty: no image file in it",
    }.items():
        with pytest.raises(UserError, match=f"there are no images to attribute: .*{words}"), taken(folder, images):
            pass


def test_what_is_inside_another_file_has_its_address(folder):
    with tarfile.open(folder.parent / "a b.tar", "w") as archive:
        archive.add(folder / "1.png", "in #1/ü.png")
    with taken(folder, str(folder.parent / "a b.tar")) as listed:
        (entry,) = listed
    assert entry.uri == f"{folder.parent.as_uri()}/a%20b.tar#in%20%231/%C3%BC.png"
    assert entry.file.read_bytes() == b"" and entry.name == f"{folder.parent}/a b.tar/in #1/ü.png"
