"""Row of the whole way: a folder of JPEGs to predictions.csv, with the vote of eight views."""

import csv
import functools
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from experiments.benchmark import vote
from experiments.benchmark.row import OURS, Options, Row, check_close
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.predictions import predictions_csv
from ganfp_jax.data import labelled

BATCH = 32


def folder_row(size: int, options: Options) -> Row:
    """`options.files` JPEGs, a third wider and higher than the network's images, whose centres are attributed.

    The mean logits decide on both sides, since ttach has no majority. Listing, decoding, cutting, sending, the network
    and writing are all inside; starting Python and compiling are not.
    """
    name = f"folder of {options.files} JPEGs, {size}x{size}"
    network = vote.make_network(size, options.dtype)
    work = tempfile.TemporaryDirectory()  # deleted with the row

    @functools.cache
    def files() -> Path:
        return make_jpegs(Path(work.name) / "images", options.files, size)

    def out() -> Path:
        return Path(work.name) / "predictions.csv"

    def in_jax() -> Callable[[], dict[str, Any]]:
        attributor = Attributor(network.module, jax.device_put({"params": network.params}), vote.CLASSES, size)

        def call() -> dict[str, Any]:
            folder = labelled.open_labelled(files(), classes=attributor.classes)
            images = labelled.Images(folder, attributor.resolution)
            evaluation = evaluate(attributor, images, views="d4", rule="mean_logit", batch_size=BATCH)
            out().write_text(predictions_csv(evaluation))
            return _read(out())

        return call

    def in_torch(compile: bool) -> Callable[[], dict[str, Any]]:
        from experiments.benchmark.torch_folder import make_predict

        predict = make_predict(network.params, network.input, size, options.dtype, compile, BATCH)

        def call() -> dict[str, Any]:
            predict(files(), list(vote.CLASSES), out())
            return _read(out())

        return call

    makers: dict[str, Callable[[], Callable[[], Any]]] = {OURS: in_jax}
    if options.torch:
        makers["PyTorch"] = functools.partial(in_torch, compile=False)
        if options.compile:
            makers["PyTorch compiled"] = functools.partial(in_torch, compile=True)

    def check(answers: Any) -> None:
        check_close(name, answers, options.tolerance)

    return Row(name, options.files, makers, check)


def make_jpegs(root: Path, count: int, size: int) -> Path:
    """`count` JPEGs of noisy gradients in one folder a class, a third larger than `size` x `size`."""
    side = size * 4 // 3
    rng = np.random.default_rng(3)
    for name in vote.CLASSES:
        (root / name).mkdir(parents=True)
    for i in range(count):
        ramp = np.linspace(0, 255, side)[:, None, None] * rng.uniform(0, 1, (1, side, 3))
        pixels = np.clip(ramp + rng.normal(0, 10, (side, side, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / vote.CLASSES[i % len(vote.CLASSES)] / f"{i:06d}.jpg", quality=90)
    return root


def _read(path: Path) -> dict[str, Any]:
    """The probabilities of predictions.csv, in the order of the images' names."""
    rows = sorted(csv.DictReader(io.StringIO(path.read_text())), key=lambda row: row["image"])
    return {"probabilities": np.array([[float(row[name]) for name in vote.CLASSES] for row in rows])}
