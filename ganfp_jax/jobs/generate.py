"""The job `generate`: a trained generator, or real photographs -> one labelled image folder."""

import contextlib
from pathlib import Path
from typing import Any

from ganfp_jax.audit.quick import report_leaks
from ganfp_jax.data import labelled, reports
from ganfp_jax.generation.folders import write_cuts, write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.run.errors import UserError


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `generate`."""
    root = Path(config["root"] or workdir / "images")
    if config["count"] < 1:
        raise UserError(f"config.count is {config['count']}; give the number of images to make")
    written = config["count"]
    if config["generator"] == "photos":
        write_photographs(
            root,
            source_name="real",
            count=config["count"],
            resolution=config["resolution"],
            photos=config["photos"],
        )
    elif config["generator"] == "folder":
        rejected = write_cuts(
            root,
            source_name="real",
            count=config["count"],
            resolution=config["resolution"],
            folder=config["folder"],
        )
        reports.report_rejected(rejected, workdir)
        written -= len(rejected)
    elif config["generator"]:
        sampler = Sampler(Path(config["generator"]), config["encoding"])
        write_generated(sampler, root, count=config["count"], seed=config["seed"], batch_size=config["batch_size"])
    else:
        raise UserError(
            'config.generator is empty; give a run folder (--config.generator=runs/progan), "photos" or "folder"'
        )
    print(f"{written} images in {root}")
    with contextlib.suppress(UserError):  # there is one source only, or the folder cannot be used yet
        report_leaks(labelled.open_labelled(root))
