"""Copies of labelled folders whose files are all written alike: one codec, one size and no metadata."""

import io
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data import labelled, manifests, reports
from ganfp_jax.data.decode import ImageFile, Refused, open_header, png_bytes
from ganfp_jax.data.names import fitting
from ganfp_jax.data.preprocess import check_resize, read_fitted
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

CODECS = {"png": ".png", "jpeg": ".jpg"}
STRETCHES = ("auto", "all", "none")
CLIPPED = 0.01  # share of values that a stretch clips at either end
LOSSY = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF", "GIF"})


def check(out: str, root: str, *, codec: str, quality: int, resolution: int, resize: str, stretch: str) -> None:
    """Raises `UserError` for settings that make no sense; `out` must be a new folder beside `root`, or empty."""
    if codec not in CODECS:
        raise UserError(f"config.equalised.codec is {codec!r}; choose one of {', '.join(CODECS)}")
    if stretch not in STRETCHES:
        raise UserError(f"config.equalised.stretch is {stretch!r}; choose one of {', '.join(STRETCHES)}")
    if not 1 <= quality <= 100 or resolution < 0:
        raise UserError(
            f"config.equalised has quality {quality} and resolution {resolution}; give 1 to 100, and a side in pixels "
            "or 0 for that of the smallest image"
        )
    check_resize(resize)
    copy, source = Path(out).resolve(), Path(root).resolve()
    if out and (copy == source or copy in source.parents or source in copy.parents):
        raise UserError(f"config.equalise {out} and config.data.root {root} lie inside each other; give another folder")


def write(
    folders: Mapping[str, labelled.LabelledFolder],
    out: Path,
    *,
    codec: str,
    quality: int,
    resolution: int,
    resize: str,
    stretch: bool,
    seed: int,
) -> list[str]:
    """Writes `<out>/[<split>/]<source>/<file>` for every file that can be used, with manifests.

    Pixels change only by resizing, unless `codec` is "jpeg" or `stretch` is set. Earlier traces stay in the pixels: a
    classifier still sees a JPEG in a photograph that was rewritten as PNG. A per-image stretch cannot be undone, so
    `stretch` does it to all images. Noise of up to one level first (triangular, drawn from `seed` and the name) fills
    the gaps of older stretches. Then the values of every image are stretched until one of a hundred is clipped at
    either end.

    Args:
        folders: split -> folder; {"": folder} where there are no splits.
        out: a new or empty folder, or one that the same call wrote or began to write.
        codec: "png", or "jpeg" with `quality` and full colour resolution.
        resolution: side in pixels; 0 for the smallest side of any image.
        resize: one of `preprocess.RESIZES`.
        quality: quality of JPEG.
        stretch: whether to stretch.
        seed: 0 to 2**32 - 1.

    Returns:
        Notes for the user, one line each.

    Raises:
        UserError: `out` holds something else or a copy of other images, or a source has no usable image.
    """
    headers = [_header(path) for folder in folders.values() for path in folder.paths]
    side = resolution or min((side for _, side in headers if side), default=0)
    record = {"codec": codec, "resolution": side, "resize": resize, "stretch": stretch}
    record |= {"quality": quality} if codec == "jpeg" else {}
    record |= {"seed": seed} if stretch else {}
    _claim(out, {"source": labelled.digest(folders)} | record)
    rejected: list[tuple[str, str]] = []
    images = 0
    with progress(len(headers), "equalise", "image") as bar:
        for split, folder in folders.items():
            written: Counter[int] = Counter()
            refused: dict[int, str] = {}
            for target, path, name, label in _targets(folder, out / split, CODECS[codec]):
                try:
                    image, _ = read_fitted(path, side, resize)
                except Refused as reason:
                    rejected.append((f"{split}/{name}" if split else name, str(reason)))
                    refused.setdefault(label, f"{name}: {reason}")
                else:
                    image = (
                        stretched(image, np.random.RandomState([seed, zlib.crc32(name.encode())])) if stretch else image
                    )
                    target.parent.mkdir(parents=True, exist_ok=True)
                    atomic.write_bytes(target, _encode(image, codec, quality))
                    written[label] += 1
                    images += 1
                bar.update()
            for label in np.unique(folder.labels):
                if not written[label]:
                    raise UserError(
                        f"{folder.root}: no image of {folder.classes[label]} can be used at {side}x{side}, such as "
                        f"{refused[label]}; see config.equalised"
                    )
            rejected += ((f"{split}/{name}" if split else name, reason) for name, reason in folder.left_out)
            _write_manifest(folder, out / split, record)
    reports.write_rejected(out / "rejected.csv", rejected)
    notes = [f"{images} images of {side}x{side} as {codec} in {out}"]
    if rejected:
        notes.append(f"{len(rejected)} files could not be used: {out / 'rejected.csv'}")
    lossy = {name for name, _ in headers if name in LOSSY}
    if codec == "png" and lossy and len({name for name, _ in headers}) > 1:
        notes.append(
            f"{', '.join(sorted(lossy))} files leave their traces in the pixels of the copy; "
            "--config.equalised.codec=jpeg gives all images one last compression"
        )
    return notes


