"""An attribution network as a folder that others load: weights, settings and a model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import pretrained
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.predictions import METRICS
from ganfp_jax.interop.load import load
from ganfp_jax.interop.model_folder import MODEL
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.jobs.export_weights.open_weights import check_read_back
from ganfp_jax.jobs.export_weights.output import summary
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import read_config


def export_to(folder: Path, weights: Weights, config: Mapping[str, Any]) -> None:
    """Writes the folder and reads it back.

    Raises:
        UserError: the evaluation is of other weights, the license is no identifier, or the folder cannot be written to.
    """
    metrics = _metrics(Path(config["evaluation"]), weights) if config["evaluation"] else None
    attributor = Attributor.of(weights, config["checkpoint"])
    check_read_back(folder / MODEL, weights, pretrained.save(attributor, folder, config["license"], metrics))
    print(summary(weights, folder / MODEL, ("license", config["license"]), ("folder", str(folder))))
    print(f"\nuse it wherever a run folder is asked for, or as Attributor.from_pretrained({str(folder)!r})")


def _metrics(run_folder: Path, weights: Weights) -> Any:
    """Returns what configs/evaluate.py measured, after a check that it was of these weights, on images as they are."""
    config = read_config(run_folder)
    if config.get("job") != "evaluate":
        raise UserError(f"config.evaluation {run_folder} is no run folder of configs/evaluate.py; give one, or none")
    if config.get("perturb") != "none":
        raise UserError(f"config.evaluation {run_folder} is of perturbed images; give one of images as they are")
    if digest(load(str(config.get("checkpoint")), "attribution").variables) != digest(weights.variables):
        raise UserError(f"config.evaluation {run_folder} is of other weights; evaluate these ones, or give none")
    try:
        return read_json(run_folder / METRICS)
    except (OSError, ValueError) as error:
        raise UserError(f"{run_folder / METRICS} cannot be read ({error}); evaluate the network again") from error
