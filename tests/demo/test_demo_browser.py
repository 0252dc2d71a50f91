"""The web page in a real Chromium: upload, verdict, bad files, ten at once, downloads; nothing stays, nothing leaves.

It needs the extras demo and browser, and a Chromium on the PATH. Without Gradio, which has an environment of its own
(make test-demo), it is skipped; without the others as well, or it fails where GANFP_BROWSER=required.
GANFP_DEMO_CHECKPOINT names a network to try instead of a small random one, and GANFP_SCREENSHOT a file for a picture of
the page.
"""

import csv
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import PIL
import pytest
from PIL import Image

from ganfp_jax.data.decode import png_bytes
from ganfp_jax.data.listing import printable
from ganfp_jax.demo import guard
from ganfp_jax.demo.folder import delete_dead
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import write_file
from tests import hostile_names, small_weights

ROOT = Path(__file__).parents[2]
EXAMPLES = [(path.name, path.read_bytes()) for path in sorted((ROOT / "ganfp_jax/demo/examples").glob("*.png"))]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
PACKAGES = ("playwright", "axe_playwright_python")
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None] + ["Chromium"] * (CHROMIUM is None)
MAX_MB = 10

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="the extra demo is not installed"),
    pytest.mark.skipif(
        bool(MISSING) and os.environ.get("GANFP_BROWSER") != "required", reason=f"not installed: {', '.join(MISSING)}"
    ),
]

# Loaded by the server's interpreter at its start: writes down every address that is looked up or connected to.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["WATCHED"], "a") as file:
            print(event, arguments[0] if event == "socket.getaddrinfo" else arguments[-1], file=file)
sys.addaudithook(watch)
"""


class Server:
    """The command, started on a free port with a temporary folder that holds nothing else."""

    def __init__(self, folder, checkpoint):
        self.temporary, self.watched = folder / "temporary", folder / "watched.txt"
        self.temporary.mkdir()
        (folder / "sitecustomize.py").write_text(WATCH)
        env = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO")}
        env |= {"PYTHONPATH": str(folder), "TMPDIR": str(self.temporary), "WATCHED": str(self.watched)}
        command = [
            sys.executable,
            "-m",
            "ganfp_jax.demo",
            f"--checkpoint={checkpoint}",
            "--port=0",
            f"--max_mb={MAX_MB}",
        ]
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert "http" in line, self.said()
        self.url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]

    def files(self):
        return [path for path in self.temporary.glob("*/uploads/**/*") if path.is_file()]

    def said(self):
        """What it has written to stderr."""
        return self.log.read_text()

    def stop(self, number):
        self.process.send_signal(number)
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    assert not MISSING, f"GANFP_BROWSER=required, but not installed: {', '.join(MISSING)}"
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_file(path, small_weights.network())
    return os.environ.get("GANFP_DEMO_CHECKPOINT") or path


@pytest.fixture(scope="module")
def server(tmp_path_factory, checkpoint):
    server = Server(tmp_path_factory.mktemp("server"), checkpoint)
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def classes(checkpoint):
    return load(checkpoint).about["classes"]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The sandbox needs rights that a container's root does not have; the page is our own.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser, server):
    """A browser's window that is shared by all tests, whose every request must stay on this machine."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, accept_downloads=True)
    context.set_default_timeout(30_000)
    outside = []
    context.on("request", lambda request: outside.append(request.url) if leaves(request.url, server.url) else None)
    yield context
    assert outside == []


@pytest.fixture
def page(context, server):
    page = opened(context, server)
    yield page
    page.close()


def leaves(url, home):
    return urlsplit(url).scheme not in ("data", "blob") and not url.startswith(home)


def opened(context, server, ready="button:has-text('Try real')"):
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.problems = problems
    page.goto(server.url)
    page.locator(ready).wait_for()
    return page


def drop(page, *files, wait=True):
    """Uploads files, given as (name, bytes), and waits for the answer."""
    given = [{"name": name, "mimeType": "application/octet-stream", "buffer": content} for name, content in files]
    page.locator("input[type=file]").set_input_files(given)
    if wait:
        page.wait_for_function("n => document.querySelectorAll('.answer .file').length == n", arg=len(files))


