"""Loading trained weights from a run folder, an exported file or a shipped set."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flax.traverse_util import unflatten_dict

from ganfp_jax.interop import advice, shipped
from ganfp_jax.interop.model_folder import MODEL
from ganfp_jax.interop.stored_file import shown
from ganfp_jax.interop.weights import (
    CALIBRATION,
    FILE,
    SUFFIX,
    Kind,
    Weights,
    check_tensors,
    digest,
    expected_tensors,
    float32,
    make_network,
    read_file,
)
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import CONFIG, read_config
from ganfp_jax.training import stored
from ganfp_jax.training.checkpoint_choice import chosen_step

SCRATCH = "quickstart-scratch"  # the run folder of `make scratch`, whose networks are the defaults of most configs
KINDS: dict[str, Kind] = {"gan": "generator", "attribution": "attribution", "fingerprint": "attribution"}
_WANTED = {
    None: ("network", "give the run folder of a training"),
    "generator": ("generator", "give the run folder of a GAN"),
    "attribution": (
        "attribution network",
        "give the run folder of configs/attribution.py or configs/fingerprint.py",
    ),
}


def load(path: str | Path, kind: Kind | None = None, *, calibrated: bool = True) -> Weights:
    """Loads the weights at `path`.

    Args:
        path: the run folder of a training (its newest checkpoint, or the best if its `checkpoint_choice` says so; the
            running average where one was kept; its calibration, if it is of these weights), a run folder that holds
            `weights.safetensors`, such a file, or a folder of `interop.model_folder`. If the path does not exist, it
            may be the name of shipped weights (`ganfp_jax.interop.shipped`).
        kind: the kind of network that is required; None accepts both.
        calibrated: False leaves out the calibration, so that weights with a damaged calibration can be read.

    Raises:
        UserError: there are no weights of the kind, or they cannot be read.
    """
    path = Path(path)
    if not is_there(path):
        path = shipped.find(path) or path
    try:
        return _load(path, kind, calibrated)
    except UserError:
        if path.suffix != SUFFIX and not (path / CONFIG).is_file() and advice.is_published(path):
            raise advice.import_first(path, kind) from None
        raise


def _load(path: Path, kind: Kind | None, calibrated: bool) -> Weights:
    """Loads the weights of a path that exists."""
    if path.suffix == SUFFIX or path.is_file():
        weights = read_file(path)
    elif not _has_checkpoints(path) and (file := _file_in(path)):
        weights = read_file(file)
        weights = _calibrated(path, weights) if calibrated else weights
    else:
        weights = _from_training(path, kind)
        return _calibrated(path, weights) if calibrated else weights
    _require(path, weights.kind, kind, weights.model["name"])
    if calibrated:
        return weights
    return dataclasses.replace(weights, about={k: v for k, v in weights.about.items() if k != "calibration"})


def _file_in(folder: Path) -> Path | None:
    """The file of weights in a folder that has one."""
    return next((folder / name for name in (FILE, MODEL) if (folder / name).is_file()), None)


def is_there(path: Path) -> bool:
    """Whether a file or folder has this name; raises UserError where that cannot be found out."""
    try:
        return path.exists()
    except OSError as error:  # the name is too long, say, or the folder may not be read
        raise UserError(f"{shown(str(path))} cannot be read ({error.strerror}); give another path") from error


def _calibrated(run_folder: Path, weights: Weights) -> Weights:
    """Adds the calibration in the run folder to `weights`, unless it is of other weights, say of an earlier step."""
    path = run_folder / CALIBRATION
    if weights.kind != "attribution" or not path.is_file():
        return weights
    try:
        calibration = read_json(path)
        fits = calibration["digest"] == digest(weights.variables)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path} is damaged; delete it, or write it anew with configs/calibrate.py") from error
    return dataclasses.replace(weights, about=weights.about | {"calibration": calibration}) if fits else weights


def _has_checkpoints(run_folder: Path) -> bool:
    return (run_folder / stored.FOLDER).is_dir()


def _require(path: Path, found: Kind | None, wanted: Kind | None, what: Any) -> Kind:
    """Returns `found`; raises UserError where `path` holds no network, or none of the `wanted` kind."""
    if found is None or wanted not in (None, found):
        noun, remedy = _WANTED[wanted]
        raise UserError(f"{path} holds no {noun} (but {shown(what)}); {remedy}, or a file of exported weights")
    return found


def _from_training(run_folder: Path, wanted: Kind | None) -> Weights:
    if not (run_folder / CONFIG).is_file():
        made = "make it with `make scratch`, or " if SCRATCH in run_folder.parts else ""
        raise UserError(
            f"{run_folder} is not a run folder: it has no {CONFIG} and no {FILE}; {made}give the --workdir of a "
            f"training run, a file of exported weights, or the name of a shipped set ({', '.join(shipped.sets())})"
        )
    config = read_config(run_folder)
    if config.get("library_name") == "ganfp_jax":  # that of `interop.model_folder`
        raise UserError(f"{run_folder} holds no network: it has no {MODEL}; fetch or export the whole folder again")
    program = config.get("program", "")
    found = KINDS.get(program) if isinstance(program, str) else None
    kind = _require(run_folder, found, wanted, program or config.get("job"))
    checkpoint = stored.Stored(run_folder, chosen_step(run_folder, config))
    model, about = _described(run_folder, config, checkpoint.metadata(), kind)
    origin = {"run_folder": run_folder.resolve().name, "step": checkpoint.step}
    weights = Weights(kind, model, {}, about, origin)
    expected = expected_tensors(run_folder, weights)
    arrays = checkpoint.arrays()
    names = _names_in_state(arrays.names, "generator" if kind == "generator" else "network")
    with checkpoint.refusals():
        opened = arrays.open(names.values())
        present = {name: _type_and_shape(opened[there]) for name, there in names.items()}
        check_tensors(checkpoint.folder, weights, expected, present, "train again in another --workdir")
        tensors = stored.read(opened)
    variables = unflatten_dict({name: float32(tensors[there]) for name, there in names.items()}, sep="/")
    return dataclasses.replace(weights, variables=variables)


def _of_nobody(config: Mapping[str, Any]) -> dict[str, bool]:
    """Whether a training had pseudo-unknowns, where it had; older ones do not tell."""
    return {"nobody": True} if config.get("pseudo_unknown", {"share": 0})["share"] > 0 else {}


def _described(
    run_folder: Path, config: Mapping[str, Any], metadata: Mapping[str, Any], kind: Kind
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns `model` and `about` of a training, as in `Weights`; their values are not checked yet."""
    try:
        if kind == "attribution":
            classes = metadata["classes"]
            model = {**config["model"], "resolution": config["resolution"], "num_classes": len(classes)}
            return model, {"classes": classes, "augment": config["augment"]} | _of_nobody(config)
        model = {**config["generator"], "resolution": config["resolution"]}
        return model, {
            "source_name": metadata["source_name"],
            "latents": config["latents"],
            "pixels": config["step"]["pixels"],
            "batch_size": config["batch_size"] if make_network(run_folder, model).normalizes_by_batch() else None,
        }
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run_folder} does not say how to use its network: {CONFIG} or the checkpoint's metadata is damaged "
            f"({type(error).__name__}: {error}); restore it, or train again in another --workdir"
        ) from error


def _names_in_state(names: Sequence[str], role: str) -> dict[str, str]:
    """Returns each name in `Weights.variables` -> its name in a training's state, for the network of this role.

    The running average is taken where one was kept: it is the better network, and the published one.
    """
    averaged = any(name.startswith("ema_params.") for name in names)
    places = {"ema_params." if averaged else f"{role}.params.": "params/", f"{role}.stats.": ""}
    return {
        collection + name.removeprefix(place).replace(".", "/"): name
        for place, collection in places.items()
        for name in names
        if name.startswith(place)
    }


def _type_and_shape(array: Any) -> tuple[str, tuple[int, ...]]:
    return ("F32" if array.dtype.name == "float32" else array.dtype.name, tuple(array.shape))
