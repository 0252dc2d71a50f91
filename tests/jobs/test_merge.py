"""`attribute` in parts and shards, stopped anywhere, and `merge`: the bytes are those of one undisturbed run."""

import functools
import json
import shutil

import numpy as np
import opinions
import pytest
from PIL import Image, PngImagePlugin

from configs import attribute as attribute_config
from configs import merge as merge_config
from ganfp_jax.attribution import parts
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data.decode import encode_png
from ganfp_jax.interop.weights import FILE, write_file
from ganfp_jax.jobs import attribute as attribute_job
from ganfp_jax.jobs import merge as merge_job
from ganfp_jax.run import console
from ganfp_jax.run.errors import UserError

IMAGES = 23


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network")
    write_file(path / FILE, opinions.weights())
    return path


def says_who_made_it(path):
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "NovelAI")
    with Image.open(path) as image:
        image.save(path, pnginfo=text)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Twenty-three pictures, some larger and with a note, in folders with a broken one and two others, and nothing."""
    folder = tmp_path_factory.mktemp("archive")
    for i, picture in enumerate(opinions.pictures(IMAGES)):
        place = folder / f"year {i % 3}"
        place.mkdir(exist_ok=True)
        encode_png(place / f"={i:02d}.png", np.tile(picture, (2, 2, 1)) if i % 4 == 0 else picture)
        if i % 5 == 0:
            says_who_made_it(place / f"={i:02d}.png")
    (folder / "year 1" / "broken.png").write_bytes(b"no image")
    for name in ("notes.txt", "year 2/list.html"):
        (folder / name).write_text("beside")
    return str(folder), "missing.png"


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    monkeypatch.setattr(attribute_job.Attributor, "load", load)


load = functools.cache(Attributor.load)


def run(network, workdir, images, **settings):
    workdir.mkdir(parents=True, exist_ok=True)
    config = attribute_config.get_config().to_dict() | {"checkpoint": network, "images": images, "views": "mirror"}
    return attribute_job.run(config | {"batch_size": 4, "part_size": 5} | settings, workdir)


def merge(folder, workdir):
    workdir.mkdir(parents=True, exist_ok=True)
    return merge_job.run(merge_config.get_config().to_dict() | {"parts": str(folder)}, workdir)


def contents(workdir):
    return {path.name: path.read_bytes() for path in workdir.iterdir()}


@pytest.fixture(scope="module")
def whole(network, asked, tmp_path_factory):
    """What one run in one part leaves: four files and no more."""
    workdir = tmp_path_factory.mktemp("whole")
    assert run(network, workdir, asked, part_size=1000) == 3
    left = contents(workdir)
    assert sorted(left) == sorted(parts.FILES)
    rejected = left["rejected.csv"].decode().splitlines()[1:]
    assert [row.rpartition(",")[2] for row in rejected] == [
        "no such file",
        "not an image",
        *["not an image by its name"] * 2,
    ]
    assert len(left["notes.csv"].splitlines()) == 7 and len(left["predictions.csv"].splitlines()) == IMAGES + 1
    return left


def stopping(monkeypatch, owner, name, after):
    """Lets a function be called so many times; then the run is stopped in it, as by Ctrl-C."""
    call, calls = getattr(owner, name), []

    def counted(*arguments, **settings):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return call(*arguments, **settings)

    monkeypatch.setattr(owner, name, counted)


STOPS = [
    *[(parts.Part, "add", after) for after in (0, 3, 4, 5, 11, 22)],
    *[(parts.Part, "finish", after) for after in (0, 1, 4)],
    *[(parts, "settle", after) for after in (0, 2)],
    (attribute_job, "decode_and_look", 3),
    (parts, "join", 0),
    (parts, "remove", 0),
]


@pytest.mark.parametrize(("owner", "name", "after"), STOPS)
def test_a_stopped_run_goes_on_and_leaves_the_same(
    network, asked, whole, tmp_path, monkeypatch, capsys, owner, name, after
):
    with monkeypatch.context() as stopped:
        stopping(stopped, owner, name, after)
        with pytest.raises(KeyboardInterrupt):
            run(network, tmp_path, asked)
    done = {part.name: part.stat().st_ino for part in parts.done(tmp_path)}
    assert not (tmp_path / parts.FOLDER).exists() or done  # of what is not done, nothing stays
    with monkeypatch.context() as looking:
        begun = []
        settle = parts.settle
        looking.setattr(parts, "settle", lambda *given: begun.append(parts.done(tmp_path)) or settle(*given))
        assert run(network, tmp_path, asked) == 3
    assert len(begun) == 6 - len(done)  # the others are not made again
    assert contents(tmp_path) == whole
    out = capsys.readouterr().out
    assert "missing.png: no such file" in out and f"2 files could not be used: {tmp_path / 'rejected.csv'}" in out
    assert any(line.split()[:2] == ["all", str(IMAGES)] for line in out.splitlines()) == bool(done)


def test_what_a_kill_leaves_is_removed_and_what_is_not_ours_stays(network, asked, whole, tmp_path):
    left = (
        ".unfinished-part/predictions.csv",
        "parts/000007/part.json",
        "parts/000008/part.json",
        "parts/removed.json",
    )
    for name in (*left, "parts/2024/holiday.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half a li")
    run(network, tmp_path, asked)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["2024"]
    assert (tmp_path / "parts" / "2024" / "holiday.png").is_file()
    shutil.rmtree(tmp_path / "parts")
    assert contents(tmp_path) == whole


def test_parts_can_be_read_while_the_work_goes_on(network, asked, whole, tmp_path, monkeypatch):
    stopping(monkeypatch, parts.Part, "add", 12)
    with pytest.raises(KeyboardInterrupt):
        run(network, tmp_path, asked)
    first, second = parts.done(tmp_path)
    assert (first.name, second.name) == ("000000", "000001")
    table = [(part / "predictions.csv").read_bytes().splitlines() for part in (first, second)]
    assert table[0] + table[1][1:] == whole["predictions.csv"].splitlines()[:11]


def test_results_are_printed_again_by_the_run_that_goes_on(network, asked, tmp_path, monkeypatch):
    with monkeypatch.context() as stopped:
        stopping(stopped, parts.Part, "add", 12)
        with pytest.raises(KeyboardInterrupt):
            run(network, tmp_path, asked)
    printed: list[dict] = []
    monkeypatch.setattr(console, "emits", lambda: True)
    monkeypatch.setattr(console, "emit", printed.append)
    run(network, tmp_path, asked)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [line for line in printed if "verdict" in line] == lines
    reasons = [line["reason"] for line in printed if "reason" in line]
    assert reasons == ["not an image", "no such file"]


@pytest.fixture
def stopped(network, asked, tmp_path, monkeypatch):
    with monkeypatch.context() as stopped:
        stopping(stopped, parts.Part, "add", 12)
        with pytest.raises(KeyboardInterrupt):
            run(network, tmp_path / "run", asked)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"views": "identity"}, "views (identity mirror there, identity now)"),
        ({"rule": "mean_logit"}, "rule (majority there, mean_logit now)"),
        ({"part_size": 6}, "part_size (5 there, 6 now), parts (5 there, 4 now)"),
        ({"tiles": 1}, "tiles (64 there, 1 now)"),
        ({"shard": "0/2"}, "shard (none there, 0/2 now)"),
    ],
)
def test_other_work_does_not_go_on(network, asked, stopped, settings, words):
    before = sorted(stopped.rglob("*"))
    with pytest.raises(UserError) as error:
        run(network, stopped, asked, **settings)
    assert f"{stopped / 'parts'} holds 2 of 5 parts of other work: " in str(error.value) and words in str(error.value)
    assert "choose another --workdir, or delete that folder" in str(error.value)
    assert sorted(stopped.rglob("*")) == before


def test_another_network_or_list_does_not_go_on(network, asked, stopped, tmp_path):
    weights = opinions.weights()
    other = tmp_path / "other" / FILE
    write_file(other, weights.__class__(**{**vars(weights), "variables": _changed(weights.variables)}))
    with pytest.raises(UserError, match=r"parts of other work: network \(\w{12} there, \w{12} now\); choose"):
        run(other, stopped, asked)
    shutil.copytree(asked[0], tmp_path / "more")
    shutil.copy(tmp_path / "more" / "year 0" / "=00.png", tmp_path / "more" / "new.png")
    with pytest.raises(UserError, match=r"parts of other work: images \(\w{12} there, \w{12} now\).*; choose"):
        run(network, stopped, (str(tmp_path / "more"), "missing.png"))


def _changed(tree):
    if isinstance(tree, dict):
        return {name: _changed(value) for name, value in tree.items()}
    return tree * np.float32(1.5)


def test_a_damaged_part_is_named(network, asked, stopped):
    lines = stopped / "parts" / "000001" / "predictions.jsonl"
    lines.write_bytes(lines.read_bytes().partition(b"\n")[2])
    with pytest.raises(UserError, match=r"000001/predictions\.jsonl is damaged .*delete .*000001 and run the same"):
        run(network, stopped, asked)
    shutil.rmtree(lines.parent)
    assert run(network, stopped, asked) == 3


def test_no_part_of_no_images(network, asked, tmp_path):
    with pytest.raises(UserError, match=r"config\.part_size is 0; give the number of images a part"):
        run(network, tmp_path, asked, part_size=0)


# --- shards


@pytest.fixture(scope="module")
def sharded(network, asked, tmp_path_factory):
    """Three shards in one folder."""
    folder = tmp_path_factory.mktemp("sharded")
    for k in range(3):
        run(network, folder / str(k), asked, shard=f"{k}/3", part_size=3)
    return folder


@pytest.fixture
def shards(sharded, tmp_path):
    return shutil.copytree(sharded, tmp_path / "shards")


def test_merged_shards_are_the_unsharded_run(shards, whole, tmp_path, capsys):
    before = sorted(shards.rglob("*"))
    assert merge(shards, tmp_path / "merged") == 3
    assert contents(tmp_path / "merged") == whole
    assert sorted(shards.rglob("*")) == before
    out = capsys.readouterr().out
    assert any(line.split()[:2] == ["all", str(IMAGES)] for line in out.splitlines())
    assert f"missing.png: no such file\n{shards.parent}" not in out and "2 files could not be used" in out


def test_a_shard_that_was_stopped_and_one_that_is_done(network, asked, whole, shards, tmp_path, monkeypatch, capsys):
    shutil.rmtree(shards / "1")
    with monkeypatch.context() as stopped:
        stopping(stopped, parts.Part, "add", 4)
        with pytest.raises(KeyboardInterrupt):
            run(network, shards / "1", asked, shard="1/3", part_size=3)
    with pytest.raises(UserError, match=r"shards is not complete: shard 1/3 in .* has 1 of \d parts; run those again"):
        merge(shards, tmp_path / "merged")
    assert not list((tmp_path / "merged").iterdir())
    run(network, shards / "1", asked, shard="1/3", part_size=3)
    merge(shards, tmp_path / "merged")
    assert contents(tmp_path / "merged") == whole
    times = {path: path.stat().st_mtime_ns for path in shards.rglob("*")}
    run(network, shards / "2", asked, shard="2/3", part_size=3)  # again: nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in shards.rglob("*") if path != shards / "2"} == {
        path: time for path, time in times.items() if path != shards / "2"
    }
    assert "parts of shard 2/3: " in capsys.readouterr().out


def test_what_is_missing_or_does_not_belong_is_said(network, asked, shards, tmp_path):
    workdir = tmp_path / "merged"
    with pytest.raises(UserError, match=r"has no shards in it; give the folder in which"):
        merge(tmp_path / "nowhere", workdir)
    shutil.copytree(shards / "1", shards / "copy")
    with pytest.raises(UserError, match=r"shards/copy and .*shards/1 are the same shard; take one of them out"):
        merge(shards, workdir)
    shutil.rmtree(shards / "copy")
    shutil.rmtree(shards / "1")
    with pytest.raises(UserError, match="shards is not complete: shard 1/3 is missing; run those again"):
        merge(shards, workdir)
    run(network, shards / "1", asked[0], shard="1/3", part_size=3)  # a list without missing.png
    with pytest.raises(UserError, match=r"shards/1 is other work than .*shards/0: images \(\w{12} there"):
        merge(shards, workdir)


def test_a_shard_without_images_counts(network, whole, tmp_path):
    one = tmp_path / "one.png"
    encode_png(one, opinions.pictures(1)[0])
    for k in range(2):
        assert run(network, tmp_path / "shards" / str(k), str(one), shard=f"{k}/2") == 0
    assert merge(tmp_path / "shards", tmp_path / "merged") == 0
    run(network, tmp_path / "whole", str(one))
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")


def test_no_folder_of_shards(tmp_path):
    with pytest.raises(UserError, match=r"config\.parts is empty; give the folder with the run folders of the shards"):
        merge("", tmp_path)


def test_shards_of_which_no_image_can_be_used(network, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in "abcd":
        (images / f"{name}.png").write_bytes(b"no image")
    for i in range(2):
        assert run(network, tmp_path / "shards" / str(i), str(images), shard=f"{i}/2") == 3
    assert merge(tmp_path / "shards", tmp_path / "merged") == 3
    assert "all" in capsys.readouterr().out
    assert len((tmp_path / "merged" / "rejected.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("key", ["maps", "evidence"])
def test_a_map_without_windows_is_refused_before_anything_is_read(network, tmp_path, key):
    with pytest.raises(UserError, match=r"config\.map_windows is 0; give how many"):
        run(network, tmp_path / "run", str(tmp_path / "none"), map_windows=0, **{key: str(tmp_path / "out")})