def noise(seed, side=64):
    return png_bytes(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def refusals(page):
    """File name -> the words with which it is refused."""
    sections = page.locator(".answer .file:has(.refused)").all()
    return {section.locator("h2").inner_text(): section.locator("p").last.inner_text() for section in sections}


def saved(page, kind):
    with page.expect_download() as download:
        page.get_by_role("link", name=kind).click()
    return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")


def test_an_upload_gets_a_verdict_that_can_be_downloaded(page, server, classes):
    drop(page, ("größe & <b>.png", noise(0, 70)))
    assert page.locator(".answer h2").inner_text() == "größe & <b>.png"
    assert page.locator(".answer .whole figcaption").first.inner_text() == "25 tiles, 100.0% of 70x70"
    assert page.locator(".answer .legend li").count() >= 1
    name, text = saved(page, "JSON")
    assert name == "attribution.json"
    [found] = json.loads(text)["images"]
    assert page.locator(".answer .verdict").inner_text() == found["verdict"] and found["predicted"] in classes
    assert "of 200 views of 25 tiles say" in page.locator(".answer .first").inner_text()
    votes = page.locator(".answer .pictures:not(.wide) li").all_inner_texts()
    assert [vote.split() for vote in votes] == [[view, source] for view, source in found["views"].items()]
    assert page.locator(".answer .bars th").all_inner_texts() == classes
    name, text = saved(page, "CSV")
    [row] = csv.DictReader(io.StringIO(text))
    assert name == "attribution.csv" and row["predicted"] == found["predicted"] and row["image"] == found["image"]
    assert page.locator(".answer .pictures.wide li").count() == 1 + len(classes)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert server.files() == [] and page.problems == []


def test_bad_files_are_answered_in_words(page, server):
    tiff, bomb = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (64, 64)).save(tiff, "TIFF")
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    drop(
        page,
        ("notes.txt", b"no picture"),
        ("empty.png", b""),
        ("cut.png", noise(1)[:500]),
        ("bomb.png", bomb.getvalue()),
        ("large.png", bytes(int(MAX_MB * 1e6) + 1)),
        ("tiny.png", noise(2, 3)),
        ("scan.tif", tiff.getvalue()),
        ("good.png", noise(3)),
    )
    found = refusals(page)
    assert found.keys() == {"notes.txt", "empty.png", "cut.png", "bomb.png", "large.png", "tiny.png", "scan.tif"}
    for name, words in {
        "notes.txt": "This file cannot be used: not an image.",
        "empty.png": "empty file",
        "cut.png": "truncated",
        "bomb.png": "9000x9000 is over the limit of 64,000,000 pixels",
        "large.png": "over the limit of 10 MB",
        "tiny.png": "is 3x3, smaller than",
        "scan.tif": f"Pillow {PIL.__version__}: convert the file to PNG",
    }.items():
        assert words in found[name]
    assert page.locator(".answer .verdict:not(.refused)").count() == 1
    assert server.files() == []


def test_ten_at_once_and_no_more(page, server):
    drop(page, *EXAMPLES[:10], ("eleventh.png", noise(0)))
    assert page.locator(".answer .verdict:not(.refused)").count() == 10
    assert page.locator(".answer h2").all_inner_texts() == [*(name for name, _ in EXAMPLES[:10]), "eleventh.png"]
    assert refusals(page) == {
        "eleventh.png": "This file cannot be used: more than 10 files at a time: send it again on its own."
    }
    assert page.locator(".answer .summary").inner_text().startswith("10 verdicts: ")
    assert server.files() == []


def test_several_windows_at_once(context, server):
    pages = [opened(context, server) for _ in range(3)]
    for number, page in enumerate(pages):
        drop(page, (f"{number}.png", noise(number)), ("same.png", noise(9)), wait=False)
    for number, page in enumerate(pages):
        page.locator(".answer h2").nth(1).wait_for()
        assert page.locator(".answer h2").all_inner_texts() == [f"{number}.png", "same.png"]
        assert set(refusals(page).values()) <= {
            "This file cannot be used: the upload was lost on its way: send it again."
        }
        assert "0.png" not in refusals(page)
        page.close()
    assert server.files() == []


