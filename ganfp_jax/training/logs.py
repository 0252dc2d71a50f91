"""What a run leaves to read: metrics.jsonl, TensorBoard events, sample grids."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter

from ganfp_jax import atomic
from ganfp_jax.data.decode import encode_png
from ganfp_jax.grid import image_grid


class Logs:
    """The log of one training run. Lines beyond `first_step`, left by a run that was killed, are dropped."""

    def __init__(self, workdir: Path, first_step: int) -> None:
        self._workdir = workdir
        path = workdir / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= first_step]
            atomic.write_bytes(path, "".join(line + "\n" for line in kept).encode())
        self._file = path.open("a", buffering=1)
        self._events = SummaryWriter(
            str(workdir), purge_step=first_step + 1 if first_step else None, write_to_disk=True
        )

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
            self._events.add_scalar(name, value, step)

    def samples(self, step: int, images: UInt8[np.ndarray, "n h w 3"], columns: int = 0) -> None:
        """Writes a grid of samples as `samples/<step>.png`, with `columns` in a row, or about as many as rows."""
        columns = columns or int(np.ceil(np.sqrt(len(images))))
        picture = image_grid(images, columns=columns, scale=max(1, 64 // images.shape[1]))
        path = self._workdir / "samples" / f"{step}.png"
        path.parent.mkdir(exist_ok=True)
        encode_png(path, picture)
        self._events.add_image("samples", picture, step, dataformats="HWC")


def _step_of(line: str) -> float:
    try:
        record: dict[str, Any] = json.loads(line)
        return record["step"]
    except (ValueError, KeyError):  # the half line of a run that was killed
        return float("inf")
