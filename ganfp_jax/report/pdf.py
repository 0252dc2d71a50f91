"""A page as a PDF, printed by a Chromium of this machine where there is one."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from ganfp_jax.run import atomic

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60.0  # for a page; it takes about one
# It must ask nobody for anything: a page may show what is nobody else's business.
_FLAGS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--no-pdf-header-footer"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-domain-reliability", "--disable-client-side-phishing-detection", "--metrics-recording-only"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def browser() -> str | None:
    """The path of a Chromium; None where none is on the PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def print_page(chromium: str, page: Path, seconds: float = SECONDS) -> Path | None:
    """Prints a page beside itself, as a PDF of the same name, and returns its path; None where that fails.

    Args:
        chromium: the browser.
        page: an HTML file.
        seconds: after which the browser is ended.

    Raises:
        OSError: the PDF cannot be written there.
    """
    path = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(prefix="ganfp-pdf-", ignore_cleanup_errors=True) as folder:
        made = Path(folder, "page.pdf")
        # The sandbox needs rights that a container's root does not have; the page is our own, without a script.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        line = [chromium, *_FLAGS, *sandbox, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}"]
        if not _ends([*line, page.absolute().as_uri()], seconds) or not _is_pdf(made):
            return None
        atomic.write_bytes(path, made.read_bytes())
    return path


def _ends(line: list[str], seconds: float) -> bool:
    """Runs a program with all that it starts; whether it ends well and in time."""
    try:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and, where the system has groups of them, all that it started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _is_pdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(5) == b"%PDF-"
    except OSError:
        return False
