"""Labelled image folders with a manifest, of a trained generator's images or of photographs."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.data import manifests, sources
from ganfp_jax.data.cut import Cuts
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.listing import printable
from ganfp_jax.data.names import fitting
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

# The prefixes of the published file names; the files of any other source begin with its name.
FILE_PREFIXES = {"CramerGAN": "CRAMER", "MMDGAN": "MMD"}


def write_generated(sampler: Sampler, root: Path, *, count: int, seed: int, batch_size: int) -> None:
    """Writes `count` images as `<root>/<source>/<prefix>_%08d.png`; the memory does not depend on the count.

    Raises:
        UserError: as `Sampler.stream`; another process is writing the same source, or other files lie in its place.
    """
    images = itertools.chain.from_iterable(sampler.stream(seed, count, batch_size))
    origin = sampler.origin | {
        "seed": seed,
        "count": count,
        "resolution": sampler.resolution,
    }
    names = [file_name(sampler.source_name, i) for i in range(count)]
    write_source(root, sampler.source_name, origin, names, zip(names, images, strict=True))


def file_name(source_name: str, index: int) -> str:
    """Returns the file name of the image of this index, such as "ProGAN_00000012.png"."""
    return fitting(f"{FILE_PREFIXES.get(source_name, source_name)}_{index:08d}.png")


def write_photographs(root: Path, *, source_name: str, count: int, resolution: int, photos: Mapping[str, Any]) -> None:
    """Writes `count` crops of the embedded photographs as `<root>/<source_name>/<photograph>_%05d.png`."""
    real = sources.photos(count=count, resolution=resolution, **photos)
    origin = {
        "source": "photos",
        "photographs": sorted(set(real.origins)),
        "count": count,
        "resolution": resolution,
        **photos,
    }
    names = [f"{name}.png" for name in real.names]
    write_source(root, source_name, origin | {"encoding": "plain"}, names, zip(names, real.images, strict=True))


def write_cuts(
    root: Path, *, source_name: str, count: int, resolution: int, folder: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Writes `count` photographs of a folder, cut to size, as `<root>/<source_name>/<number>_<name>.png`.

    Args:
        folder: {"root": the folder, "first": the number of files to skip, "resize": one of `preprocess.RESIZES`}.

    Returns:
        (file, reason) of the files that could not be used.

    Raises:
        UserError: as `Cuts`; another process is writing the same source, or other files lie in its place.
    """
    given = Path(folder["root"])
    cuts = Cuts(given, first=folder["first"], count=count, resolution=resolution, resize=folder["resize"])
    origin = {"source": "folder", "count": count, "resolution": resolution, **folder, "encoding": "plain"}
    write_source(root, source_name, origin, cuts.names, cuts)
    return cuts.rejected


def write_source(
    root: Path,
    source_name: str,
    origin: dict[str, Any],
    names: Sequence[str],
    images: Iterable[tuple[str, UInt8[np.ndarray, "h w 3"]]],
) -> None:
    """Writes `<root>/<source_name>/<name>` for each (name, image), then adds the source to the manifest.

    Raises:
        UserError: another process is writing the same source, or the folder has files of other names.
    """
    folder = root / source_name
    folder.mkdir(parents=True, exist_ok=True)
    with alone(root, source_name):
        atomic.sweep(root)
        if others := {path.name for path in folder.iterdir() if not path.name.startswith(".")}.difference(names):
            raise UserError(
                f"{folder} holds other files, such as {printable(min(others))}, which would pass for images "
                f"of {source_name} made now; remove that folder, or give another config.root"
            )
        known = (manifests.read_manifest(root) or {"sources": {}})["sources"]
        if source_name in known and known[source_name] != origin:
            register(root, source_name, {})  # a killed process leaves no false entry in the manifest
        with progress(len(names), source_name, "image") as bar:
            for name, image in images:
                encode_png(folder / name, image)
                bar.update()
        register(root, source_name, origin)


@contextlib.contextmanager
def alone(root: Path, source_name: str) -> Iterator[None]:
    """Locks this source against other processes; several processes may write different sources of one root.

    `source_name` may be that of one setting, "source/setting".
    """
    with contextlib.ExitStack() as stack:
        try:
            lock = fitting(f".{source_name.replace('/', '~')}.lock")
            stack.enter_context(atomic.locked(root / lock, wait=False))
        except BlockingIOError:
            raise UserError(
                f"another process is writing {root / source_name}; wait for it or give another config.root"
            ) from None
        yield


def register(root: Path, source_name: str, origin: dict[str, Any], setting: str = "") -> None:
    """Adds a source to the folder's manifest; the sources before it keep their class indices.

    With a `setting`, the source has several, each with an origin of its own: {"settings": {setting: origin}, ...}.
    """
    # Without the lock, one of two jobs that write at once would drop the source of the other.
    with atomic.locked(root / f".{manifests.MANIFEST}.lock", wait=True):
        manifest = manifests.read_manifest(root) or {"classes": [], "sources": {}}
        classes = [*manifest["classes"], *([] if source_name in manifest["classes"] else [source_name])]
        if setting:
            origin = _with_setting(manifest["sources"].get(source_name, {}), setting, origin)
        manifests.write_manifest(root, classes, manifest["sources"] | {source_name: origin})


def _with_setting(source: dict[str, Any], setting: str, origin: dict[str, Any]) -> dict[str, Any]:
    settings = source.get("settings", {}) | {setting: origin}
    photographs = sorted({name for of_one in settings.values() for name in of_one.get("photographs", ())})
    return {"settings": settings, "photographs": photographs, "count": sum(one["count"] for one in settings.values())}
