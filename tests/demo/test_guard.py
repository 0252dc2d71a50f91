"""The guard before the web page's server: who is answered, how much is taken, and in which words it is refused."""

import asyncio
import errno
import json

import pytest

from ganfp_jax.demo import guard
from ganfp_jax.demo.guard import JOIN, UPLOAD, Guard
from ganfp_jax.demo.uploads import LEAST_BYTES, Limits, used

LIMITS = Limits(files=2, megabytes=1.0)  # an upload of 3 MB, 9 MB in all
HOME = "127.0.0.1:7860"


class Library:
    """What the guard stands before: takes the whole request, then answers or fails."""

    def __init__(self, status=200, error=None):
        self.status, self.error, self.bodies = status, error, []

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        if self.error:
            raise self.error
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"kind", b"its own")]})
        await send({"type": "http.response.body", "body": b"its words"})


def scope_of(path, host, method, headers):
    named = {"host": host, **headers}
    pairs = [(name.encode(), str(value).encode("latin-1")) for name, value in named.items() if value is not None]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


def ask(guarded, path="/", *, host=HOME, method="GET", body=b"", **headers):
    """Status, headers and body of the answer; a request with a body says its length unless `headers` say otherwise."""
    if method == "POST":
        headers = {"content-length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    parts = [
        {"type": "http.request", "body": body[at : at + 1000], "more_body": True} for at in range(0, len(body), 1000)
    ]
    parts.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(guarded(scope_of(path, host, method, headers), receive, send))
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in rest).decode()


def made(folder, library=None, host="127.0.0.1", limits=LIMITS, names=()):
    return Guard(library or Library(), folder, limits, host, names)


@pytest.mark.parametrize(
    ("served", "asked", "answered"),
    [
        ("127.0.0.1", HOME, True),
        ("127.0.0.1", "LocalHost", True),
        ("127.0.0.1", "localhost:8000", True),  # a forwarded port
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "evil.example:7860", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "10.0.0.7:7860", False),
        ("127.0.0.1", "[::1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "127.0.0.1@evil.example", False),
        ("10.0.0.7", "10.0.0.7:7860", True),
        ("0.0.0.0", "10.0.0.7:7860", True),
        ("::", "[fe80::1]:7860", True),
        ("0.0.0.0", "evil.example", False),
        ("127.0.0.1", "Proxy.example", True),
    ],
)
def test_who_it_may_be_asked_for_by(tmp_path, served, asked, answered):
    status, _, words = ask(made(tmp_path, host=served, names=["proxy.Example"]), host=asked)
    assert (status, "its words" in words) == ((200, True) if answered else (421, False))
    assert answered or "--allow_host" in words


def test_a_machine_that_is_served_everywhere_has_its_own_name(tmp_path, monkeypatch):
    monkeypatch.setattr(guard.socket, "gethostname", lambda: "Desk")
    for host in ("desk:7860", "desk.local"):
        assert ask(made(tmp_path, host="0.0.0.0"), host=host)[0] == 200
        assert ask(made(tmp_path), host=host)[0] == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:7860", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_pages_may_not_ask(tmp_path, origin, method):
    library = Library()
    status, headers, _ = ask(made(tmp_path, library), JOIN, method=method, origin=origin)
    assert status == 403 and library.bodies == [] and b"access-control-allow-origin" not in headers


@pytest.mark.parametrize("origin", [f"http://{HOME}", f"https://{HOME}"])
def test_its_own_page_may(tmp_path, origin):
    assert ask(made(tmp_path), JOIN, method="POST", body=b"{}", origin=origin)[0] == 200


def test_every_answer_keeps_the_page_to_itself(tmp_path):
    for answered in (ask(made(tmp_path)), ask(made(tmp_path), host="evil.example")):
        assert b"default-src 'self'" in answered[1][b"content-security-policy"]
        assert b"frame-ancestors 'none'" in answered[1][b"content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/upload/"),
        ("POST", "/gradio_api/vibe-edit"),
        ("PUT", UPLOAD),
        ("DELETE", "/"),
    ],
)
def test_nothing_is_sent_to_places_that_the_page_has_no_use_for(tmp_path, method, path):
    library = Library()
    assert ask(made(tmp_path, library), path, method=method, body=b"much")[0] == 405
    assert library.bodies == []


@pytest.mark.parametrize("length", [None, "-1", "1e9", "", " 1", "\u00b2"])
def test_a_body_says_how_long_it_is(tmp_path, length):
    assert ask(made(tmp_path), UPLOAD, method="POST", body=b"x", content_length=length)[0] == 411


