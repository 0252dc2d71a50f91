"""The manifest of a labelled image set: the order of its classes, and the origins of their images."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.data.names import fault_of
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json

MANIFEST = "manifest.json"


def write_manifest(
    root: str | os.PathLike[str], classes: Sequence[str], sources: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write `<root>/manifest.json`, atomically; an older one is replaced. `root` must exist.

    Args:
        root: the folder that holds one folder a class.
        classes: the names of the source folders, in the order of the class indices.
        sources: class -> the origin of its images (such as checkpoint digest, seed, count and encoding), for all
            classes or some; JSON must be able to hold the values.

    Raises:
        ValueError: no source can have a name (`data.names`), a name is used twice, or a source is not among the
            classes.
    """
    atomic.write_bytes(Path(root, MANIFEST), manifest_bytes(classes, sources))


def manifest_bytes(classes: Sequence[str], sources: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the content of the file of `write_manifest`; the same errors are raised."""
    manifest = {
        "classes": list(classes),
        "sources": {name: dict(origin) for name, origin in sources.items()},
    }
    if fault := _fault(manifest):
        raise ValueError(f"not a manifest: {fault}")
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def read_manifest(root: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read `<root>/manifest.json`: {"classes": [name, ...], "sources": {name: {...}}}; None where there is none.

    Raises:
        UserError: the file is not such a manifest.
    """
    path = Path(root, MANIFEST)
    if not path.exists():
        return None
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        fault: str | None = " ".join(str(error).split())
    else:
        fault = _fault(manifest)
    if fault:
        raise UserError(f"{path} is broken: {fault}; repair it, or delete it to order the classes by name")
    return {"sources": {}} | manifest


def sources_of(root: Path) -> dict[str, Any]:
    """Return the origins of the images of a set, or of a split of one, by source; {} without a manifest."""
    return (read_manifest(root) or read_manifest(root.parent) or {"sources": {}})["sources"]


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _fault(manifest: object) -> str | None:
    """Return the fault of a manifest, or None."""
    if not isinstance(manifest, dict):
        return "it is not a JSON object"
    classes, sources = manifest.get("classes"), manifest.get("sources", {})
    if not isinstance(classes, list) or not classes:
        return 'it has no list "classes" of names'
    for name in classes:
        if fault := fault_of(name):
            return f"the class name {ascii(name)[:80]} {fault}"
    if len(set(classes)) < len(classes):
        return "a class name is used twice"
    if not isinstance(sources, dict) or not all(isinstance(origin, dict) for origin in sources.values()):
        return '"sources" is not an object of objects'
    if wrong := [name for name, origin in sources.items() if not _are_names(origin.get("photographs", []))]:
        return f"the photographs of source {wrong[0]!r} are not a list of names"
    if strange := [name for name in sources if name not in classes]:
        return f"source {strange[0]!r} is not among the classes"
    return None
