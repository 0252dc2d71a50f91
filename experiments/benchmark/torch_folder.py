"""A folder of images to predictions.csv with a DataLoader, PIL and ttach; importing this needs the extra `bench`."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import ttach
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from experiments.benchmark.torch_device import autocast, compile_frozen, prepare
from experiments.benchmark.torch_visnet import VisNet
from experiments.benchmark.torch_vote import ChannelsLast


class Folder(Dataset):
    """(index, uint8 (3, R, R)): the centres of the files' images."""

    def __init__(self, files: list[Path], resolution: int) -> None:
        self.files, self.resolution = files, resolution

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray]:
        with Image.open(self.files[index]) as image:
            rgb = image.convert("RGB")
        left, top = (rgb.width - self.resolution) // 2, (rgb.height - self.resolution) // 2
        cut = rgb.crop((left, top, left + self.resolution, top + self.resolution))
        return index, np.array(cut).transpose(2, 0, 1)


def make_predict(
    params: Any, input: Literal["image", "residual"], resolution: int, dtype: str, compile: bool, batch_size: int
) -> Callable[[Path, list[str], Path], None]:
    """A function (root, classes, out) that writes the mean vote of eight views on `<root>/<class>/*` to `out`."""
    device = prepare()
    network = VisNet(params, input).eval().to(device, memory_format=torch.channels_last)
    model = ChannelsLast(compile_frozen(network) if compile else network)
    voting = ttach.ClassificationTTAWrapper(model, ttach.aliases.d4_transform(), merge_mode="mean")

    @torch.inference_mode()
    def predict(root: Path, classes: list[str], out: Path) -> None:
        files = [path for name in classes for path in sorted((root / name).iterdir())]
        workers = len(os.sched_getaffinity(0))
        # One shape is compiled: the last batch is filled up.
        places = np.arange(-(-len(files) // batch_size) * batch_size).clip(max=len(files) - 1)
        loader = DataLoader(
            Folder([files[i] for i in places], resolution),
            batch_size,
            num_workers=workers if workers > 1 else 0,
            pin_memory=device == "cuda",
        )
        rows: list[list[str]] = []
        for _, images in loader:
            signed = images.to(device, non_blocking=True).float() / 127.5 - 1
            with autocast(device, dtype):
                probabilities = voting(signed).float().softmax(1).cpu().numpy()
            rows += [[classes[p.argmax()], *(f"{value:.6f}" for value in p)] for p in probabilities]
        with out.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "target", "predicted", *classes])
            for path, row in zip(files, rows, strict=False):
                writer.writerow([f"{path.parent.name}/{path.name}", path.parent.name, *row])

    return predict
