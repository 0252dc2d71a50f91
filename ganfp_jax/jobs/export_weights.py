"""The job `export_weights`: a trained network -> one file, of weights or of a program that runs alone."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.voting import check_vote, unmeasured, vote_function
from ganfp_jax.data.views import resolve_views
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, Weights, digest, read_file, write_file
from ganfp_jax.models.cpu import convolution
from ganfp_jax.models.fingerprints import make_logits
from ganfp_jax.report.table import text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
PROGRAM = "vote.stablehlo"
TOLERANCE = 1e-4  # between the logits of the exported program and of this package

# How to run an exported program where Python has jax, numpy and flatbuffers (jax reads it with flatbuffers).
USAGE = """\
import json, numpy as np
from jax import export
vote = export.deserialize(bytearray(open("{program}", "rb").read()))
answer = vote.call(np.zeros(({count}, {resolution}, {resolution}, 3), np.uint8))  # for zeros: your images, RGB
print([json.load(open("{description}"))["classes"][k] for k in answer["predicted"]], answer["probabilities"])
"""
OUTPUTS = {
    "predicted": "int32 (N,): index in classes of the class that the rule chose",
    "probabilities": "float32 (N, K): of each class; rows sum to 1",
    "votes": "int32 (N, K): how many views chose each class",
    "view_predictions": "int32 (V, N): the class that each view chose",
    "view_logits": "float32 (V, N, K): the logits of each view",
}


def export_vote(
    weights: Weights,
    *,
    views: str | Sequence[str],
    rule: str,
    batch_size: int = 0,
    platforms: Sequence[str] = ("cpu",),
) -> bytes:
    """Exports the vote of an attribution network with its weights as one serialised program of `jax.export`.

    The program takes uint8 images (N, R, R, 3) and returns a dictionary, `OUTPUTS`. The same arguments give the same
    bytes, which contain no path of this machine.

    Args:
        weights: the weights of an attribution network.
        views, rule: the vote, as for `ganfp_jax.attribution.voting.make_vote`.
        batch_size: the only N that the program takes; 0 for any.
        platforms: the platforms that can run it, among `PLATFORMS`. With "cpu" the views are classified in turn, else
            at once.

    Raises:
        UserError: a view, the rule or a platform is unknown, the batch size is negative, or the logits are a map.
    """
    if batch_size < 0:
        raise UserError(f"config.batch_size is {batch_size}; give 1 or more, or 0 for any number of images")
    if not platforms or isinstance(platforms, str) or set(platforms) - set(PLATFORMS):
        raise UserError(f"config.platforms is {platforms!r}; give a list of one or more of {', '.join(PLATFORMS)}")
    network: Any = models.create(**weights.model)
    logits = make_logits(network)
    variables = jax.device_put(weights.variables)
    side = weights.model["resolution"]
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    if jax.eval_shape(logits, variables, image).ndim != 2:
        raise UserError("this network answers with a map of logits (model.latent_res); a vote needs one logit a source")
    voted = vote_function(unmeasured(logits), views, rule, in_turn="cpu" in platforms)

    def vote(images: jax.Array) -> dict[str, jax.Array]:
        answer = voted(variables, images)
        return {name: getattr(answer, name) for name in OUTPUTS}

    (count,) = (batch_size,) if batch_size else export.symbolic_shape("n")
    images = jax.ShapeDtypeStruct((count, side, side, 3), np.uint8)
    limit = jax.config.values["jax_traceback_in_locations_limit"]
    jax.config.update("jax_traceback_in_locations_limit", 0)  # else the program contains paths of our source files
    try:
        with convolution.use_xla_convolutions():  # the program must run without this package
            return bytes(export.export(jax.jit(vote), platforms=list(platforms))(images).serialize())
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `export_weights`.

    Raises:
        UserError: there is no network, the format is unknown, the settings do not fit, or the file cannot be written.
    """
    require(config, "checkpoint")
    if config["format"] not in FORMATS:
        raise UserError(f"config.format {config['format']!r} is unknown; choose one of {', '.join(FORMATS)}")
    check_vote(config["views"], config["rule"])
    name, export_to = FORMATS[config["format"]]
    path = Path(config["file"] or workdir / name)
    if path.suffix != Path(name).suffix:
        raise UserError(f"config.file {path} is to be a file of {config['format']}; end it in {Path(name).suffix}")
    export_to(path, config)