def test_an_example_and_another_way_with_sizes(page, server):
    drop(page, ("photo.png", noise(4, 128)))
    page.get_by_label("reduce its centre square").check()
    drop(page, ("again.png", noise(4, 128)))
    page.get_by_text("reduced from 128x128").wait_for()
    page.get_by_role("button", name="Try real").click()
    page.get_by_role("heading", name="real_2.png").wait_for()
    assert page.locator(".answer .file").count() == 2
    assert server.files() == [] and page.problems == []


def ask(server, *data):
    """Asks as the page would, about whatever is named; returns what the event says."""
    with urllib.request.urlopen(f"{server.url}/config") as answer:
        events = json.load(answer)["dependencies"]
    [number] = [event["id"] for event in events if any(name == "upload" for _, name in event["targets"])]
    call = {"data": data, "fn_index": number, "session_hash": "stranger"}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/gradio_api/queue/join", json.dumps(call).encode(), headers)
    urllib.request.urlopen(request).close()
    with urllib.request.urlopen(f"{server.url}/gradio_api/queue/data?session_hash=stranger") as stream:
        return json.loads(next(line for line in stream if b"process_completed" in line).removeprefix(b"data: "))


def post(server, path, body, **headers):
    """Status and text of the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.url}/gradio_api/{path}", body, named)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sent(disposition):
    """An upload of one part, whose content is no image."""
    return f'--B\r\nContent-Disposition: form-data; name="files"{disposition}\r\n\r\nabc\r\n--B--\r\n'.encode()


MULTIPART = {"content_type": "multipart/form-data; boundary=B"}


@pytest.mark.parametrize("disposition", ["", '; filename=".."', '; filename="a/../.."', f'; filename="{"n" * 9000}"'])
def test_an_upload_without_a_name_is_refused_in_words(server, disposition):
    status, words = post(server, "upload", sent(disposition), **MULTIPART)
    for path in server.files():
        path.unlink()  # or it would lie there for three minutes
    assert (status, words) == (400, "The upload could not be read: every file needs a name. Send it again.")
    assert "Traceback" not in server.said()


def test_an_empty_name_is_answered(server):
    status, words = post(server, "upload", sent('; filename=""'), **MULTIPART)
    [path] = json.loads(words)
    named = [{"path": path, "orig_name": "", "meta": {"_type": "gradio.FileData"}}]
    page = ask(server, named, "crop")["output"]["data"][1]
    assert status == 200 and "This file cannot be used: not an image" in page and '<h2 id="file-1">tmp' in page
    assert server.files() == [] and "Traceback" not in server.said()


def test_other_pages_and_other_names_are_not_served(server):
    assert post(server, "upload", sent('; filename="a"'), **MULTIPART, origin="http://evil.example")[0] == 403
    assert post(server, "queue/join", b"{}", origin="null")[0] == 403
    assert post(server, "upload", sent('; filename="a"'), **MULTIPART, host="evil.example")[0] == 421
    assert post(server, "config", None, host="evil.example:80")[0] == 421
    assert server.files() == []


def test_refusals_are_shown_in_our_words(page, server):
    page.route("**/queue/join**", lambda route: route.fulfill(status=429, json={"detail": guard.BUSY}))
    drop(page, ("good.png", noise(3)), wait=False)
    page.get_by_text(guard.BUSY).wait_for()
    page.unroute("**/queue/join**")
    page.reload()
    drop(page, ("good.png", noise(3)))  # the same file, or it would lie there for three minutes
    page.route("**/upload?**", lambda route: route.fulfill(status=507, content_type="text/plain", body=guard.FULL))
    drop(page, ("other.png", noise(4)), wait=False)
    page.get_by_text(guard.FULL).wait_for()
    assert server.files() == []


def test_only_uploads_are_read(server, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(noise(0))
    named = [
        {"path": path, "orig_name": "secret.png", "is_stream": stream, "meta": {"_type": "gradio.FileData"}}
        for path in (str(secret), "http://elsewhere.invalid/secret.png")
        for stream in (False, True)
    ]
    page = ask(server, named, "crop")["output"]["data"][1]
    assert page.count("This file cannot be used: not an upload") == 4 and "No verdict; 4 files refused" in page
    assert ask(server, None, named[0])["success"] is False and ask(server, None, named[2])["success"] is False
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{server.url}/gradio_api/file={secret}")
    assert secret.read_bytes() == noise(0)
    assert server.files() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.get_by_role("button", name="Try real").click()
    page.get_by_role("heading", name="real_2.png").wait_for()
    page.get_by_text("Fingerprint and responses").first.click()
    violations = Axe().run(page).response["violations"]
    assert [finding["id"] for finding in violations if finding["impact"] in ("serious", "critical")] == []


def test_a_phone_needs_no_sideways_scrolling(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("button", name="Try real").click()
    page.get_by_role("heading", name="real_2.png").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_can_be_pictured(page, tmp_path):
    drop(page, next(example for example in EXAMPLES if example[0].startswith("SNGAN")))
    path = Path(os.environ.get("GANFP_SCREENSHOT") or tmp_path / "demo.png")
    page.wait_for_timeout(1000)  # Gradio fades an answer in
    page.screenshot(path=path, full_page=True)
    with Image.open(path) as image:
        assert image.width == 1100 and image.height > 900


SOURCES_AND_FILES = "[...document.querySelectorAll('.about *, #drop *, #answer *')].map(element => element.localName)"
OURS = "h1 h2 h3 p a section div figure figcaption img table caption tbody tr th td span ul li b details summary"
OF_GRADIO = "button label input path svg table tbody tr td span div a g polyline line p"
ADDRESSES = "[...document.querySelectorAll('.about *, #answer *')].flatMap(e => [e.src, e.href]).filter(Boolean)"


def test_hostile_names_are_text(browser, tmp_path_factory):
    """No element appears that was not there, nothing is asked for, and every name stands there as it is."""
    folder = tmp_path_factory.mktemp("hostile")
    weights = small_weights.network(num_classes=len(hostile_names.CLASSES))
    weights.about["classes"] = hostile_names.CLASSES
    write_file(folder / "hostile.safetensors", weights)
    server = Server(folder, folder / "hostile.safetensors")
    try:
        with browser.new_context(viewport={"width": 1100, "height": 900}) as context:
            asked, held = [], []
            context.on("request", lambda request: asked.append(request.url))
            page = opened(context, server, ready="#drop")
            title = page.title()
            page.route("**/queue/join**", lambda route: held.append(route))
            drop(page, *[(name, noise(number)) for number, name in enumerate(hostile_names.FILES)], wait=False)
            page.locator("#drop tr").last.wait_for()  # where Gradio itself lists the names
            assert set(page.evaluate(SOURCES_AND_FILES)) <= {*OURS.split(), *OF_GRADIO.split()} - {"img"}
            held[0].continue_()
            page.locator(".answer .file").last.wait_for()
            assert set(page.evaluate(SOURCES_AND_FILES)) <= {*OURS.split(), *OF_GRADIO.split()}
            assert all(address.startswith("data:") for address in page.evaluate(ADDRESSES))
            about = page.locator(".about")
            assert about.locator("> *").count() == about.locator("*").count() == 3
            assert all(name in about.text_content() for name in hostile_names.CLASSES)
            assert page.locator(".answer h2").all_text_contents() == [printable(name) for name in hostile_names.FILES]
            sources = page.locator(".answer .file").first.locator(".bars th").all_text_contents()
            assert sources == hostile_names.CLASSES
            assert [url for url in asked if leaves(url, server.url)] == [] and page.title() == title
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
    finally:
        server.stop(signal.SIGKILL)


def test_a_killed_server_is_found_dead(tmp_path, checkpoint):
    server = Server(tmp_path, checkpoint)
    [left] = server.temporary.iterdir()
    os.utime(left / "lock", (0, 0))
    delete_dead(server.temporary)
    assert (left / "uploads").is_dir()
    server.stop(signal.SIGKILL)
    delete_dead(server.temporary)
    assert list(server.temporary.iterdir()) == []


def test_the_server_asks_nobody_and_leaves_nothing(server, context):
    """The last test of this file: it ends the server."""
    folders = list(server.temporary.iterdir())
    assert len(folders) == 1 and folders[0].stat().st_mode & 0o077 == 0
    lines = server.watched.read_text().splitlines() if server.watched.exists() else []
    assert [line for line in lines if not re.search(r"127\.0\.0\.1|localhost|None|b?'?/", line)] == []
    assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert list(server.temporary.iterdir()) == []
