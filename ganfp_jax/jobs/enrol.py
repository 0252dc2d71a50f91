"""The job `enrol`: a network and a few images of a new source -> a network that knows one source more."""

from pathlib import Path
from typing import Any

from ganfp_jax.attribution import enrolment
from ganfp_jax.attribution.enrolment import Enrolment
from ganfp_jax.data import lists, reports
from ganfp_jax.data.listing import find_images
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import CALIBRATION, FILE, Weights, write_file
from ganfp_jax.report.table import text_table
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `enrol`.

    Raises:
        UserError: there is no network, no image or no name, or `enrolment.enrol` or `withdraw` refuses.
    """
    require(config, "checkpoint")
    tiling = Tiling(config["tiles"], config["min_luma_std"])
    tiling.check()
    check_resize(config["resize"])
    weights = load(config["checkpoint"], "attribution", calibrated=False)
    if config["remove"]:
        made = enrolment.withdraw(weights, config["remove"])
        print(f"taken out: {config['remove']}")
    else:
        require(config, "images", "name", "data.root")
        enrolment.check_new(weights, config["name"], config["rate"])
        enrolled = _enrol(weights, config, tiling)
        reports.report_rejected(enrolled.refused, workdir)
        print(summary(enrolled, config["name"]))
        made = enrolled.weights
    identity = write_file(workdir / FILE, made)
    (workdir / CALIBRATION).unlink(missing_ok=True)  # of an earlier network there
    print(f"\nsources: {', '.join(made.about['classes'])}\ndigest: {identity}\nweights: {workdir / FILE}")
    print(
        "It has no calibration, since another set of sources asks for its own: configs/calibrate.py "
        f"--config.checkpoint={workdir} --config.data.root=DIR"
    )


def _enrol(weights: Weights, config: dict[str, Any], tiling: Tiling) -> Enrolment:
    return enrolment.enrol(
        weights,
        config["name"],
        _files(config["images"]),
        config["data"]["root"],
        layout=config["data"]["layout"],
        tiling=tiling,
        **{key: config[key] for key in ("rate", "images_per_source", "resize", "mixed")},
    )


def _files(asked: str) -> list[Path]:
    """The images in a folder, or on a list.

    Raises:
        UserError: there is neither.
    """
    folder = Path(asked)
    if folder.is_dir():
        return find_images(folder).images
    if asked.startswith("@"):
        return [Path(path) for path in lists.paths_of(asked.removeprefix("@"))]
    raise UserError(f"config.images is {folder}; give a folder with images of the new source, or @FILE, a list of them")


def summary(enrolled: Enrolment, name: str) -> str:
    """Formats what was enrolled and what to expect of it for the console."""
    count = len(enrolled.used)
    rows = [
        ("enrolled", f"{name}, from {count} images"),
        ("found where enrolled from the others", f"{enrolled.found} of {count}"),
        ("most like it", enrolled.nearest),
    ]
    few = f"{name} can hardly be told from {enrolled.nearest}: most of its images will get that name."
    return "\n\n".join([text_table(rows[0], rows[1:]), *([few] if 2 * enrolled.found < count else [])])
