"""Trained weights as the start of a new training (`config.start_from`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import PyTree

from ganfp_jax import models
from ganfp_jax.interop.load import load
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import CONFIG, differences, read_config
from ganfp_jax.training import checkpoint
from ganfp_jax.training.program import Begin

# The settings that must be the same in two GANs, so that a network keeps what it has learnt.
OF_GAN = ("resolution", "generator", "critic", "latents")


def read(config: Mapping[str, Any]) -> Begin:
    """Reads and checks the weights at `config["start_from"]`; returns the function that puts them into a new state.

    Steps, optimisers and the rest of the state begin anew. A classifier takes the weights of its network, the running
    average where one was kept; if the classes differ, parameters whose size depends on their number begin anew. A GAN
    takes both networks.

    Raises:
        UserError: there are no weights, or they are of another network.
    """
    return (_gan if config["program"] == "gan" else _classifier)(config, Path(config["start_from"]))


def _classifier(config: Mapping[str, Any], path: Path) -> Begin:
    weights = load(path, "attribution")
    model = {**config["model"], "resolution": config["resolution"]}
    there = {key: value for key, value in weights.model.items() if key not in ("num_classes", "resolution")}
    here = {key: config[key] for key in ("resolution", "model")}
    _compare(path, {"resolution": weights.model["resolution"], "model": there}, here)

    def begin(state: PyTree, metadata: Mapping[str, Any]) -> PyTree:
        classes, known = metadata["classes"], weights.about["classes"]
        anew = set() if classes == known else _of_classes(model, len(classes))
        if anew and processes.first():
            print(f"{path} knows other sources ({_listed(known)}): {_listed(sorted(anew))} begin anew")
        params = _taken(state.network.params, weights.variables["params"], anew)
        stats = {name: weights.variables[name] for name in state.network.stats}
        state = state.replace(network=state.network.replace(params=params, stats=stats))
        return state.replace(ema_params=jax.tree.map(np.copy, params)) if hasattr(state, "ema_params") else state

    return begin


def _gan(config: Mapping[str, Any], path: Path) -> Begin:
    if not (path / CONFIG).is_file():
        raise UserError(
            f"config.start_from {path} is no run folder; a GAN begins at the run folder of one, for a generator alone "
            "comes without its critic"
        )
    trained = read_config(path)
    if trained.get("program") != "gan":
        raise UserError(f"config.start_from {path} holds no GAN (but {trained.get('program', trained.get('job'))!r})")
    _compare(path, {key: trained.get(key) for key in OF_GAN}, {key: config[key] for key in OF_GAN})
    _, saved, _ = checkpoint.load(path)

    def begin(state: PyTree, metadata: Mapping[str, Any]) -> PyTree:
        del metadata
        for role in ("generator", "critic"):
            begun = getattr(state, role)
            trained_role = saved.get(role) or {}
            stored = {part: _alike(path, getattr(begun, part), trained_role.get(part)) for part in ("params", "stats")}
            state = state.replace(**{role: begun.replace(**stored)})
        if not state.ema_params:
            return state
        averaged = saved.get("ema_params") or state.generator.params
        return state.replace(ema_params=jax.tree.map(np.copy, _alike(path, state.ema_params, averaged)))

    return begin


def _alike(path: Path, fresh: PyTree, trained: PyTree) -> PyTree:
    """Returns the trained arrays on the host.

    Raises:
        UserError: their names, shapes or dtypes are not those of the config beside them.
    """

    def shapes(tree: PyTree) -> dict[str, Any]:
        return {jax.tree_util.keystr(at): (leaf.shape, leaf.dtype) for at, leaf in jax.tree.leaves_with_path(tree)}

    if shapes(trained) != shapes(fresh):
        raise UserError(
            f"config.start_from {path} does not hold the networks that its {CONFIG} describes; give another run folder"
        )
    return jax.tree.map(np.asarray, trained)


def _compare(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    # The first weights may differ, since they are replaced.
    differing = [text for text in differences(there, here) if "first_weights" not in text.partition(" ")[0]]
    if differing:
        raise UserError(
            f"config.start_from {path} holds another network: {', '.join(differing[:4])}; give the values there, as in "
            f"--config.{differing[0].partition(' ')[0]}=..., or leave start_from empty"
        )


def _of_classes(model: Mapping[str, Any], count: int) -> set[str]:
    """Returns the names of the parameters whose size depends on the number of classes."""
    images = jax.ShapeDtypeStruct((1, model["resolution"], model["resolution"], 3), np.float32)

    def shapes(count: int) -> dict[str, tuple[int, ...]]:
        network = models.create(**model, num_classes=count)
        params = jax.eval_shape(network.init, jax.random.key(0), images)["params"]
        return {name: leaf.shape for name, leaf in flatten_dict(params, sep="/").items()}

    more = shapes(count + 1)
    return {name for name, shape in shapes(count).items() if more[name] != shape}


def _taken(fresh: PyTree, trained: PyTree, anew: set[str]) -> PyTree:
    """Returns the trained parameters, with fresh values for those that begin `anew`."""
    new, old = flatten_dict(fresh, sep="/"), flatten_dict(trained, sep="/")
    return unflatten_dict({name: new[name] if name in anew else old[name] for name in new}, sep="/")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
