"""An attribution network and its vote as one compiled program of `jax.export`, which runs alone."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.voting import unmeasured, vote_function
from ganfp_jax.data.views import resolve_views
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.jobs.export_weights.checks import check_same, noise, refuse_map
from ganfp_jax.jobs.export_weights.output import summary, write
from ganfp_jax.models.cpu import convolution
from ganfp_jax.models.fingerprints import make_logits
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
    "nobody": "float32 (N): how probable it is that no class made it; says nothing where that was not trained",
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
    refuse_map(weights)
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


def export_to(path: Path, weights: Weights, config: Mapping[str, Any]) -> None:
    """Writes the program and, beside it, what it says and how to run it.

    Raises:
        UserError: the settings do not fit, the program does not answer as the network does, or it cannot be written.
    """
    program = export_vote(weights, **{key: config[key] for key in ("views", "rule", "batch_size", "platforms")})
    _compare(program, weights, config)
    write(path, program)
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
    print(summary(weights, path, ("description", str(description))))
    print(f"\nuse it where Python has jax, flatbuffers and numpy, and nothing of ganfp_jax:\n\n{usage}")


def _compare(program: bytes, weights: Weights, config: Mapping[str, Any]) -> None:
    """Raises UserError where the answers of the program differ from those of this package; it runs the program."""
    platform = export.default_export_platform()
    if platform not in config["platforms"]:
        print(f"not compared: this machine computes on {platform}, the program is for {', '.join(config['platforms'])}")
        return
    images = noise(weights, config["batch_size"] or 2)
    here = Attributor.of(weights, config["checkpoint"]).vote(images, config["views"], config["rule"], len(images))
    there = export.deserialize(bytearray(program)).call(images)
    print(check_same(there["view_logits"], here.view_logits, TOLERANCE, config["checkpoint"], "jax"))
