"""Networks from and to a hub of this machine: nothing is fetched unasked, and whatever is wrong there is one line."""

import functools
import hashlib
import http.server
import json
import threading

import numpy as np
import pytest
from small_weights import CLASSES, assert_same, network, refusal

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.interop.weights import write_file

huggingface_hub = pytest.importorskip("huggingface_hub")

from huggingface_hub import constants, hub_mixin  # noqa: E402 - where it is installed

COMMIT = "0" * 40
NAME = "somebody/sources"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for files of repositories as the hub does."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        self.server.asked.append(self.path)
        owner, name, _, _, file = self.path.strip("/").split("/")
        files = self.server.files.get(f"{owner}/{name}")
        data = (files or {}).get(file)
        self.send_response(200 if data is not None else 404)
        if data is None:
            self.send_header("X-Error-Code", "RepoNotFound" if files is None else "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if body:
            self.wfile.write(data or b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server of a hub; `files` has the files of each repository, `asked` what was asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.asked, server.daemon_threads = {}, [], True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.chdir(tmp_path)
        yield server
        server.shutdown()


@pytest.fixture
def load(tmp_path):
    return functools.partial(Attributor.from_pretrained, cache_dir=tmp_path / "cache", token=False)


def folder_of(attributor, folder):
    attributor.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def files(tmp_path):
    return folder_of(Attributor.of(network(), "memory"), tmp_path / "written")


def test_a_network_comes_from_the_hub_and_then_from_the_cache(hub, files, load, capsys):
    hub.files[NAME] = files
    found = load(NAME)
    assert_same(found.weights, network())
    assert f"there is no folder {NAME} here; it is asked for at the Hugging Face hub" in capsys.readouterr().err
    asked = len(hub.asked)
    assert_same(load(NAME, local_files_only=True).weights, network())
    assert len(hub.asked) == asked
    assert capsys.readouterr().err == ""


def test_nobody_is_asked_about_a_folder_or_by_load(hub, files, load, tmp_path):
    (tmp_path / "somebody").mkdir()
    (tmp_path / "written").rename(tmp_path / NAME)
    assert load(NAME).classes == tuple(CLASSES)
    assert "there is no folder runs/2026/attribution" in refusal(load, "runs/2026/attribution")
    assert "there is no folder ../sources" in refusal(load, "../sources")
    refusal(Attributor.load, "somebody/else")
    assert not hub.asked


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (None, f"there is no folder {NAME} here, and the Hugging Face hub has no such network or revision"),
        ({"config.json": b"{}"}, f"{NAME} of the Hugging Face hub is no network of ganfp_jax: it has no model.safeten"),
        ({"model.safetensors": b"version https://git-lfs"}, "cannot be read as safetensors"),
    ],
)
def test_a_hub_without_such_a_network_is_one_line(hub, load, present, message):
    if present is not None:
        hub.files[NAME] = present
    assert message in refusal(load, NAME)


def test_without_a_network_connection_it_is_one_line(hub, load, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert f"{NAME} is no folder here, not in the cache, and the Hugging Face hub cannot be reached" in refusal(
        load, NAME
    )
    assert not hub.asked


@pytest.mark.parametrize(
    "strange",
    [
        json.dumps({"weights": {}, "card": "x", "self": 1, "model_id": "other/network", "token": "x", "args": []}),
        json.dumps({"kind": "generator", "about": {"classes": ["fake", "faker", "fakest"]}}),
    ],
)
def test_nothing_is_believed_of_a_config(hub, files, load, strange):
    hub.files[NAME] = files | {"config.json": strange.encode()}
    assert_same(load(NAME).weights, network())


@pytest.mark.parametrize("strange", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_none_is_one_line(hub, files, load, strange):
    hub.files[NAME] = files | {"config.json": strange}
    assert f"{NAME} and the Hugging Face hub: " in refusal(load, NAME)


def test_a_generator_is_no_attribution_network(hub, load, tmp_path):
    from small_weights import generator

    write_file(tmp_path / "G.safetensors", generator("sngan"))
    hub.files[NAME] = {"model.safetensors": (tmp_path / "G.safetensors").read_bytes()}
    assert "holds no attribution network (but 'sngan_generator')" in refusal(load, NAME)


def test_a_network_is_sent_as_a_folder(monkeypatch, tmp_path):
    sent = {}

    class Api:
        def __init__(self, token=None):
            assert token == "secret"

        def create_repo(self, repo_id, private, exist_ok):
            sent.update(repo_id=repo_id, private=private)
            return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

        def upload_folder(self, folder_path, **settings):
            sent["files"] = {path.name: path.read_bytes() for path in folder_path.iterdir()}
            return f"https://huggingface.co/{settings['repo_id']}/commit/1"

    monkeypatch.setattr(hub_mixin, "HfApi", Api)
    attributor = Attributor.of(network(), "memory")
    address = attributor.push_to_hub(NAME, license="mit", private=True, token="secret")
    assert address == f"https://huggingface.co/{NAME}/commit/1"
    assert (sent["repo_id"], sent["private"]) == (NAME, True)
    attributor.save_pretrained(tmp_path / "sources", license="mit")
    assert sent["files"] == {path.name: path.read_bytes() for path in (tmp_path / "sources").iterdir()}
    assert "give OWNER/NAME" in refusal(attributor.push_to_hub, "sources")


def test_the_answers_are_those_of_the_network_that_was_sent(hub, files, load):
    hub.files[NAME] = files
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    ours, theirs = (
        one.vote(images, "identity").view_logits for one in (Attributor.of(network(), "memory"), load(NAME))
    )
    np.testing.assert_array_equal(ours, theirs)
