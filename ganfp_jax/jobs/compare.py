"""The job `compare`: images and a reference -> the likelihood ratio of one generator against two, and a page on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import likelihood
from ganfp_jax.attribution.likelihood import Comparison
from ganfp_jax.data import reports
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.load import load
from ganfp_jax.report import figures, pages
from ganfp_jax.report.comparison_page import text
from ganfp_jax.report.tippett_figure import draw_tippett
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

RESULTS = "comparison.json"
SETTINGS = ("most", "images_per_source", "resize", "mixed", "draws", "repeats", "seed")


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `compare`.

    Raises:
        UserError: there is no network, image or reference, or `likelihood.compare` refuses them.
    """
    require(config, "checkpoint", "reference", "data.root")
    if not config["images"]:
        raise UserError("no images: give those in question after --, or as config.images")
    tiling = Tiling(config["tiles"], config["min_luma_std"])
    tiling.check()
    check_resize(config["resize"])
    likelihood.check(config["most"], config["draws"], config["repeats"])
    found = likelihood.compare(
        load(config["checkpoint"], "attribution", calibrated=False),
        config["images"],
        config["reference"],
        config["data"]["root"],
        layout=config["data"]["layout"],
        tiling=tiling,
        **{key: config[key] for key in SETTINGS},
    )
    reports.report_rejected(found.refused, workdir)
    results = found.to_dict()
    write_json(workdir / RESULTS, results)
    atomic.write_bytes(workdir / "tippett.png", figures.png(draw_tippett, results))
    report = workdir / "report" / "index.html"
    write_page(report, found, config)
    print(text(results))
    print(f"\nresults: {workdir / RESULTS}  report: {report}")


def write_page(path: Path, found: Comparison, config: Mapping[str, Any]) -> None:
    """Writes report/index.html of the job `compare`."""
    files = [config["images"]] if isinstance(config["images"], str) else config["images"]
    settings = {key: value for key, value in config.items() if key != "images"}
    page = {
        "title": "Did one generator make these images and the reference?",
        "command": command("compare", settings, files=files),
        **provenance(),
        "config": config,
        "classes": list(found.known),
        **found.to_dict(),
    }
    pages.write_page("comparison", page, path)
