"""Trained weights and their file format.

The file is safetensors. Every tensor is float32 and named by its Flax path, such as `params/32x32/Conv0/weight`. One
JSON object in the header, under the key `ganfp_jax`, holds format, version, kind, model, about, origin and digest as
in `Weights`. The safetensors library reads the whole file without this package.
"""

import dataclasses
import hashlib
import json
import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from ganfp_jax import models
from ganfp_jax.data.names import check_names
from ganfp_jax.data.views import AUGMENTATIONS
from ganfp_jax.interop.layouts import LARGEST
from ganfp_jax.interop.stored_file import shown
from ganfp_jax.models import latents, pixels
from ganfp_jax.models.fingerprints import AttributionNetwork
from ganfp_jax.run import atomic
from ganfp_jax.run.console import one_line
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import name_of, open_regular, parse_json

Kind = Literal["generator", "attribution"]

FILE = "weights.safetensors"  # in a run folder that was not trained but imported or exported
CALIBRATION = "calibration.json"  # in the run folder of an attribution network, where there is one of its weights
SUFFIX = ".safetensors"
KEY = "ganfp_jax"  # the only key: the library writes several in an order that changes from process to process
BASELINES = "baselines"  # the key in a file of `ganfp_jax.baselines.write`
FORMAT, VERSION = "weights", 1

_IMPOSSIBLE = (TypeError, ValueError, ZeroDivisionError, OverflowError)  # errors of settings that make no network
_MAX_REASON = 300  # characters
_MOST_LISTED = 20  # differences
_MAX_BYTES = 2 << 30  # of all weights of a network; the largest published one has a tenth
_AGAIN = "export or import it again"


@dataclasses.dataclass(frozen=True)
class Weights:
    """A network's weights and the settings to use them.

    Attributes:
        kind: "generator" (latents to images) or "attribution" (images to the logits of their sources).
        model: the arguments of `models.create`.
        variables: Flax variables by collection ("params", "batch_stats", ...), float32.
        about: settings that JSON can hold. An attribution network has `classes`, in the order of its logits, and
            `augment`, one of `views.AUGMENTATIONS`: the views it was trained on (absent from older files); a calibrated
            one has `calibration`, the `to_dict` of a `ganfp_jax.attribution.certainty.Calibration`. A generator has
            `source_name` (its class in labelled folders), `latents` (`size` and `distribution`), `pixels` (its range,
            see `models.pixels`) and `batch_size`: that of its training if it normalises by the batch that it draws,
            else None.
        origin: the weights' origin, which JSON can hold: `run_folder` (its name) and `step` of a training; the identity
            of an imported file, such as its name, format and SHA-256.
    """

    kind: Kind
    model: dict[str, Any]
    variables: dict[str, Any]
    about: dict[str, Any]
    origin: dict[str, Any]


def digest(variables: Mapping[str, Any]) -> str:
    """Computes SHA-256 over the name and the bytes of every array, in the order of the names; it identifies weights.

    Manifests record the digest of the generator of their images. A name here is the path in [params, {the other
    collections}] as Python writes it: `[0]['4x4']['Conv']['bias']`, `[1]['batch_stats']['b4']['mean']`.
    """
    tree = [variables["params"], {name: tree for name, tree in variables.items() if name != "params"}]
    total = hashlib.sha256()
    for path, leaf in sorted(jax.tree.leaves_with_path(tree), key=lambda item: jax.tree_util.keystr(item[0])):
        total.update(jax.tree_util.keystr(path).encode())
        total.update(np.ascontiguousarray(leaf).tobytes())
    return total.hexdigest()


