"""The job `export_weights`: a trained network -> a file of weights, a program that runs alone, or a folder to share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.data.views import views_of_training
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, Kind, Weights
from ganfp_jax.jobs.export_weights import model_folder, onnx_file, open_weights, program
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError


class Format(NamedTuple):
    """A value of `config.format`."""

    name: str
    """Of the file or folder in the run folder, where `config.file` names no other."""
    kind: Kind | None
    """Of the networks that it is for; None for all."""
    export_to: Callable[[Path, Weights, Mapping[str, Any]], None]
    """Writes it."""


FORMATS = {
    "safetensors": Format(FILE, None, open_weights.export_to),
    "folder": Format("model", "attribution", model_folder.export_to),
    "onnx": Format(onnx_file.NAME, "attribution", onnx_file.export_to),
    "stablehlo": Format(program.PROGRAM, "attribution", program.export_to),
}


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `export_weights`.

    Raises:
        UserError: there is no network, the format is unknown, the settings do not fit, or the file cannot be written.
    """
    require(config, "checkpoint")
    if config["format"] not in FORMATS:
        raise UserError(f"config.format {config['format']!r} is unknown; choose one of {', '.join(FORMATS)}")
    check_vote(config["views"], config["rule"])
    name, kind, export_to = FORMATS[config["format"]]
    path, suffix = Path(config["file"] or workdir / name), Path(name).suffix
    if suffix and path.suffix != suffix:
        raise UserError(f"config.file {path} is to be a file of {config['format']}; end it in {suffix}")
    weights = load(config["checkpoint"], kind)
    views = config["views"] or views_of_training(weights.about.get("augment", "d4"))
    export_to(path, weights, {**config, "views": views})
