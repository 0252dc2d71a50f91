"""The web page on this machine: `python -m ganfp_jax.demo`.

Drop images on it: it says which source made them, by how much and how each view voted, and shows the fingerprints
behind the verdict. Nothing is sent anywhere, and no file stays on disk. It needs the extra demo:
pip install 'ganfp_jax[demo]'.
"""

import argparse
import importlib.util
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from types import FrameType

from ganfp_jax.demo.folder import own_folder
from ganfp_jax.run import cache, console
from ganfp_jax.run.errors import UserError


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m ganfp_jax.demo", description=__doc__.partition("\n")[2])
    parser.add_argument(
        "--checkpoint",
        default="photos32",
        help="shipped set, run folder of a training or exported weights (%(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="0 takes a free one (%(default)s)")
    parser.add_argument("--max_files", type=_whole, default=10, help="files at a time (%(default)s)")
    parser.add_argument("--max_mb", type=_positive, default=10.0, help="megabytes of a file (%(default)g)")
    parser.add_argument(
        "--max_total_mb", type=_positive, help="megabytes of all files that wait (three uploads of the largest size)"
    )
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name that the page is asked for by, such as a proxy's; may be given again",
    )
    return parser


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and a million")
    return number


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    return int(_positive(str(number)))


def run(
    checkpoint: str,
    host: str,
    port: int,
    max_files: int,
    max_mb: float,
    max_total_mb: float | None,
    allow_host: Sequence[str],
) -> None:
    """Serves the page until the process is interrupted.

    Raises:
        UserError: the extra is not installed, there is no such checkpoint, the address cannot be used, or
            `limits.total` is below the size of one upload.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the web page needs Gradio: pip install 'ganfp_jax[demo]', best in an environment of its own")
    with _listen(host, port) as listener:  # a taken port is reported before the slow start
        signal.signal(signal.SIGTERM, _exit)  # SIGTERM deletes the folder as well
        cache.keep_compiled()
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
        from ganfp_jax.demo.uploads import Limits

        limits = Limits(max_files, max_mb, total_megabytes=max_total_mb)
        if limits.total < limits.upload:
            upload = f"{limits.upload / 1e6:g} MB"
            raise UserError(f"--max_total_mb={max_total_mb:g} is less than an upload may take: {upload}")
        with own_folder() as folder:
            os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = str(folder)
            from ganfp_jax import Attributor
            from ganfp_jax.demo.answers import warm_up
            from ganfp_jax.demo.page import serve

            attributor = Attributor.load(checkpoint)
            warm_up(attributor, limits)
            serve(attributor, limits, folder, host, listener, allow_host)


def _listen(host: str, port: int) -> socket.socket:
    reason, cause = "ports are numbers from 0 to 65535", None
    if 0 <= port <= 65535:  # of others, `create_server` would leave its socket open
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            reason, cause = error.strerror or str(error), error
    raise UserError(f"{host}:{port} cannot be used ({reason}); choose another --port, or 0") from cause


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns the exit status: 0 where the user ends it, 2 after a user's mistake."""
    console.prepare()
    flags = _flags().parse_args(argv)
    try:
        run(**vars(flags))
    except KeyboardInterrupt:
        return 0
    except UserError as error:
        console.tell(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