def _export_safetensors(path: Path, config: Mapping[str, Any]) -> None:
    weights = load(config["checkpoint"])
    written = write_file(path, weights)
    back = read_file(path)
    if _described(back) != _described(weights) or digest(back.variables) != written:
        raise UserError(f"{path} does not read back as it was written; export again, to another device")
    key = "config.generator" if weights.kind == "generator" else "config.checkpoint"
    print(_table(_rows(weights, path)))
    print(f"\nuse it wherever a run folder is asked for: --{key}={path}")


def _export_stablehlo(path: Path, config: Mapping[str, Any]) -> None:
    weights = load(config["checkpoint"], "attribution")
    program = export_vote(weights, **{key: config[key] for key in ("views", "rule", "batch_size", "platforms")})
    _compare(program, config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, program)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write to config.file {path} ({error.strerror}); choose another file") from error
    description = path.with_suffix(".json")
    resolution, count = weights.model["resolution"], config["batch_size"] or 1
    usage = USAGE.format(program=path.name, description=description.name, resolution=resolution, count=count)
    described = {
        "program": path.name,
        "sha256": hashlib.sha256(program).hexdigest(),
        "jax": f"{jax.__version__}; the jax of the six months after it reads the program too, by its makers' promise",
        "platforms": list(config["platforms"]),
        "classes": weights.about["classes"],
        "views": list(resolve_views(config["views"])),
        "rule": config["rule"],
        "resolution": resolution,
        "batch_size": config["batch_size"] or "any",
        "input": f"uint8 (N, {resolution}, {resolution}, 3): RGB images, 0 to 255",
        "outputs": OUTPUTS,
        "digest": digest(weights.variables),
        "origin": weights.origin,
        "usage": usage.splitlines(),
    }
    write_json(description, described)
    print(_table([*_rows(weights, path), ("description", str(description))]))
    print(f"\nuse it where Python has jax, flatbuffers and numpy, and nothing of ganfp_jax:\n\n{usage}")


# `config.format` -> the default name of the file, and the function that writes it.
FORMATS: dict[str, tuple[str, Callable[[Path, Mapping[str, Any]], None]]] = {
    "safetensors": (FILE, _export_safetensors),
    "stablehlo": (PROGRAM, _export_stablehlo),
}


def _described(weights: Weights) -> tuple[Any, ...]:
    return weights.kind, weights.model, weights.about, weights.origin


def _compare(program: bytes, config: Mapping[str, Any]) -> None:
    """Raises UserError where the answers of the program differ from those of this package; it runs the program."""
    platform = export.default_export_platform()
    if platform not in config["platforms"]:
        print(f"not compared: this machine computes on {platform}, the program is for {', '.join(config['platforms'])}")
        return
    attributor = Attributor.load(config["checkpoint"])
    count = config["batch_size"] or 2
    side = attributor.resolution
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    here = attributor.vote(images, config["views"], config["rule"], count)
    there = export.deserialize(bytearray(program)).call(images)
    difference = float(np.abs(np.asarray(there["view_logits"]) - here.view_logits).max())
    if difference > TOLERANCE * max(1.0, float(np.abs(here.view_logits).max())):
        raise UserError(
            f"the program of {config['checkpoint']} does not answer as its network does (logits differ by "
            f"{difference:.2g}); nothing is written, export it with another version of jax"
        )
    print(f"compared on {count} images of noise: its logits differ by at most {difference:.2g} from those of ganfp_jax")


def _table(rows: Sequence[Sequence[str]]) -> str:
    return text_table(rows[0], rows[1:])


def _rows(weights: Weights, path: Path) -> list[tuple[str, str]]:
    of = weights.about.get("classes") or [weights.about["source_name"]]
    count = sum(array.size for array in jax.tree.leaves(weights.variables))
    side = weights.model["resolution"]
    return [
        ("network", f"{weights.model['name']}, {count:,} weights"),
        ("classes" if weights.kind == "attribution" else "source", ", ".join(of)),
        ("resolution", f"{side}x{side}"),
        ("from", ", ".join(f"{key} {value}" for key, value in weights.origin.items())),
        ("digest", digest(weights.variables)),
        ("file", f"{path}, {path.stat().st_size / 1e6:.3g} MB"),
    ]
