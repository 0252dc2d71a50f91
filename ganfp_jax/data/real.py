"""The real images that a config's `data` section names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.data import sources
from ganfp_jax.data.listing import find_images, printable
from ganfp_jax.data.reports import report_notes, report_rejected
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError


def real_images(data: Mapping[str, Any], *, resolution: int, workdir: Path, **settings: Any) -> sources.ImageSet:
    """Load the source `data["source"]` with the settings under its name.

    Each of several processes decodes the whole set if it fits into memory (`training.labelled_images.decode_training`
    gives the reason); a set that stays on disk is checked and read in parts.

    Args:
        data: {"source": name, name: settings, ...}; settings of other sources are ignored.
        resolution: side of the images in pixels.
        workdir: the folder for `rejected.csv`, if files were refused, and `notes.csv`, if images were changed; a line
            on the console mentions them.
        **settings: more settings of the source, which override those of `data`.

    Raises:
        UserError: the source has no settings, or its function raises one.
    """
    name, known = data["source"], data.keys() - {"source"}
    if name not in known:
        raise UserError(f"config.data.source is {name!r}; choose from {', '.join(sorted(known))}")
    real = sources.load(name, resolution=resolution, **dict(data[name]) | settings)
    if processes.first():
        report_rejected(real.rejected, workdir)
        report_notes(real.notes, workdir)
    return real


def names_in_folder(data: Mapping[str, Any]) -> list[str] | None:
    """List the names of the images of the source `folder` without decoding; None where `data` names another source.

    Raises:
        UserError: the folder is missing or cannot be listed.
    """
    if data["source"] != "folder":
        return None
    root = Path(data["folder"]["root"])
    if not data["folder"]["root"] or not root.is_dir():
        return None  # reading the images will raise the error
    return [printable(path.relative_to(root).as_posix()) for path in find_images(root).images]
