"""The job `attribute`: every file gets a verdict or a reason, the same on the console, in CSV and in JSON lines."""

import csv
import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tarfile
import urllib.parse
from pathlib import Path

import corpus
import numpy as np
import opinions
import pyarrow
import pytest
from html_page import Page
from PIL import Image, PngImagePlugin
from pyarrow import parquet

from configs import attribute as config_file
from ganfp_jax.attribution import parts
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.calibration import calibrate
from ganfp_jax.attribution.verdict import NOTHING, UNSURE
from ganfp_jax.data.cells import text_of
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.listing import printable
from ganfp_jax.interop.weights import CALIBRATION, FILE, write_file
from ganfp_jax.jobs import attribute as attribute_job
from ganfp_jax.report import pdf
from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parents[2]
VIEWS = "mirror"
# Pillow warns about metadata that it cannot read, and about bombs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network")
    write_file(path / FILE, opinions.weights())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures in two folders, and a note beside them."""
    folder = tmp_path_factory.mktemp("images")
    for i, picture in enumerate(opinions.pictures(40)):
        place = folder / ("a" if i < 20 else "b/deep")
        place.mkdir(parents=True, exist_ok=True)
        encode_png(place / f"{i:02d}.png", picture)
    (folder / "notes.txt").write_text("no image")
    return folder


def run(network, workdir, images, **settings):
    workdir.mkdir(exist_ok=True)
    settings = {"checkpoint": str(network), "images": images, "views": VIEWS} | settings
    return attribute_job.run(config_file.get_config("tiny").to_dict() | settings, workdir)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records(workdir):
    return [json.loads(line) for line in (workdir / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_verdicts_are_those_of_the_python_api(network, folder, tmp_path, capsys):
    paths = sorted(map(str, folder.glob("a/*.png")))[:5]
    assert run(network, tmp_path, tuple(paths)) == 0
    expected = Attributor.load(network).attribute(paths, VIEWS, batch_size=32)
    found = records(tmp_path)
    assert [line["image"] for line in found] == paths
    for line, verdict in zip(found, expected, strict=True):
        assert (line["verdict"], line["predicted"]) == (verdict.verdict, verdict.predicted)
        assert (line["votes"], line["views"]) == (verdict.votes, verdict.views)
        for name in ("confidence", "margin", "distance"):
            assert line[name] == pytest.approx(getattr(verdict, name), abs=1e-5)
        assert line["probabilities"] == pytest.approx(verdict.probabilities, abs=1e-5)
    out = capsys.readouterr().out
    for line in found:
        shown = next(text for text in out.splitlines() if text.startswith(line["image"]))
        assert f"{line['votes'][line['predicted']]} of 2" in shown and f" {line['margin']:.2f} " in shown


def test_by_default_the_views_are_those_of_the_training(folder, tmp_path, capsys):
    weights = opinions.weights()
    write_file(tmp_path / FILE, dataclasses.replace(weights, about=weights.about | {"augment": "mirror"}))
    run(tmp_path / FILE, tmp_path / "run", str(folder / "a" / "00.png"), views="")
    assert list(records(tmp_path / "run")[0]["views"]) == ["identity", "mirror"]


def test_a_folder_in_pieces_and_its_csv(network, folder, tmp_path, capsys):
    assert run(network, tmp_path, str(folder), batch_size=8) == 0  # the note beside the images is not amiss
    lines, table = records(tmp_path), rows(tmp_path / "predictions.csv")
    names = [str(folder / "a" / f"{i:02d}.png") for i in range(20)]
    names += [str(folder / "b" / "deep" / f"{i:02d}.png") for i in range(20, 40)]
    assert [row["image"] for row in table] == [line["image"] for line in lines] == names
    classes = opinions.weights().about["classes"]
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    contract = ["image", "target", "predicted", "confidence", "votes", *classes]
    assert header.split(",") == [*contract, "verdict", "margin", "distance", "typicality", "sources", "tiles", "claims"]
    for row, line in zip(table, lines, strict=True):
        assert row["target"] == ""
        assert (row["predicted"], row["verdict"]) == (line["predicted"], line["verdict"])
        assert json.loads(row["votes"]) == line["votes"]
        for name in ("confidence", "margin", "distance"):
            assert float(row[name]) == line[name]
        assert {name: float(row[name]) for name in classes} == line["probabilities"]
        assert row["confidence"] == row[row["predicted"]]
    assert rows(tmp_path / "rejected.csv") == [
        {"image": str(folder / "notes.txt"), "reason": "not an image by its name"}
    ]
    out = capsys.readouterr().out
    for name in classes:
        count = sum(line["verdict"] == name for line in lines)
        assert any(text.split()[:2] == [name, str(count)] for text in out.splitlines())
    assert "00.png" not in out and UNSURE not in out.split("No verdict")[0]
    # Again with other pieces, and one by one: the same verdicts.
    run(network, tmp_path / "again", str(folder))
    assert [line["predicted"] for line in records(tmp_path / "again")] == [line["predicted"] for line in lines]


def test_what_files_say_of_themselves_stands_beside_the_verdict(network, folder, tmp_path, capsys):
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", '{"1": {"class_type": "KSampler"}}')
    plain = folder / "a" / "00.png"
    made, evidence = tmp_path / "made.png", tmp_path / "pages"
    with Image.open(plain) as image:
        image.save(made, pnginfo=text)
    assert run(network, tmp_path / "run", (str(plain), str(made)), evidence=str(evidence), evidence_pdf=False) == 0
    without, found = records(tmp_path / "run")
    assert (without["claims"], without["disagreement"]) == ([], "")
    assert found["claims"] == ["text 'prompt': ComfyUI"] and found["disagreement"].startswith("The file says that Com")
    untouched = ("verdict", "probabilities", "votes", "views", "margin", "distance", "note")
    assert {key: found[key] for key in untouched} == {key: without[key] for key in untouched}
    table = rows(tmp_path / "run" / "predictions.csv")
    assert [row["claims"] for row in table] == ["", json.dumps([*found["claims"], found["disagreement"]])]
    (verdict,) = Attributor.load(network).attribute([made], VIEWS)
    assert ([*verdict.claims], verdict.disagreement) == (found["claims"], found["disagreement"])
    out = capsys.readouterr().out
    assert "claims: 1 file says how it was made, 1 against the verdict" in out
    assert f"{found['claims'][0]}; {found['disagreement']}" in out
    pages = [Page(Path(line["page"]).read_text()).text for line in (without, found)]
    assert found["disagreement"] in pages[1] and "says of its own making" not in pages[0]


def test_results_stay_until_there_are_new_ones(network, folder, tmp_path, monkeypatch):
    run(network, tmp_path / "run", str(folder / "a"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parts.Part, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(network, tmp_path / "run", str(folder / "b"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_strangers_files(network, tmp_path, capsys):
    """Of the corpus every file is answered or named with the reason why not."""
    files = corpus.build(tmp_path / "corpus")
    assert run(network, tmp_path / "run", str(tmp_path / "corpus")) == 3
    answered = {row["image"] for row in rows(tmp_path / "run" / "predictions.csv")}
    rejected = {row["image"]: row["reason"] for row in rows(tmp_path / "run" / "rejected.csv")}
    assert not answered & rejected.keys()
    for file, path in files:
        name = printable(str(path))
        assert (name in answered) != (name in rejected), name
        if file.pixels is None and not file.left_out:
            assert name in rejected
    notes = {row["image"]: row["note"] for row in rows(tmp_path / "run" / "notes.csv")}
    assert notes[str(tmp_path / "corpus" / "wide.png")] == "6 tiles, 100.0% of 40x17"
    assert {line["image"]: line["note"] for line in records(tmp_path / "run") if line["note"]} == notes
    out = capsys.readouterr().out
    beside = sum(reason in ("not an image by its name", "is a folder") for reason in rejected.values())
    assert f"{len(rejected) - beside} files could not be used: {tmp_path / 'run' / 'rejected.csv'}" in out
    assert "\x1b[" not in out


def test_names_that_break_lines(network, folder, tmp_path, capsys):
    strange = tmp_path / "two\nlines, “quoted”.png"
    strange.write_bytes((folder / "a" / "00.png").read_bytes())
    surrogate = tmp_path / os.fsdecode(b"byte\xff.png")
    surrogate.write_bytes(strange.read_bytes())
    assert run(network, tmp_path / "run", (str(strange), str(surrogate))) == 0
    names = [str(tmp_path / "two\\nlines, “quoted”.png"), str(tmp_path / "byte\\xff.png")]
    assert [row["image"] for row in rows(tmp_path / "run" / "predictions.csv")] == names
    assert [line["image"] for line in records(tmp_path / "run")] == names
    assert names[0] in capsys.readouterr().out


STRANGE = [
    *(b"-x.png", b"@2x/icon.png", b"=1+1.png", b"'quoted'.png", b"two\nlines.png", b"two\\nlines.png", b"byte\xff.png"),
    *(b"100% #1?.png", b'a "b", c.png', "生成 é.png".encode()),
]


def test_uris_open_the_files_whatever_their_names(network, folder, tmp_path, monkeypatch):
    pictures = sorted(folder.glob("*/**/*.png"))
    contents = {os.fsdecode(name): picture.read_bytes() for name, picture in zip(STRANGE, pictures, strict=False)}
    for name, content in contents.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path / "images")
    assert run(network, tmp_path / "run", tuple(contents)) == 0
    lines, table = records(tmp_path / "run"), rows(tmp_path / "run" / "predictions.csv")
    for line, content in zip(lines, contents.values(), strict=True):
        scheme, path = line["uri"].split("://")
        assert scheme == "file" and path.startswith("/") and path.isascii()
        assert Path(os.fsdecode(urllib.parse.unquote_to_bytes(path))).read_bytes() == content
        assert list(line)[-1] == "uri"
    shown = [line["image"] for line in lines]
    assert shown[:4] == ["-x.png", "@2x/icon.png", "=1+1.png", "'quoted'.png"]
    assert len(set(shown)) == len(shown)
    assert [text_of(row["image"]) for row in table] == shown
    assert [row["image"] for row in table][:4] == ["'-x.png", "'@2x/icon.png", "'=1+1.png", "''quoted'.png"]


def test_lists_tables_and_archives_give_the_verdicts_of_the_files(network, folder, tmp_path, monkeypatch):
    """One row an image; a broken member, a row without an image and a missing file have their reasons."""
    pictures = sorted((folder / "a").glob("*.png"))[:4]
    run(network, tmp_path / "run", tuple(map(str, pictures)))
    expected = [line["probabilities"] for line in records(tmp_path / "run")]
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for picture in pictures:
            archive.add(picture, f"key/{picture.name}")
        archive.addfile(tarfile.TarInfo("key/broken.png"))
    rows_of = [picture.read_bytes() for picture in pictures] + [None]
    parquet.write_table(pyarrow.table({"image": rows_of}), tmp_path / "set.parquet")
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in [*pictures, "missing.png"]))
    (tmp_path / "table.csv").write_text("".join(f"{path},\n" for path in ["path", *pictures, "missing.png"]))
    monkeypatch.chdir(tmp_path)
    for images, reason, uri in (
        ("@list.txt", "no such file", pictures[3].as_uri()),
        ("table.csv", "no such file", pictures[3].as_uri()),
        ("set.tar", "empty file", f"{tmp_path.as_uri()}/set.tar#key/03.png"),
        ("set.parquet", "no image in this row", f"{tmp_path.as_uri()}/set.parquet#3"),
    ):
        assert run(network, tmp_path / "run", images) == 3
        assert [line["probabilities"] for line in records(tmp_path / "run")] == expected
        assert [row["reason"] for row in rows(tmp_path / "run" / "rejected.csv")] == [reason]
        assert records(tmp_path / "run")[3]["uri"] == uri
    assert [row["image"] for row in rows(tmp_path / "run" / "predictions.csv")] == [
        f"set.parquet/{k}" for k in range(4)
    ]


def test_no_file_that_can_be_read(network, folder, tmp_path, capsys):
    assert run(network, tmp_path, str(folder / "notes.txt")) == 3
    assert rows(tmp_path / "predictions.csv") == records(tmp_path) == []
    assert f"{folder / 'notes.txt'}: not an image\n1 file could not be used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"checkpoint": ""}, "config.checkpoint is empty"),
        ({"rule": "loudest"}, "unknown vote rule 'loudest'"),
        ({"views": "all"}, "all"),
        ({"resize": "squeeze"}, "unknown resize 'squeeze'"),
    ],
)
def test_bad_settings_are_said_before_any_work(network, folder, tmp_path, settings, words):
    with pytest.raises(UserError, match=words):
        run(network, tmp_path, str(folder), **settings)
    assert not list(tmp_path.iterdir())


def test_unsure_and_why_not(network, folder, tmp_path, capsys):
    """Calibrated, with other views than those, with weights that changed, and not at all."""
    one = str(folder / "a" / "0*.png")
    run(network, tmp_path / "run", one)
    out = capsys.readouterr().out
    assert "No verdict is unsure: this network is not calibrated; do that" in out and "typicality" not in out
    assert "There are other sources: their images get one of these names all the same." in out
    calibrated = tmp_path / "calibrated"
    write_file(calibrated / FILE, opinions.weights())
    attributor = Attributor.load(network)
    verdicts = attributor.attribute(opinions.pictures(40), VIEWS)
    labelled = tmp_path / "labelled"
    for i, (picture, verdict) in enumerate(zip(opinions.pictures(40), verdicts, strict=True)):
        source = verdict.predicted if verdict.margin > 0.3 else attributor.classes[i % 3]
        (labelled / source).mkdir(parents=True, exist_ok=True)
        encode_png(labelled / source / f"{i}.png", picture)
    found = calibrate(attributor, labelled, views=VIEWS, error_rate=0.3)
    (calibrated / CALIBRATION).write_text(json.dumps(found.to_dict()))
    run(calibrated, tmp_path / "run", str(folder))
    unsure = [line for line in records(tmp_path / "run") if line["verdict"] == UNSURE]
    assert len(unsure) == found.images - found.decided > 0
    assert all(line["margin"] < found.threshold + 1e-6 and line["predicted"] != UNSURE for line in unsure)
    out = capsys.readouterr().out
    assert any(text.split()[:2] == [UNSURE, str(len(unsure))] for text in out.splitlines())
    assert f"unsure: where the margin is under {found.threshold:.3g}. No more than 30% of the other verdicts" in out
    run(calibrated, tmp_path / "run", unsure[0]["image"])
    assert f"unsure ({unsure[0]['predicted']}?)" in capsys.readouterr().out
    run(calibrated, tmp_path / "run", one, views="identity")
    assert "was calibrated for majority of identity, mirror, not for these views" in capsys.readouterr().out
    (calibrated / CALIBRATION).write_text(json.dumps(found.to_dict() | {"digest": "0" * 64}))
    run(calibrated, tmp_path / "run", one)
    assert "its calibration.json is of other weights" in capsys.readouterr().out


def test_what_an_image_is_typical_of_is_said_everywhere(network, tmp_path, capsys):
    """The console, both files of predictions and the notes; calibrated on the pictures by what they are taken for."""
    attributor = Attributor.load(network)
    for i, (picture, said) in enumerate(
        zip(opinions.pictures(250), attributor.attribute(opinions.pictures(250), VIEWS), strict=True)
    ):
        (tmp_path / "images" / said.predicted).mkdir(parents=True, exist_ok=True)
        encode_png(tmp_path / "images" / said.predicted / f"{i}.png", picture)
    calibrated = tmp_path / "calibrated"
    write_file(calibrated / FILE, opinions.weights())
    found = calibrate(attributor, tmp_path / "images", views=VIEWS, error_rate=0.1, unknown_rate=0.1)
    (calibrated / CALIBRATION).write_text(json.dumps(found.to_dict()))
    run(calibrated, tmp_path / "run", str(tmp_path / "images"))
    out, lines = capsys.readouterr().out, records(tmp_path / "run")
    for word in ("unknown", UNSURE):
        number = sum(line["verdict"] == word for line in lines)
        assert number and any(text.split()[:2] == [word, str(number)] for text in out.splitlines())
    assert "unknown: where no source has a p-value above 0.1; unsure: where another source than" in out
    assert "There are other sources: their images are unknown where they are unlike all of these" in out
    for line, row in zip(lines, rows(tmp_path / "run" / "predictions.csv"), strict=True):
        if line["verdict"] == NOTHING:
            assert (line["typicality"], row["typicality"], row["sources"]) == (None, "", "")
        else:
            assert (float(row["typicality"]), json.loads(row["sources"])) == (line["typicality"], line["sources"])
    notes = {row["image"]: row["note"] for row in rows(tmp_path / "run" / "notes.csv")}
    several = next(line for line in lines if len(line["sources"]) == 2)
    assert notes[several["image"]] == several["note"] == f"could be {' or '.join(several['sources'])}"
    unknown = next(line for line in lines if line["verdict"] == "unknown")
    run(calibrated, tmp_path / "run", unknown["image"])
    header, _, text = capsys.readouterr().out.splitlines()[:3]
    assert header.split()[-2:] == ["typicality", "note"] and "is like none of the known sources" in text


# --- on the command line


def command(*arguments):
    line = [sys.executable, "-m", "ganfp_jax.main", *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout, done.stderr


def test_images_after_two_dashes(network, folder, tmp_path):
    start = ["--config=configs/attribute.py:tiny", f"--config.checkpoint={network}", f"--config.views={VIEWS}"]
    start += [f"--workdir={tmp_path / 'run'}"]
    status, out, err = command(*start, "--", folder / "a" / "00.png", f"{folder}/b/**/2*.png", "--help")
    assert status == 3, err  # "--help" is a file there, which does not exist
    assert len(records(tmp_path / "run")) == 11 and "--help: no such file" in out
    status, out, err = command(*start, "--", folder / "a" / "01.png")
    assert status == 0, err
    assert [line["image"] for line in records(tmp_path / "run")] == [str(folder / "a" / "01.png")]
    status, _, err = command(*start, "--", tmp_path / "missing.png")
    assert status == 2 and err.count("\n") == 1 and "missing.png: no such file" in err


def test_a_list_on_standard_input(network, folder, tmp_path):
    line = [sys.executable, "-m", "ganfp_jax.main", "attribute:tiny", "-", f"--checkpoint={network}", "--json"]
    line += [f"--views={VIEWS}", f"--workdir={tmp_path / 'run'}"]
    given = f"{folder}/a/01.png\nmissing.png\n{folder}/a/00.png\n"
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, input=given, timeout=240, check=False)
    assert done.returncode == 3, done.stderr
    assert [Path(json.loads(text)["image"]).name for text in done.stdout.splitlines()] == [
        *("missing.png", "01.png", "00.png"),
    ]


def test_only_this_job_takes_them():
    status, _, err = command("--config=configs/generate.py:tiny", "--", "a.png")
    assert status == 2 and "error: bad command line: generate takes no 'a.png'; write --config.key=value" in err


def test_heavy_libraries_are_left_alone(network, folder, tmp_path):
    """The first verdict must not wait for what only other jobs need."""
    line = [sys.executable, "-X", "importtime", "-m", "ganfp_jax.main", "--config=configs/attribute.py:tiny"]
    line += [f"--config.checkpoint={network / FILE}", "--config.views=identity", f"--workdir={tmp_path / 'run'}"]
    line += ["--", str(folder / "a" / "00.png")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = {text.rpartition("|")[2].strip().partition(".")[0] for text in done.stderr.splitlines()}
    assert {"jax", "flax", "safetensors"} <= imported
    assert not imported & {"jinja2", "matplotlib", "optax", "orbax", "scipy", "sklearn", "tensorflow_datasets"}


def test_maps_lie_in_their_folder_and_are_named(network, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), np.uint8)
    noise[1] = 77
    for name, picture in zip(("=one.png", "two.png"), noise, strict=True):
        encode_png(tmp_path / name, picture)
    encode_png(tmp_path / "small.png", noise[0, :9])
    settings = {"maps": str(tmp_path / "maps"), "map_windows": 30}
    assert run(network, tmp_path / "run", (str(tmp_path / "*.png"),), **settings) == 3
    found = records(tmp_path / "run")
    names = ("000001_=one", "000003_two")
    assert [line["map"] for line in found] == [str(tmp_path / "maps" / f"{name}.png") for name in names]
    files = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert files == [f"{name}.{kind}" for name in names for kind in ("npz", "png")]
    assert found[0]["note"] == "12 tiles, 100.0% of 56x40" and found[1]["verdict"] == NOTHING
    assert found[0]["tiles"] == 12 and sum(found[0]["votes"].values()) == 24
    assert np.load(tmp_path / "maps" / "000003_two.npz")["labels"].max() == -1
    out = capsys.readouterr().out
    assert f"maps: {tmp_path / 'maps'}" in out and "nothing to see" in out
    with pytest.raises(UserError, match=r"config\.map_windows is -1"):
        run(network, tmp_path / "run", str(tmp_path), **settings | {"map_windows": -1})
    with pytest.raises(UserError, match=r"config\.tiles is -2"):
        run(network, tmp_path / "run", str(tmp_path), tiles=-2)


@pytest.fixture
def two_folders(tmp_path):
    """Two files of one name, one with a name that is markup, one that cannot be used."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)
    names = ("a/one.png", "b/one.png", "b/<img src=x> #1%.png")
    for name, picture in zip(names, noise, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        encode_png(tmp_path / name, picture)
    (tmp_path / "b" / "broken.png").write_bytes(b"no image")
    return tmp_path


def test_every_image_gets_a_page_of_evidence(network, two_folders, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pdf, "browser", lambda: None)
    images, place = (str(two_folders / "a"), str(two_folders / "b")), tmp_path / "evidence"
    (place / "000001_one.pdf").parent.mkdir()
    (place / "000001_one.pdf").write_text("of an earlier run")
    assert run(network, tmp_path / "run", images, evidence=str(place), map_windows=30) == 3
    lines = records(tmp_path / "run")
    names = ["000001_one.html", "000002_<img src=x> #1%.html", "000004_one.html"]
    assert [line["page"] for line in lines] == [str(place / name) for name in names]
    assert sorted(path.name for path in place.iterdir()) == sorted([*names, "index.html"])
    for line in lines:
        content = Path(line["image"]).read_bytes()
        page = Page(Path(line["page"]).read_text())
        assert line["sha256"] == hashlib.sha256(content).hexdigest() and line["sha256"] in page.text
        assert line["image"] in page.text and line["pdf"] == "" and "map" not in line
        assert any(attrs["alt"].startswith("Map of") for attrs in page.all("img"))
        assert f"-- {shlex.quote(line['image'])}" in page.text
    index = Page((place / "index.html").read_text())
    links = [urllib.parse.unquote(attrs["href"]) for attrs in index.all("a") if not attrs["href"].startswith("#")]
    assert links == names
    assert f"{two_folders / 'b' / 'broken.png'} not an image" in index.text and "1 file refused" in index.text
    assert f"evidence: {place / 'index.html'}" in capsys.readouterr().out
    # The verdicts are those of a run without pages, and what is written besides is written then, too.
    run(network, tmp_path / "plain", images, maps=str(tmp_path / "maps"), map_windows=30)
    plain = records(tmp_path / "plain")
    assert [line["probabilities"] for line in plain] == [line["probabilities"] for line in lines]
    assert all(line.keys().isdisjoint({"page", "pdf", "sha256"}) for line in plain)


def test_what_a_verdict_stands_up_to_is_in_the_lines_and_on_the_page(network, two_folders, tmp_path):
    encode_png(tmp_path / "flat.png", np.full((20, 20, 3), 90, np.uint8))
    images = (str(two_folders / "b"), str(tmp_path / "flat.png"))
    place = str(tmp_path / "e")
    run(network, tmp_path / "run", images, evidence=place, evidence_pdf=False, map_windows=30, stability=True)
    *lines, flat = records(tmp_path / "run")
    attributor = Attributor.load(network)
    for line in lines:
        assert line["stability"] == attributor.stability(line["image"], VIEWS).record()
        page = Page(Path(line["page"]).read_text())
        assert "What the verdict stands up to" in page.text
    assert flat["stability"] is None and "stands up to" not in Path(flat["page"]).read_text()
    run(network, tmp_path / "plain", images)
    assert all("stability" not in line for line in records(tmp_path / "plain"))


def test_pdfs_are_made_until_one_fails(network, two_folders, tmp_path, capsys, monkeypatch):
    printed = []

    def print_page(chromium, page):
        printed.append(page.name)
        made = page.with_suffix(".pdf")
        return made if len(printed) == 1 and made.write_bytes(b"%PDF-") else None

    monkeypatch.setattr(pdf, "browser", lambda: "chromium")
    monkeypatch.setattr(pdf, "print_page", print_page)
    images = (str(two_folders / "a"), str(two_folders / "b"))
    assert run(network, tmp_path / "run", images, evidence=str(tmp_path / "e"), map_windows=30) == 3
    assert [Path(line["pdf"]).name for line in records(tmp_path / "run")] == ["000001_one.pdf", "", ""]
    assert len(printed) == 2 and "no PDFs from here on" in capsys.readouterr().err
    assert (tmp_path / "e" / "index.html").read_text().count(">PDF</a>") == 1
    run(network, tmp_path / "run", images, evidence=str(tmp_path / "e"), map_windows=30, evidence_pdf=False)
    assert len(printed) == 2


def test_a_place_that_can_hold_no_pages_is_said_before_any_work(network, two_folders, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"config\.evidence: .*file cannot be a folder of pages \(File exists\)"):
        run(network, tmp_path / "run", str(two_folders / "a"), evidence=str(tmp_path / "file"))
    assert not list((tmp_path / "run").iterdir())


def test_a_run_that_is_refused_changes_neither_pages_nor_parts(network, two_folders, tmp_path):
    index, part = tmp_path / "e" / "index.html", tmp_path / "run" / "parts" / "000000" / "part.json"
    for file in (index, part):
        file.parent.mkdir(parents=True)
        file.write_text("of an earlier run")
    with pytest.raises(
        UserError, match=r"parts/settings\.json cannot be read \(No such file or directory\), so nobody"
    ):
        run(network, tmp_path / "run", str(two_folders / "a"), evidence=str(tmp_path / "e"))
    assert index.is_file() and part.is_file()


def test_maps_among_the_images_are_no_images(network, tmp_path):
    encode_png(tmp_path / "own.png", opinions.pictures(1)[0])
    for name in ("maps/000001_own.png", "maps/000001_own.npz"):  # of a run that was stopped
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a map")
    assert run(network, tmp_path / "run", str(tmp_path), maps=str(tmp_path / "maps")) == 0
    assert [line["image"] for line in records(tmp_path / "run")] == [str(tmp_path / "own.png")]
    rejected = {row["image"]: row["reason"] for row in rows(tmp_path / "run" / "rejected.csv")}
    assert rejected[str(tmp_path / "maps" / "000001_own.png")] == "written by this job"


def test_evidence_without_any_image_is_a_list_of_refusals(network, two_folders, tmp_path, capsys):
    broken = str(two_folders / "b" / "broken.png")
    assert run(network, tmp_path / "run", broken, evidence=str(tmp_path / "e")) == 3
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["index.html"]
    assert "No verdict; 1 file refused." in Page((tmp_path / "e" / "index.html").read_text()).text
