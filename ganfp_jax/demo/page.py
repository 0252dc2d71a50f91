"""The page and its server. Only this module imports Gradio, which reads its settings when it is imported."""

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastapi
import gradio
import uvicorn

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.demo.answers import about_html, answer, failure_html, to_html
from ganfp_jax.demo.guard import Guard
from ganfp_jax.demo.uploads import Limits, Upload, delete_old, examples, receive
from ganfp_jax.report.grid import data_uri
from ganfp_jax.run.errors import UserError

TITLE = "Which generator made this image?"
RESIZES = [
    ("look at tiles of all of it, pixel for pixel: keeps a generator's traces", "crop"),
    ("reduce its centre square: shows the scene, blurs the traces", "area"),
]
SYSTEM_FONTS = ("system-ui", "Segoe UI", "Noto Sans", "sans-serif")  # the reader's machine has them: none is fetched
ABANDONED_S = 180  # seconds; an upload of this age was never asked about, or was broken off
SWEEP_S = 15
WAITING = 32  # questions; all are answered before their files count as abandoned


def make_page(attributor: Attributor, limits: Limits, folder: Path) -> gradio.Blocks:
    """Makes the page: a field to drop files on, examples, and the answer.

    Args:
        folder: the folder in which Gradio puts uploads.
    """

    def respond(uploads: list[Upload] | None, resize: str) -> str:
        try:
            return to_html(answer(attributor, uploads or [], resize, limits))
        except UserError as error:
            return failure_html(str(error))  # Gradio's error box would read it as markup

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        gradio.HTML(about_html(TITLE, attributor, limits), apply_default_css=False)
        label = "Images to attribute: drop them here or choose them"
        drop = gradio.File(label=label, file_count="multiple", height=160, elem_id="drop")
        # Gradio's function leaves an empty file for each upload
        drop.preprocess = lambda files: _take(files, folder, limits)
        resize = gradio.Radio(RESIZES, value="crop", label="An image of another size")
        for asked in (drop, resize):
            asked.async_move_resource_to_block_cache = _stay
        buttons = []
        with gradio.Row():
            for source, uploads in examples(attributor.classes, attributor.resolution).items():
                with gradio.Column(min_width=150):
                    gradio.HTML(_thumbnails(source, uploads), apply_default_css=False)
                    buttons.append((gradio.Button(f"Try {source}", size="sm"), uploads))
        output = gradio.HTML(elem_id="answer", apply_default_css=False)
        options: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        drop.upload(lambda files, how: (None, respond(files, how)), [drop, resize], [drop, output], **options)
        for button, uploads in buttons:
            button.click(lambda how, uploads=uploads: respond(uploads, how), resize, output, **options)
    return page


async def _stay(path: str) -> str:
    """Replaces Gradio's function, which fetches the address or the file of this machine that a request names."""
    return path


def _take(files: Any, folder: Path, limits: Limits) -> list[Upload]:
    return receive([(file.orig_name or Path(file.path).name, Path(file.path)) for file in files or ()], folder, limits)


def _thumbnails(source: str, uploads: Sequence[Upload]) -> str:
    pictures = (
        f'<img class="pixels" src="{data_uri(upload.content)}" alt="Example {number} of {source}">'
        for number, upload in enumerate(uploads, start=1)
    )
    return f'<div class="examples">{"".join(pictures)}</div>'


def serve(
    attributor: Attributor,
    limits: Limits,
    folder: Path,
    host: str,
    listener: socket.socket,
    names: Sequence[str] = (),
) -> None:
    """Serves the page until the process is interrupted.

    Args:
        folder: the folder in which Gradio puts uploads; abandoned files are deleted.
        host: the name of the address that `listener` listens at.
        names: further host names that requests may use.
    """
    page = make_page(attributor, limits, folder)
    page.queue(max_size=WAITING)
    app = gradio.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        server_name=host,
        footer_links=[],
        run_history=False,
        max_file_size=limits.files * limits.bytes,  # of one file; below it, `uploads` refuses with a better message
        ssr_mode=False,
        mcp_server=False,
        theme=gradio.themes.Default(font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")),
        css_paths=[Path(__file__).with_name("page.css")],
    )
    threading.Thread(target=_sweep, args=(folder,), daemon=True).start()
    address = f"[{host}]" if ":" in host else host
    print(f"The page is at http://{address}:{listener.getsockname()[1]} - Ctrl-C ends it.", flush=True)
    config = uvicorn.Config(Guard(app, folder, limits, host, names), log_level="warning", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


def _sweep(folder: Path) -> None:
    """Deletes abandoned uploads as long as the process lives."""
    while True:
        time.sleep(SWEEP_S)
        delete_old(folder, ABANDONED_S)