def write_file(path: str | Path, weights: Weights) -> str:
    """Writes `weights` as one file, atomically; the same weights give the same bytes.

    Returns:
        Their digest.

    Raises:
        UserError: the weights are not those of their model or lack settings, or the path cannot be written to.
    """
    path = Path(path)
    tensors = flatten_dict(jax.tree.map(float32, weights.variables), sep="/")
    shapes = {name: ("F32", array.shape) for name, array in tensors.items()}
    check_tensors(path, weights, expected_tensors(path, weights), shapes, _AGAIN)
    described = {field: getattr(weights, field) for field in ("kind", "model", "about", "origin")}
    described |= {"format": FORMAT, "version": VERSION, "digest": digest(weights.variables)}
    data = safetensors.numpy.save(tensors, {KEY: json.dumps(described, sort_keys=True)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write weights to {path} ({error.strerror}); choose another file") from error
    return described["digest"]


def read_file(path: str | Path) -> Weights:
    """Reads the weights of a file of `write_file`, or the immunised regression of a file of `baselines.write`.

    Raises:
        UserError: there is no such file, it is damaged or of another tool, or its tensors are not those of its model
            (all tensors that are missing, surplus or of another shape are named).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}; give the run folder of a training or a file of exported weights")
    try:
        with open_regular(path) as opened, safetensors.safe_open(name_of(path, opened), framework="np") as file:
            metadata = file.metadata() or {}
            if BASELINES in metadata:
                return _regression(path, file, metadata[BASELINES])
            described = _read_header(path, metadata)
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
            present = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
            weights = Weights(
                **{field: described[field] for field in ("kind", "model", "about", "origin")}, variables={}
            )
            check_tensors(path, weights, expected_tensors(path, weights), present, _AGAIN)
            tensors = {name: file.get_tensor(name) for name in present}
    except safetensors.SafetensorError as error:
        reason = str(error).rpartition(": ")[2]
        raise UserError(
            f"{path} cannot be read as safetensors ({reason}): it was cut short or is another kind of file; copy it "
            "again, or export the weights again"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); give another file") from error
    weights = dataclasses.replace(weights, variables=unflatten_dict(tensors, sep="/"))
    if digest(weights.variables) != described["digest"]:
        raise UserError(
            f"{path} is damaged: its weights do not have the digest that it was written with; copy it again, or export "
            "the weights again"
        )
    return weights


def _regression(path: Path, file: Any, header: str) -> Weights:
    """Reads a regression of a file of baselines as an attribution network."""
    from ganfp_jax import baselines

    try:
        called, model, classes = baselines.as_network(header)
    except UserError as error:
        raise UserError(f"{path} holds baselines, but {error}") from error
    about = {"classes": classes, "augment": "none"}
    weights = Weights("attribution", model, {}, about, {"baseline": called})
    prefix = f"{called}/"
    names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no dictionary
    slices = {f"params/{name.removeprefix(prefix)}": file.get_slice(name) for name in names}
    present = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    check_tensors(path, weights, expected_tensors(path, weights), present, "fit and write the baselines again")
    tensors = {f"params/{name.removeprefix(prefix)}": file.get_tensor(name) for name in names}
    return dataclasses.replace(weights, variables=unflatten_dict(tensors, sep="/"))


def _read_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise UserError(
            f"{path} is of another tool (its header has no {KEY!r}), so nothing says which network it holds; give a "
            "file of configs/export_weights.py, or make one of published weights with configs/import_weights.py"
        )
    fields = {"format": str, "version": int, "kind": str, "model": dict, "about": dict, "origin": dict, "digest": str}
    try:
        described = parse_json(metadata[KEY])
        wrong = [name for name, kind in fields.items() if not isinstance(described[name], kind)]
        wrong += ["kind"] if described["kind"] not in get_args(Kind) else []
    except (ValueError, KeyError, TypeError) as error:
        wrong = [f"{type(error).__name__}: {error}"]
    if wrong:
        raise UserError(f"the header of {path} is damaged ({', '.join(wrong)}); copy it again, or export it again")
    if (described["format"], described["version"]) != (FORMAT, VERSION):
        raise UserError(
            f"{path} is in version {described['version']} of the format {described['format']!r}, read here is "
            f"{VERSION} of {FORMAT!r}; update ganfp_jax"
        )
    return described


def make_network(path: Path, model: Mapping[str, Any]) -> Any:
    """Makes the network that the settings `model` describe.

    Raises:
        UserError: there is no such network, or it is too large; the error names `path`, which holds the settings.
    """
    inner = [item for value in model.values() if isinstance(value, dict) for item in value.items()]
    for key, value in [*model.items(), *inner]:
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise _cannot_be_made(path, f"{shown(key)} is {shown(value)}; no size of a network is above {LARGEST}")
    try:
        return models.create(**model)
    except (UserError, KeyError, *_IMPOSSIBLE) as error:
        raise _cannot_be_made(path, error) from error


def expected_tensors(path: Path, weights: Weights) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns (dtype, shape) by name of the tensors of the model; nothing is computed.

    Raises:
        UserError: `model` makes no network, or `about` lacks settings.
    """
    network = make_network(path, weights.model)
    if fault := _fault(path, weights, network):
        raise UserError(f"{path} does not say how to use its network: {fault}; export or import it again")
    resolution = weights.model["resolution"]
    shape = (1, network.latent_size) if weights.kind == "generator" else (1, resolution, resolution, 3)
    try:
        variables = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, np.float32))
    except ZeroDivisionError as error:
        raise _cannot_be_made(path, "its settings leave a layer without feature maps") from error
    except _IMPOSSIBLE as error:
        raise _cannot_be_made(path, error) from error
    expected = {name: ("F32", tuple(leaf.shape)) for name, leaf in flatten_dict(dict(variables), sep="/").items()}
    if (total := sum(4 * math.prod(shape) for _, shape in expected.values())) > _MAX_BYTES:
        raise _cannot_be_made(path, f"it would have {total:,} bytes of weights, over the limit of {_MAX_BYTES:,}")
    return expected


