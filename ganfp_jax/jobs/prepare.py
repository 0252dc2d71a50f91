"""The job `prepare`: a labelled image set -> a data set of ArrayRecord files, which is faster to read and to copy."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganfp_jax.data import labelled, manifests, reports
from ganfp_jax.data.decode import Refused, decode_image
from ganfp_jax.data.tfds import sets
from ganfp_jax.data.trees import UNSPLIT
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

ORIGIN = "prepared.json"


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `prepare`. An existing data set of the same files and the same manifest is kept.

    Raises:
        UserError: `data.root` holds no labelled set, a source has no usable image, another data set is in the way, or
            another process is making it.
    """
    root = Path(config["prepare"] or workdir / "dataset")
    source = Path(config["data"]["root"])
    opened = labelled.open_splits(source, config["data"]["layout"])
    folders = {split or UNSPLIT: folder for split, folder in opened.items()}
    origin = json.dumps({"root": str(source), "digest": labelled.digest(folders)}, indent=2) + "\n"
    classes = next(iter(folders.values())).classes
    manifest = manifests.read_manifest(source) or {"sources": {}}
    extra = {manifests.MANIFEST: manifests.manifest_bytes(classes, manifest["sources"]), ORIGIN: origin.encode()}
    with _alone(root):
        if all((root / name).is_file() and (root / name).read_bytes() == content for name, content in extra.items()):
            sets.clear_incomplete(root)  # a run may have been killed just before it
            print(f"{root} is there already, made of the same files")
            return
        usable, rejected = _usable(folders)
        reports.report_rejected(rejected, workdir)
        examples = {split: _examples(folder, usable[split], split) for split, folder in folders.items()}
        with atomic.on_device_of(root):
            sets.write_dataset(root, classes, examples, extra)
    sizes = ", ".join(f"{len(usable[split])} {split}" for split in folders)
    print(f"{sizes} images in {root}; use it as --config.data.root={root}")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Locks the data set against other processes."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(atomic.locked(root.with_name(f".{root.name}.lock"), wait=False))
        except BlockingIOError:
            raise UserError(
                f"another process is preparing {root}; wait for it or give another config.prepare"
            ) from None
        yield


def _usable(
    folders: dict[str, labelled.LabelledFolder],
) -> tuple[dict[str, list[int]], list[tuple[str, str]]]:
    """Returns each split -> the indices of its usable files, and the other files with their reasons."""
    usable: dict[str, list[int]] = {split: [] for split in folders}
    rejected = [file for folder in folders.values() for file in folder.left_out]
    with progress(sum(map(len, folders.values())), "check", "image", delay=2.0) as bar:
        for split, folder in folders.items():
            for index, path in enumerate(folder.paths):
                try:
                    decode_image(path)
                except Refused as reason:
                    rejected.append((folder.names[index], str(reason)))
                else:
                    usable[split].append(index)
                bar.update()
            left = {int(folder.labels[index]) for index in usable[split]}
            if missing := sorted({int(label) for label in folder.labels} - left):
                raise UserError(f"{folder.root}: no image of {folder.classes[missing[0]]} can be used")
    return usable, rejected


def _examples(folder: labelled.LabelledFolder, indices: list[int], split: str) -> Iterator[sets.Example]:
    with progress(len(indices), f"write {split}", "image", delay=2.0) as bar:
        for index in indices:
            yield sets.Example(folder.paths[index], folder.classes[folder.labels[index]], folder.names[index])
            bar.update()