def stretched(image: UInt8[np.ndarray, "h w 3"], rng: np.random.RandomState) -> UInt8[np.ndarray, "h w 3"]:
    """The image with its values stretched from their 1st and 99th percentiles to 0 and 255, without gaps."""
    values = image + rng.triangular(-1, 0, 1, image.shape)
    low, high = np.quantile(values, [CLIPPED, 1 - CLIPPED])
    return np.clip(np.rint((values - low) * 255 / max(high - low, 1)), 0, 255).astype(np.uint8)


def _header(file: ImageFile) -> tuple[str, int]:
    """The format and the smaller side; ("", 0) for a file that is no image."""
    try:
        with open_header(file) as image:
            return str(image.format), min(image.size)
    except Exception:  # of any type, for a damaged file; decoding reports it
        return "", 0


def _claim(out: Path, record: dict[str, Any]) -> None:
    """Marks `out` as the folder of this copy, so that a stopped run resumes and nothing else is overwritten."""
    mark = out / "equalised.json"
    text = json.dumps(record, indent=1) + "\n"
    if mark.is_file():
        if mark.read_bytes() == text.encode():
            atomic.sweep(out)
            return
        raise UserError(
            f"config.equalise {out} holds a copy of other images, or with other settings (see {mark.name} there); "
            "give a new folder"
        )
    # A run that was killed while it wrote the mark leaves a hidden partial file.
    if out.exists() and (not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())):
        raise UserError(f"config.equalise {out} is there already and holds something else; give a new folder")
    out.mkdir(parents=True, exist_ok=True)
    atomic.sweep(out)
    atomic.write_bytes(mark, text.encode())


def _targets(folder: labelled.LabelledFolder, base: Path, suffix: str) -> list[tuple[Path, ImageFile, str, int]]:
    """(new path, file, name, label) of every file; where they clash, a.png and a.jpg become a.png.png and a.jpg.png."""
    stems = [PurePath(name).stem for name in folder.names]
    files = [PurePath(name).name for name in folder.names]
    whole = [name.replace("/", "_") for name in folder.names]
    counts = Counter(itertools.chain(*(zip(folder.labels.tolist(), names, strict=True) for names in (stems, files))))
    targets: dict[Path, tuple[ImageFile, str, int]] = {}
    for index, label in enumerate(folder.labels.tolist()):
        options = (stems[index], files[index])
        stem = next((option for option in options if counts[label, option] == 1), whole[index])
        path = base / folder.classes[label] / _visible(stem, suffix)
        while path in targets:
            path = path.with_name(_visible(f"{path.stem}_", suffix))
        targets[path] = (folder.paths[index], folder.names[index], label)
    return [(path, *target) for path, target in targets.items()]


def _visible(stem: str, suffix: str) -> str:
    """A file name that any folder accepts and that readers of image folders do not skip as hidden."""
    return fitting(f"_{stem}{suffix}" if stem.startswith(".") else f"{stem}{suffix}")


def _encode(image: UInt8[np.ndarray, "h w 3"], codec: str, quality: int) -> bytes:
    if codec == "png":
        return png_bytes(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _write_manifest(folder: labelled.LabelledFolder, base: Path, record: dict[str, Any]) -> None:
    manifest = manifests.read_manifest(folder.root) or manifests.read_manifest(folder.root.parent) or {"sources": {}}
    present = [folder.classes[label] for label in np.unique(folder.labels)]
    sources = {name: manifest["sources"].get(name, {}) | {"equalised": record} for name in present}
    manifests.write_manifest(base, present, sources)