def test_an_upload_and_a_question_have_their_sizes(tmp_path):
    library = Library()
    guarded = made(tmp_path, library)
    assert ask(guarded, UPLOAD, method="POST", body=bytes(3_000_000))[0] == 200
    status, _, words = ask(guarded, UPLOAD, method="POST", body=bytes(3_000_001))
    assert status == 413 and "At most 2 files at a time, each of at most 1 MB" in words
    assert ask(guarded, JOIN, method="POST", body=bytes(1_000_000))[0] == 200
    status, _, words = ask(guarded, JOIN, method="POST", body=bytes(1_000_001))
    assert status == 413 and "At most 2 files" in json.loads(words)["detail"]
    assert [len(body) for body in library.bodies] == [3_000_000, 1_000_000]


def test_the_folder_has_a_total(tmp_path):
    guarded = made(tmp_path, limits=Limits(files=2, megabytes=1.0, total_megabytes=4))
    (tmp_path / "waiting.png").write_bytes(bytes(2_000_000))
    assert ask(guarded, UPLOAD, method="POST", body=bytes(2_000_000))[0] == 200
    status, _, words = ask(guarded, UPLOAD, method="POST", body=bytes(2_000_001))
    assert status == 507 and "try again in a few minutes" in words
    assert ask(guarded, JOIN, method="POST", body=b"{}")[0] == 200
    (tmp_path / "waiting.png").unlink()
    assert ask(guarded, UPLOAD, method="POST", body=bytes(2_000_001))[0] == 200


def test_uploads_on_their_way_count(tmp_path):
    first = asyncio.Event()

    async def library(scope, receive, send):
        await receive()
        first.set()
        await asyncio.sleep(60)

    async def half():
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": True}

    async def nothing(message):
        pass

    async def check():
        guarded = made(tmp_path, library, limits=Limits(files=2, megabytes=1.0, total_megabytes=4))
        scope = scope_of(UPLOAD, HOME, "POST", {"content-length": 3_000_000})
        running = asyncio.create_task(guarded(scope, half, nothing))
        await first.wait()
        later = scope_of(UPLOAD, HOME, "POST", {"content-length": 2_000_001})
        assert guarded.refusal(later)[0] == 507  # of the first, two megabytes are still to come
        assert guarded.refusal(scope_of(UPLOAD, HOME, "POST", {"content-length": 2_000_000})) is None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert guarded.refusal(later) is None

    asyncio.run(check())


def test_an_upload_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "BODY_S", 0.01)
    said = []

    async def library(scope, receive, send):
        said.append(await receive())

    async def never():
        await asyncio.sleep(60)

    async def nothing(message):
        pass

    guarded = made(tmp_path, library)
    asyncio.run(guarded(scope_of(UPLOAD, HOME, "POST", {"content-length": 10}), never, nothing))
    assert said == [{"type": "http.disconnect"}] and guarded.coming == {}


def test_small_files_count_for_more_than_they_are(tmp_path):
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(LEAST_BYTES + 1))
    assert used(tmp_path) == 4 * LEAST_BYTES + 1


@pytest.mark.parametrize(
    ("library", "path", "status", "words"),
    [
        (Library(503), JOIN, 429, guard.BUSY),
        (Library(500), JOIN, 500, "This went wrong: load the page again."),
        (Library(error=ValueError("bad")), JOIN, 500, "This went wrong: load the page again."),
        (Library(413), UPLOAD, 400, guard.UNREADABLE),
        (Library(error=OSError(errno.ENOSPC, "No space left on device")), UPLOAD, 507, guard.FULL),
        (Library(error=IsADirectoryError(errno.EISDIR, "Is a directory")), UPLOAD, 400, guard.UNREADABLE),
        (Library(error=TypeError("no name")), UPLOAD, 400, guard.UNREADABLE),
    ],
)
def test_refusals_are_in_our_words(tmp_path, library, path, status, words, caplog):
    found = ask(made(tmp_path, library), path, method="POST", body=b"x")
    assert (found[0], json.loads(found[2])["detail"] if path == JOIN else found[2]) == (status, words)
    assert [record.exc_info for record in caplog.records] == [None] * bool(library.error)


def test_what_the_library_says_of_a_question_stays(tmp_path):
    status, headers, words = ask(made(tmp_path, Library(422)), JOIN, method="POST", body=b"x")
    assert (status, headers[b"kind"], words) == (422, b"its own", "its words")


def test_no_web_sockets(tmp_path):
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(made(tmp_path)({"type": "websocket", "headers": []}, None, send))
    assert sent == ["websocket.close"]
