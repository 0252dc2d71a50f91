"""The web page's parts that need no browser: what is received, what is said, and in which words."""

import base64
import csv
import dataclasses
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from html_page import Page
from PIL import Image

from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.typicality import Known, Typical
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.decode import decode_image, png_bytes
from ganfp_jax.data.views import apply_view, resolve_views
from ganfp_jax.demo import __main__ as command
from ganfp_jax.demo import answers
from ganfp_jax.demo.answers import Answer, Row, answer, sentence, summary, to_csv, to_html, to_json
from ganfp_jax.demo.folder import delete_dead, own_folder
from ganfp_jax.demo.uploads import EXAMPLE_SIDE, Limits, Upload, delete_old, examples, receive
from tests import hostile_names, small_weights

VIEWS = ("identity", "mirror")
CLASSES = ("real", "SNGAN")


def found(verdict="SNGAN", predicted="SNGAN", margin=0.5, votes=None, note=""):
    return Attribution(
        predicted,
        confidence=0.75,
        votes=votes or {"SNGAN": 2},
        probabilities={"real": 0.25, "SNGAN": 0.75},
        note=note,
        verdict=verdict,
        margin=margin,
        distance=0.125,
        views=dict.fromkeys(VIEWS, "SNGAN"),
    )


def row(name, attribution):
    picture = "data:image/png;base64,"
    return Row(
        name,
        attribution=attribution,
        image=picture,
        views=dict.fromkeys(VIEWS, picture),
        fingerprint=picture,
        responses=dict.fromkeys(CLASSES, picture),
    )


def answered(*rows):
    return Answer(CLASSES, VIEWS, "crop", rows, fingerprint_limit=2.0, response_limit=0.5)


# --- what is received ------------------------------------------------------------------------------------------------


def sent(root, *contents):
    """Files as they lie after an upload, each in a folder of its own."""
    files = []
    for number, content in enumerate(contents):
        path = root / f"hash{number}" / f"{number}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        files.append((f"image {number}\n.png", path))
    return files


def test_files_are_read_and_are_gone(tmp_path):
    uploads = receive(sent(tmp_path, b"one", b"two"), tmp_path, Limits())
    assert uploads == [Upload(r"image 0\n.png", b"one"), Upload(r"image 1\n.png", b"two")]
    assert list(tmp_path.iterdir()) == []


def test_one_place_for_two_names(tmp_path):  # the same picture chosen twice
    [(_, path)] = sent(tmp_path, b"one")
    assert [upload.content for upload in receive([("a", path), ("b", path)], tmp_path, Limits())] == [b"one", b"one"]


def test_too_many_and_too_large_files_are_refused_and_are_gone_as_well(tmp_path):
    limits = Limits(files=2, megabytes=0.001)
    large, fits, third = receive(sent(tmp_path, bytes(1001), bytes(1000), b"third"), tmp_path, limits)
    assert large.refused == "too large: 0.0 MB, over the limit of 0.001 MB" and large.content == b""
    assert fits.refused == "" and len(fits.content) == 1000
    assert third.refused == "more than 2 files at a time: send it again on its own" and third.content == b""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_already_stops_nothing(tmp_path):
    files = sent(tmp_path, b"one", b"two")
    files[0][1].unlink()
    lost, other = receive(files, tmp_path, Limits())
    assert lost.refused == "the upload was lost on its way: send it again" and other.content == b"two"


def test_other_files_than_uploads_are_neither_read_nor_deleted(tmp_path):
    [(_, secret)] = sent(tmp_path / "other", b"secret")
    folder = tmp_path / "uploads"
    folder.mkdir()
    around = folder / ".." / "other" / "hash0" / "0.png"
    uploads = receive([("a", secret), ("b", around), ("c", Path("http://host/c.png"))], folder, Limits())
    assert uploads == [Upload(name, refused="not an upload: the machine's own files are not read") for name in "abc"]
    assert secret.read_bytes() == b"secret"


def test_the_folder_of_uploads_itself_stays(tmp_path):
    folder = tmp_path / "uploads"
    [_, other] = sent(folder, b"one", b"two")
    (folder / "flat.png").write_bytes(b"flat")
    named = [("folder", folder), ("below", folder / "hash0"), ("flat", folder / "flat.png"), other]
    itself, below, flat, last = receive(named, folder, Limits())
    assert itself.refused == "not an upload: the machine's own files are not read"
    assert below.refused and (flat.content, last.content) == (b"flat", b"two")
    assert [path.name for path in folder.iterdir()] == ["hash0"]
    receive([("alone", folder / "hash0" / "0.png")], folder, Limits())
    (folder / "flat.png").write_bytes(b"flat")
    receive([("flat", folder / "flat.png")], folder, Limits())
    assert list(folder.iterdir()) == []


