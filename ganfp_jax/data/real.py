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
    """Load the source `data["source"]` with the settings that stand under its name.

    Of several processes each decodes a set that fits into memory whole, for the reason that
    `training.labelled_images.decode_training` gives; one that stays on disk is checked and read in parts.

    Args:
        data: {"source": name, name: settings, ...}, where other sources' settings may stand as well.
        resolution: side of the images in pixels.
        workdir: where `rejected.csv` goes if files were refused, and `notes.csv` if images were not taken as they are;
            lines on the screen then say so.
        **settings: more of the source's settings, which go before those of `data`.

    Raises:
        UserError: a source without settings, or whatever the source has to say.
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
    """The images of the source `folder`, by name, without decoding any; None where `data` names another source.

    Raises:
        UserError: the folder is missing or cannot be listed.
    """
    if data["source"] != "folder":
        return None
    root = Path(data["folder"]["root"])
    if not data["folder"]["root"] or not root.is_dir():
        return None  # which the reading of them has to say
    return [printable(path.relative_to(root).as_posix()) for path in find_images(root).images]
