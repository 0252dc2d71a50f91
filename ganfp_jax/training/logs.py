"""The logs of a run: metrics.jsonl, TensorBoard events and sample grids."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from ganfp_jax.data.decode import encode_png
from ganfp_jax.report.grid import image_grid
from ganfp_jax.run import atomic

METRICS = "metrics.jsonl"


class Logs:
    """The logs of one training. Lines beyond `first_step`, which a killed run left, are dropped."""

    def __init__(self, workdir: Path, first_step: int) -> None:
        self._workdir = workdir
        path = workdir / METRICS
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= first_step]
            atomic.write_bytes(path, "".join(line + "\n" for line in kept).encode())
        self._file = path.open("a", buffering=1)
        # Written at once: SummaryWriter's thread dies on a full disk, and the run would wait for it.
        self._events = EventsWriter(str(workdir / "events"))
        if first_step:  # makes TensorBoard drop what the killed run wrote beyond it
            log = SessionLog(status=SessionLog.START)
            self._events.write_event(Event(step=first_step + 1, wall_time=time.time(), session_log=log))

    def __enter__(self) -> "Logs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._events.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one line of metrics."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._event(step, summary.scalar(name, value))
        self._events.flush()

    def samples(self, step: int, images: UInt8[np.ndarray, "n h w 3"], columns: int = 0) -> None:
        """Writes a grid of samples as `samples/<step>.png`, with `columns` in a row; 0 makes it about square."""
        columns = columns or int(np.ceil(np.sqrt(len(images))))
        picture = image_grid(images, columns=columns, scale=max(1, 64 // images.shape[1]))
        path = self._workdir / "samples" / f"{step}.png"
        path.parent.mkdir(exist_ok=True)
        encode_png(path, picture)
        self._event(step, summary.image("samples", picture, dataformats="HWC"))
        self._events.flush()

    def _event(self, step: int, content: Any) -> None:
        self._events.write_event(Event(step=step, wall_time=time.time(), summary=content))


def logged(workdir: Path, last_step: int) -> list[tuple[int, dict[str, float]]]:
    """The lines of a run folder's log up to `last_step`: (step, name -> value)."""
    path = workdir / METRICS
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if _step_of(line) <= last_step]
    return [(int(record.pop("step")), {name: float(value) for name, value in record.items()}) for record in records]


def _step_of(line: str) -> float:
    try:
        record: dict[str, Any] = json.loads(line)
        return float(record["step"])
    except (ValueError, KeyError, TypeError):  # a killed run leaves half a line
        return float("inf")
