"""The guard in front of the page's server: it refuses requests of other sites and requests that are too large.

It knows only the paths of the library that serves the page. Another site that is open in the same browser can send
requests to this machine, so a request must come from the page itself (`Origin`). It must also ask for a name of this
server (`Host`), since a foreign name may be made to point at this machine.
"""

import asyncio
import errno
import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ganfp_jax.demo.uploads import Limits, used

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Refusal = tuple[int, str]

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
POSTED = frozenset({UPLOAD, JOIN, "/gradio_api/cancel", "/gradio_api/reset"})
"""All paths that the page sends requests to; the library has other paths, which are not needed here."""

NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
QUESTION_BYTES = 1_000_000  # of a request that is no upload: it names files and holds none
BODY_S = 300  # seconds for one upload: an endless one would keep its share of the folder for ever
DRAIN_S = 30  # seconds to read the rest of a refused request: a browser shows an answer only after it has sent all
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "content-security-policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",  # the page sends no request to other sites
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
BUSY = "Too many files wait for their verdict just now: try again in a minute."
UNREADABLE = "The upload could not be read: every file needs a name. Send it again."
FULL = "There is no room for an upload just now: try again in a few minutes."

_log = logging.getLogger("uvicorn.error")


class Guard:
    """An ASGI application around another one.

    Args:
        app: serves the requests that are accepted.
        folder: the folder of the uploads; stored and arriving files stay within `limits.total` bytes.
        host: the address that the server listens at.
        names: further host names that requests may use, such as that of a proxy.
    """

    def __init__(self, app: App, folder: Path, limits: Limits, host: str, names: Iterable[str] = ()) -> None:
        self.app, self.folder, self.limits = app, folder, limits
        self.everywhere = host in ("", "0.0.0.0", "::")
        own = socket.gethostname()
        self.names = HERE | {name.lower() for name in (host, *names, *((own, f"{own}.local") * self.everywhere))}
        self.coming: dict[object, int] = {}
        """The number of bytes that each upload has still to send."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":  # the page has no web sockets
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self.refusal(scope):
            await _drain(receive)
            await _answer(scope, _with_headers(send), refusal)
        else:
            await self._serve(scope, receive, _with_headers(send))

    def refusal(self, scope: Message) -> Refusal | None:
        """Returns status and message for a request that is refused, else None."""
        names, origins, lengths = (_values(scope, name) for name in (b"host", b"origin", b"content-length"))
        if len(names) != 1 or not self.is_ours(_host(names[0])):
            return 421, "This server has another name. Start it with --allow_host=NAME to ask for it by this one."
        if any(origin.lower().partition("://")[2] != names[0].lower() for origin in origins):
            return 403, "Other pages may not ask here."
        path = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST" or path not in POSTED:
            return 405, "Nothing is sent to this address."
        if len(lengths) != 1 or not lengths[0].isdecimal():
            return 411, "A request has to say how long it is."
        length = int(lengths[0])
        if length > (self.limits.upload if path == UPLOAD else QUESTION_BYTES):
            return 413, f"Too large: {self.limits.words()}"
        if path == UPLOAD and used(self.folder) + sum(self.coming.values()) + length > self.limits.total:
            return 507, FULL
        return None

    def is_ours(self, name: str) -> bool:
        """Whether the host name is one of the server's, or any IP address where it listens to all."""
        return name in self.names or (self.everywhere and _is_number(name))  # no DNS entry can redirect an IP address

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """Lets a request through; what the library refuses and what fails in it is answered in our words."""
        status, begun, ticket = 0, False, object()

        async def held(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status = message["status"]
            if status < 500 and (status < 400 or scope["path"] != UPLOAD):
                begun = True
                await send(message)

        if scope["path"] == UPLOAD:
            self.coming[ticket] = int(_values(scope, b"content-length")[0])
            receive = self._counted(receive, ticket)
        try:
            await self.app(scope, receive, held)
        except Exception as error:  # an error of the library gets one line, so that strangers cannot fill the log
            _log.warning("%s %r failed: %r", scope["method"], scope["path"], error)
            status = 507 if isinstance(error, OSError) and error.errno in NO_ROOM else 500
        finally:
            self.coming.pop(ticket, None)
        if not begun:
            await _answer(scope, send, _refused(scope["path"], status))

    def _counted(self, receive: Receive, ticket: object) -> Receive:
        """Counts the bytes of an upload, and ends an upload that takes too long as if its sender had gone."""
        end = asyncio.get_running_loop().time() + BODY_S

        async def counted() -> Message:
            if self.coming[ticket] <= 0:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}
            self.coming[ticket] -= len(message.get("body", b""))
            return message

        return counted


def _refused(path: str, status: int) -> Refusal:
    """Returns the answer in the place of the library's answer with this status."""
    if path == UPLOAD:
        return (507, FULL) if status == 507 else (400, UNREADABLE)
    if path == JOIN and status == 503:  # the page would show another message than that of the answer
        return 429, BUSY
    return 500, "This went wrong: load the page again."


def _with_headers(send: Send) -> Send:
    extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sent


async def _drain(receive: Receive) -> None:
    """Lets the sender end, for a while; nothing is kept."""
    try:
        async with asyncio.timeout(DRAIN_S):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        pass


async def _answer(scope: Message, send: Send, refusal: Refusal) -> None:
    """Plain text; JSON where the page looks for it."""
    status, words = refusal
    kind, body = "text/plain", words.encode()
    if scope["path"] != UPLOAD and scope["path"] in POSTED:
        kind, body = "application/json", json.dumps({"detail": words}).encode()
    headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _host(authority: str) -> str:
    """Returns the host of "host:port", in lower case and without the brackets of IPv6; "" where there is none."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