def test_folders_may_vanish_while_old_files_are_looked_for(tmp_path, monkeypatch):
    folders = [path.parent for _, path in sent(tmp_path, b"one", b"two")]
    unlink = Path.unlink

    def answered_meanwhile(path):
        unlink(path)
        for folder in folders:
            if folder != path.parent:
                shutil.rmtree(folder)

    monkeypatch.setattr(Path, "unlink", answered_meanwhile)
    delete_old(tmp_path, -1)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_folders_that_old_files_leave_empty_go_as_well(tmp_path):
    [(_, path)] = sent(tmp_path, b"old")
    for old in (path, path.parent):
        os.utime(old, (0, 0))
    delete_old(tmp_path, 600)
    assert list(path.parent.iterdir()) == []  # which makes the folder a young one
    os.utime(path.parent, (0, 0))
    delete_old(tmp_path, 600)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with own_folder() as uploads:
        [folder] = tmp_path.iterdir()
        assert uploads == folder / "uploads" and list(uploads.iterdir()) == []
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_only_the_folders_of_dead_processes_go(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"

    def left(name, lock=True):
        folder = tmp_path / name
        (folder / "uploads" / "hash").mkdir(parents=True)
        (folder / "uploads" / "hash" / "left.png").write_bytes(b"left")
        if lock:
            (folder / "lock").touch()
            os.utime(folder / "lock", (0, 0))
        return folder

    dead, another, unlocked = left("ganfp_jax-dead"), left("another-1"), left("ganfp_jax-unlocked", lock=False)
    young = left("ganfp_jax-young")
    (young / "lock").touch()
    linked = tmp_path / "ganfp_jax-link"
    linked.symlink_to(left("elsewhere"))
    with own_folder() as alive:
        assert not dead.exists()
        os.utime(alive.parent / "lock", (0, 0))
        delete_dead(tmp_path)
        assert alive.is_dir()
    for folder in (another, unlocked, young, linked, elsewhere):
        assert (folder / "uploads" / "hash" / "left.png").exists()


def test_only_old_files_are_abandoned(tmp_path):
    files = [path for _, path in sent(tmp_path, b"old", b"new")]
    os.utime(files[0], (time.time() - 700,) * 2)
    delete_old(tmp_path, 600)
    assert [path.exists() for path in files] == [False, True]


def test_examples_of_every_source_come_along_in_the_networks_order():
    found = examples(["SNGAN", "unknown", "real", "CramerGAN", "MMDGAN", "ProGAN"], 32)
    assert list(found) == ["SNGAN", "real", "CramerGAN", "MMDGAN", "ProGAN"]
    for source, uploads in found.items():
        assert [upload.name for upload in uploads] == [f"{source}_1.png", f"{source}_2.png"]
        assert all(decode_image(upload).shape == (EXAMPLE_SIDE, EXAMPLE_SIDE, 3) for upload in uploads)


def test_there_are_examples_only_of_what_the_network_knows_and_takes():
    assert list(examples(["SNGAN", "StyleGAN"], 16)) == ["SNGAN"]
    assert examples(["SNGAN"], 33) == {}


def test_the_limits_are_said():
    assert Limits(3, 2.5).words() == "At most 3 files at a time, each of at most 2.5 MB and 64 million pixels."


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_verdict_in_words():
    assert sentence(found()) == (
        "2 of 2 views say SNGAN; its mean probability is 75.0%, 50.0 points more than the next source. "
        "The distance of the fingerprint to the nearest source's is 0.12 (0 to 2)."
    )
    overruled = sentence(found(margin=-0.034, votes={"SNGAN": 1}))
    assert overruled.startswith("1 of 1 view says SNGAN; its mean") and "3.4 points less than the next" in overruled
    assert (
        sentence(found("nothing to see")) == "The picture is flat everywhere: there is no trace of any source to see."
    )
    of_tiles = sentence(dataclasses.replace(found(votes={"SNGAN": 6}), tiles=3))
    assert of_tiles.startswith("6 of 6 views of 3 tiles say SNGAN; its probability is 75.0%")
    assert sentence(found("unsure")).startswith("The lead is too small for a verdict. 2 of 2 views say SNGAN")
    strange = dataclasses.replace(found("unknown"), typicality=0.0104)
    assert sentence(strange).startswith("The image is like none of the known sources. 2 of 2 views say SNGAN; its mean")
    assert sentence(strange).endswith("How typical it is of SNGAN, as a p-value: 0.010.")
    either = dataclasses.replace(found("unsure"), typicality=0.3, sources=("SNGAN", "real"))
    assert sentence(either).startswith("The image could be SNGAN or real. 2 of 2 views")
    other = dataclasses.replace(found("unsure"), typicality=0.01, sources=("real",))
    assert sentence(other).startswith("The image is like real, not like SNGAN. 2 of 2 views")
    alone = dataclasses.replace(found("unsure"), typicality=0.3, sources=("SNGAN",))
    assert sentence(alone).startswith("The lead is too small for a verdict. 2 of 2 views")


def test_the_summary_counts_verdicts_and_refusals():
    rows = [row("a", found()), row("b", found("unsure")), row("c", found()), Row("d", "not an image")]
    assert summary(answered(*rows)) == "3 verdicts: SNGAN 2, unsure 1; 1 file refused"
    assert summary(answered(rows[0])) == "1 verdict: SNGAN 1"
    assert summary(answered(rows[3], rows[3])) == "No verdict; 2 files refused"


ROWS = answered(row('a,"b".png', found("unsure", note="cropped from 300x200")), Row("=c.txt", "not an image"))


def test_csv_has_the_columns_of_the_predictions_and_then_more():
    read = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    rests = "verdict margin distance typicality sources tiles note refused claims"
    assert list(read[0]) == ["image", "target", "predicted", "confidence", "votes", "real", "SNGAN", *rests.split()]
    expected = ['a,"b".png', "", "SNGAN", "0.750000", '{"SNGAN": 2}', "0.250000", "0.750000"]
    expected += ["unsure", "0.500000", "0.125000", "", "", "1", "cropped from 300x200", "", ""]
    assert list(read[0].values()) == expected
    refused = {name: value for name, value in read[1].items() if value}
    assert refused == {"image": "'=c.txt", "refused": "not an image"}  # no spreadsheet computes it


def test_the_network_is_described(attributor):
    words = answers.words_about(attributor)
    side = attributor.resolution
    assert f"the sources real, ProGAN and SNGAN, at {side}x{side} pixels" in words and "shown 8 views" in words
    assert "never says “unsure”" in words
    views = resolve_views(attributor.default_views)
    calibration = Calibration(
        threshold=0.125,
        error_rate=0.01,
        confidence=0.95,
        views=views,
        rule="majority",
        images=400,
        decided=300,
        wrong=0,
        ci95=(0.0, 0.01),
        upper=0.01,
        per_class={},
        digest="",
    )
    weights = small_weights.network()
    network = models.create(**weights.model)
    told = answers.words_about(Attributor(network, {}, weights.about["classes"], side, calibration=calibration))
    assert "leads by less than 12.5 points" in told and "no more than 1% are wrong (95% confidence)" in told
    assert "gives one of these names to every image" in told
    known = tuple(Known(name, 41, 41, (0.5,), (41.0,)) for name in weights.about["classes"])
    calibration = dataclasses.replace(calibration, typicality=Typical("strangeness", 0.05, known))
    told = answers.words_about(Attributor(network, {}, weights.about["classes"], side, calibration=calibration))
    assert "calls an image “unknown” that is like none of them" in told and "every image, whatever" not in told
    assert "denied at most 5% of its images" in told and "41 images of real" in told


def test_json_says_the_same_and_the_views():
    read = json.loads(to_json(ROWS))
    assert (read["classes"], read["views"], read["rule"]) == (list(CLASSES), list(VIEWS), "majority")
    assert read["resize"] == "crop"
    verdict, refused = read["images"]
    assert refused == {"image": "=c.txt", "refused": "not an image"}
    assert verdict["views"] == {"identity": "SNGAN", "mirror": "SNGAN"} and verdict["votes"] == {"SNGAN": 2}
    row = next(csv.DictReader(io.StringIO(to_csv(ROWS))))
    for name in ("image", "predicted", "verdict", "note"):
        assert verdict[name] == row[name]
    for name in ("confidence", "margin", "distance"):
        assert verdict[name] == float(row[name])
    assert verdict["probabilities"] == {name: float(row[name]) for name in CLASSES}


def test_the_page_says_everything_and_fetches_nothing():
    page = Page(to_html(ROWS))
    assert not page.open
    for words in ("unsure", "75.0%", "mirror", "cropped from 300x200", "This file cannot be used: not an image", "±2"):
        assert words in page.text
    assert all(image["src"].startswith("data:") and "alt" in image for image in page.all("img"))
    downloads = {link["download"]: base64.b64decode(link["href"].partition(",")[2]).decode() for link in page.all("a")}
    assert downloads == {"attribution.csv": to_csv(ROWS), "attribution.json": to_json(ROWS)}


def test_a_files_name_is_no_markup():
    html = to_html(answered(row('"><script>alert(1)</script>', found()), Row("<img src=x onerror=alert(1)>", "<em>")))
    page = Page(html)
    assert not page.all("script") and not page.all("em") and all("onerror" not in image for image in page.all("img"))
    assert "<script>alert(1)</script>" in page.text and "<img src=x onerror=alert(1)>" in page.text


def test_hostile_names_are_no_markup_in_the_head_and_in_errors(attributor):
    network = models.create(**small_weights.network().model)
    named = Attributor(network, {}, tuple(hostile_names.CLASSES[:3]), attributor.resolution)
    for html in (answers.about_html("<b>", named, Limits()), answers.failure_html(" ".join(named.classes))):
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= {"div", "h1", "p"} and not page.open
        assert all(name in page.text for name in named.classes)


# --- a whole answer --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attributor():
    weights = small_weights.network()
    return Attributor(
        models.create(**weights.model), weights.variables, small_weights.CLASSES, weights.model["resolution"]
    )


def test_an_answer_is_the_attributors_with_pictures(attributor):
    side = attributor.resolution
    image = np.random.default_rng(0).integers(0, 256, (side, side + 4, 3), np.uint8)
    bomb = io.BytesIO()
    Image.new("1", (3000, 3000)).save(bomb, "PNG")
    uploads = [
        Upload("text.png", b"hello"),
        Upload("wide.png", png_bytes(image)),
        Upload("bomb.png", bomb.getvalue()),
        Upload("small.png", png_bytes(image[:3, :3])),
        Upload("late.png", refused="too late"),
    ]
    given = answer(attributor, uploads, "crop", Limits(pixels=8_000_000))
    assert [row.name for row in given.rows] == [upload.name for upload in uploads]
    assert [row.refused for row in given.rows] == [
        "not an image",
        "",
        "too large: 3000x3000 is over the limit of 8,000,000 pixels",
        f"is 3x3, smaller than {side}x{side}; resize=area would enlarge it",
        "too late",
    ]
    row = given.rows[1]
    [expected] = attributor.attribute([image], attributor.default_views)
    assert row.attribution == expected and expected.tiles == 2
    assert row.attribution.note == f"2 tiles, 100.0% of {side + 4}x{side}"
    parts = [image[:, :side], image[:, 4:]]
    alone = [v.probabilities[expected.predicted] for v in attributor.attribute(parts, attributor.default_views)]
    strongest = np.ascontiguousarray(parts[int(np.argmax(alone))])
    assert pixels(row.image).tolist() == strongest.tolist()
    assert pixels(row.whole.picture).tolist() == image.tolist() and row.whole.pixelated
    assert {name for _, name, _ in row.whole.legend} <= set(attributor.classes)
    assert tuple(row.views) == given.views == tuple(expected.views)
    for view, picture in row.views.items():
        assert pixels(picture).tolist() == np.asarray(apply_view(strongest[None], view)[0]).tolist()
    assert tuple(row.responses) == attributor.classes
    shapes = {pixels(picture).shape for picture in (row.fingerprint, *row.responses.values())}
    assert len(shapes) == 1 and len({row.fingerprint, *row.responses.values()}) == 1 + len(attributor.classes)


def pixels(address):
    return decode_image(Upload("picture", base64.b64decode(address.removeprefix("data:image/png;base64,"))))


def test_an_image_of_the_networks_size_has_no_map_and_a_flat_one_no_votes(attributor):
    side = attributor.resolution
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    flat, large = np.full((side, side, 3), 90, np.uint8), np.full((300, 400, 3), 90, np.uint8)
    given = answer(
        attributor, [Upload(f"{i}.png", png_bytes(x)) for i, x in enumerate((noise, flat, large))], "crop", Limits()
    )
    whole = [row.whole for row in given.rows]
    assert whole[:2] == [None, None] and [name for _, name, _ in whole[2].legend] == ["nothing to see"]
    assert whole[2].picture.startswith("data:image/jpeg;base64,") and not whole[2].pixelated
    assert answers.summary(given) == f"3 verdicts: nothing to see 2, {given.rows[0].attribution.verdict} 1"
    page = Page(to_html(given))
    assert page.text.count("The picture is flat everywhere") == 2 and page.text.count("What each view voted for") == 1
    assert not page.open


def test_nothing_but_bad_files_is_an_answer_too(attributor):
    given = answer(attributor, [Upload("text.png", b"hello")], "area", Limits())
    assert "not an image" in to_html(given) and answers.summary(given) == "No verdict; 1 file refused"


def test_files_that_take_too_long_do_not_hold_up_the_page(attributor):
    """Progressive JPEGs that say they are large, and go over the image thousands of times."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG", progressive=True)
    data = bytearray(buffer.getvalue())
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = b"\x13\x24\x13\x24"  # 4900x4900
    content = bytes(data[:-2]) + bytes(data[data.rindex(b"\xff\xda") : -2]) * 20_000 + b"\xff\xd9"
    begin = time.monotonic()
    given = answer(attributor, [Upload(f"{i}.jpg", content) for i in range(3)], "crop", Limits(seconds=0.5))
    assert [row.refused for row in given.rows] == ["takes longer than 0.5 seconds to decode"] * 3
    assert time.monotonic() - begin < 60


# --- the command -----------------------------------------------------------------------------------------------------


def test_help_answers_at_once():
    check = (
        "import atexit, sys\n"
        "from ganfp_jax.demo.__main__ import main\n"
        "atexit.register(lambda: print('heavy', {'jax', 'numpy', 'gradio'} & set(sys.modules)))\n"
        "main(['--help'])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=True)
    assert "--max_files" in done.stdout and "heavy set()" in done.stdout


def test_without_gradio_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main([]) == 2
    assert capsys.readouterr().err == (
        "error: the web page needs Gradio: pip install 'ganfp_jax[demo]', best in an environment of its own\n"
    )


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", None), ("127.0.0.1", 70000), ("no such host", 0)])
def test_an_address_that_cannot_be_used_is_said_in_one_line(host, port, monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if port is None else port
        assert command.main([f"--host={host}", f"--port={port}", "--checkpoint=none"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {host}:{port} cannot be used (")
    assert said.endswith("); choose another --port, or 0\n") and said.count("\n") == 1


def test_room_for_less_than_one_upload_is_said(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert command.main(["--port=0", "--max_files=4", "--max_mb=2", "--max_total_mb=8"]) == 2
    assert capsys.readouterr().err == "error: --max_total_mb=8 is less than an upload may take: 9 MB\n"


@pytest.mark.parametrize(
    ("flag", "words"),
    [("--max_files=1.5", "'1.5' is not a whole number"), ("--max_mb=abc", "'abc' is not a number")],
)
def test_no_numbers_are_called_so(flag, words, capsys):
    with pytest.raises(SystemExit):
        command.main([flag])
    assert capsys.readouterr().err.endswith(f"argument {flag.partition('=')[0]}: {words}\n")


@pytest.mark.parametrize("flag", ["--max_files=0", "--max_files=1.5", "--max_mb=-1", "--max_mb=nan", "--port=x"])
def test_bad_flags(flag, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main([flag])
    assert stop.value.code == 2 and flag.partition("=")[0] in capsys.readouterr().err


def test_what_a_file_says_of_itself_stands_on_the_page_and_last_in_the_csv():
    said = dataclasses.replace(found(), claims=("text 'prompt': <b>ComfyUI",), disagreement="The file says otherwise.")
    claiming, silent = answered(row("a.png", said)), answered(row("a.png", found()))
    html = to_html(claiming)
    assert "text &#39;prompt&#39;: &lt;b&gt;ComfyUI" in html and "<strong>The file says otherwise.</strong>" in html
    assert "says of its own making" not in to_html(silent)
    cells = [next(csv.DictReader(io.StringIO(to_csv(answer))))["claims"] for answer in (claiming, silent)]
    assert [json.loads(cells[0]), cells[1]] == [[*said.claims, said.disagreement], ""]
    assert json.loads(to_json(claiming))["images"][0]["disagreement"] == said.disagreement
