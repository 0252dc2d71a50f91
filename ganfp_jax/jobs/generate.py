"""The job `generate`: a generator, trained here or elsewhere, or real photographs -> one labelled image folder."""

import contextlib
from pathlib import Path
from typing import Any

from ganfp_jax.audit.quick import report_leaks
from ganfp_jax.data import labelled, reports
from ganfp_jax.generation.folders import write_cuts, write_generated, write_photographs
from ganfp_jax.generation.restorers import find, photographs, writing
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.run.errors import UserError


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `generate`."""
    root = Path(config["root"] or workdir / "images")
    restores = find.is_restorer(config["generator"])
    _check_photographs(config, restores)
    if config["count"] < (0 if restores else 1):
        raise UserError(f"config.count is {config['count']}; give the number of images to make")
    written = config["count"]
    if restores:
        written = _restore(config, root, workdir)
    elif config["generator"] == "photos":
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
            "config.generator is empty; give a run folder (--config.generator=runs/progan), a network that works on "
            'photographs (ncnn:NAME or onnx:FILE), "photos" or "folder"'
        )
    print(f"{written} images in {root}")
    with contextlib.suppress(UserError):  # there is one source only, or the folder cannot be used yet
        report_leaks(labelled.open_labelled(root))


def _check_photographs(config: dict[str, Any], restores: bool) -> None:
    for key in ("photographs", "source_name"):
        if config[key] and not restores:
            raise UserError(
                f"config.{key} is for generators that work on photographs ({', '.join(f'{k}:' for k in find.KINDS)}), "
                f"and config.generator is {config['generator']}; leave one of them out"
            )


def _restore(config: dict[str, Any], root: Path, workdir: Path) -> int:
    settings = writing.Settings(**config["restore"], seed=config["seed"])
    restorer = find.load(config["generator"], **config["network"])
    found, rejected = photographs.find(config["photographs"])
    written, refused = writing.write_restored(
        restorer, root, found, settings, source_name=config["source_name"], count=config["count"]
    )
    reports.report_rejected(rejected + refused, workdir)
    return written