def check_tensors(
    path: Path,
    weights: Weights,
    expected: Mapping[str, tuple[str, tuple[int, ...]]],
    found: Mapping[str, tuple[str, tuple[int, ...]]],
    remedy: str,
) -> None:
    """Raises UserError unless `found`, (dtype, shape) by name, are the tensors of the model."""
    differences = [f"missing {name}" for name in sorted(expected.keys() - found.keys())]
    differences += [f"surplus {_plain(name)}" for name in sorted(found.keys() - expected.keys())]
    differences += [
        f"{name} is {_sized(found[name])} in the place of {_sized(expected[name])}"
        for name in sorted(expected.keys() & found.keys())
        if found[name] != expected[name]
    ]
    if differences:
        more = f" and {len(differences) - _MOST_LISTED} more" if differences[_MOST_LISTED:] else ""
        raise UserError(
            f"{path} does not hold the weights of its network {weights.model['name']}: "
            f"{', '.join(differences[:_MOST_LISTED])}{more}; {remedy}"
        )


def _plain(name: str) -> str:
    """Formats a tensor's name on one line; a plausible name is left unchanged."""
    return name if name.isascii() and name.isprintable() and len(name) <= _MAX_REASON else shown(ascii(name))


def _cannot_be_made(path: Path, reason: object) -> UserError:
    """Makes the error for a header whose `model` is impossible; JAX's message is reduced to one short line."""
    line = one_line(" ".join(str(reason).split()))
    line = line if len(line) <= _MAX_REASON else f"{line[:_MAX_REASON]}..."
    return UserError(f"{path} describes a network that cannot be made here: {line}")


def _sized(tensor: tuple[str, tuple[int, ...]]) -> str:
    return f"{tensor[0]} {'x'.join(map(str, tensor[1])) or 'scalar'}"


def _fault(path: Path, weights: Weights, network: Any) -> str:
    """Returns the fault of `about`, or "" if it has none."""
    about, name = weights.about, weights.model["name"]
    if weights.kind == "attribution":
        if not isinstance(network, AttributionNetwork):
            return f"{name} is no attribution network"
        classes, count = about.get("classes"), weights.model["num_classes"]
        if not isinstance(classes, list) or len(classes) != count:
            return f"about.classes is {reprlib.repr(classes)} in the place of {reprlib.repr(count)} names of sources"
        check_names(classes, path)
        if (augment := about.get("augment", "d4")) not in AUGMENTATIONS:
            return f"about.augment is {reprlib.repr(augment)}, none of {', '.join(AUGMENTATIONS)}"
        nobody = about.get("nobody", False)
        return "" if isinstance(nobody, bool) else f"about.nobody is {reprlib.repr(nobody)}, not true or false"
    if not hasattr(network, "latent_size"):
        return f"{name} is no generator"
    check_names([about.get("source_name")], path)
    z = about.get("latents")
    if not (
        isinstance(z, dict)
        and z.keys() == {"size", "distribution"}
        and z["size"] == network.latent_size
        and isinstance(z["distribution"], str)
        and z["distribution"] in latents.DISTRIBUTIONS
    ):
        return f"about.latents is {reprlib.repr(z)} for latents of {network.latent_size} numbers"
    if about.get("pixels") not in pixels.RANGES:
        return f"about.pixels is {reprlib.repr(about.get('pixels'))}, none of {', '.join(pixels.RANGES)}"
    batch_size = about.get("batch_size")
    if network.normalizes_by_batch():
        wrong = "" if isinstance(batch_size, int) and batch_size > 0 else "but it normalises by batches"
    else:
        wrong = "" if batch_size is None else "but it does not normalise by batches"
    return f"about.batch_size is {reprlib.repr(batch_size)}, {wrong}" if wrong else ""


def float32(array: Any) -> np.ndarray:
    """Converts an array to the float32 of `Weights.variables`."""
    return np.asarray(array, np.float32, order="C")
