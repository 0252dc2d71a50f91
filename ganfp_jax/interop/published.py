"""Published checkpoints as callable networks: `load_published("celeba_align_png_cropped.pkl")["Gs"](latents)`."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsFloat

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import PyTree

from ganfp_jax import models
from ganfp_jax.interop import layouts, sizes, torch_names
from ganfp_jax.interop.formats import recognise
from ganfp_jax.interop.layouts import Shape, Variables
from ganfp_jax.interop.npz import read_npz
from ganfp_jax.interop.pickles import read_pickle
from ganfp_jax.interop.tensor_bundle import read_bundle
from ganfp_jax.interop.torch_file import read_torch
from ganfp_jax.models.layers import box_downsample
from ganfp_jax.models.progan import Generator, enlarge
from ganfp_jax.run.errors import UserError

Kind = Literal["generator", "attribution", "critic"]
Arrays = Mapping[str, np.ndarray]


class Network(NamedTuple):
    """The constants of a published network: its name in words, its kind, the layout of its variables."""

    what: str
    kind: Kind
    layout: Callable[..., Variables]


NETWORKS = {
    "progan_generator": Network("ProGAN generator", "generator", layouts.progan_generator),
    "progan_discriminator": Network("ProGAN critic", "critic", layouts.progan_discriminator),
    "visnet_classifier": Network("attribution classifier", "attribution", layouts.visnet_classifier),
    "fingerprint_autoencoder": Network("fingerprint network", "attribution", layouts.visnet_autoencoder),
    "fingerprint_discriminator": Network("fingerprint network's critic", "critic", layouts.visnet_discriminator),
    "sngan_generator": Network("SNGAN generator", "generator", layouts.sngan_generator),
    "sngan_discriminator": Network("SNGAN critic", "critic", layouts.sngan_discriminator),
    "resnet5_generator": Network("CramerGAN or MMDGAN generator", "generator", layouts.resnet5_generator),
    "dcgan5_critic": Network("CramerGAN or MMDGAN critic", "critic", layouts.dcgan5_critic),
}
# The build functions in pickles.
_FUNCTIONS = {
    "G_paper": "progan_generator",
    "D_paper": "progan_discriminator",
    "C_patch": "visnet_classifier",
    "EG": "fingerprint_autoencoder",
    "D_patch": "fingerprint_discriminator",
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PublishedNetwork:
    """A network of a published checkpoint in float32; it is called on NumPy arrays.

    Attributes:
        name: its name in the file.
        model: its arguments of `models.create`.
        variables: Flax variables by collection, NumPy arrays.
        lod: ProGAN's level of detail in the file, 0 for the full size; None for all other networks.
    """

    name: str
    model: dict[str, Any]
    variables: Variables
    lod: float | None = None

    def __call__(
        self, inputs: np.ndarray, *, lod: SupportsFloat | None = None, labels: np.ndarray | None = None
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run the network in inference mode, as its published code does.

        Args:
            inputs: a generator's latents (N, D), else images (N, H, W, 3) in the range that the network was trained on:
                [0, 1] for the critic of CramerGAN and MMDGAN, [-1, 1] for all others. `inputs` is
                also the batch whose statistics some networks take (ProGAN's critic, the fingerprint network's, the
                generator of CramerGAN and MMDGAN).
            lod: ProGAN's level of detail, from 0 (full size) to that of 4x4; the default is the file's. Images have the
                full size at every level.
            labels: class indices (N,) for an SNGAN with classes. The published networks have one class: generators
                draw it, and critics use their class vectors only if labels are given.

        Returns:
            A generator gives images (N, H, W, 3), in [0, 1] for CramerGAN and MMDGAN, else about [-1, 1]. A critic
            gives scores (N,) or features (N, F). A classifier gives logits (N, K), or a map of them (N, R, R, K). A
            fingerprint network gives reconstructions (N, H, W, 3), fingerprints (N, H, W, 3) and logits (N, K).

        Raises:
            UserError: the inputs have another shape or dtype, or this network does not take an argument.
        """
        x = self._checked(inputs)
        if lod is not None and self.lod is None:
            raise UserError(f"{self._who} takes no lod; ProGAN's networks do")
        labels = self._checked_labels(labels, len(x))
        # The default precision of some devices would give other results than the published code.
        with jax.default_matmul_precision("highest"):
            if self.lod is not None:
                level = _level(self._who, self.model, self.lod if lod is None else float(lod))
                outputs = _run_progan(self._module, self._on_device, x, *level)
            else:
                outputs = _run(self._module, self._on_device, x, labels)
        if isinstance(outputs, tuple):
            reconstructions, fingerprints, logits = map(np.asarray, outputs)
            return reconstructions, fingerprints, logits
        return np.asarray(outputs)

    @property
    def kind(self) -> Kind:
        """ "generator", "critic", or "attribution" for a classifier or a fingerprint network."""
        return NETWORKS[self.model["name"]].kind

    @property
    def what(self) -> str:
        """The network's name in words."""
        return NETWORKS[self.model["name"]].what

    @property
    def takes(self) -> str:
        """The shape of its inputs, such as "(N, 128, 128, 3)"."""
        return f"(N, {', '.join(map(str, _input_shape(self.model)))})"

    @property
    def num_params(self) -> int:
        """The number of trained parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.variables["params"]))

    def __repr__(self) -> str:
        lod = f", lod {self.lod:g}" if self.lod else ""
        return f"<{self.name}: {self.what}, takes {self.takes}{lod}, {self.num_params:,} parameters>"

    @property
    def _who(self) -> str:
        return f"{self.name} ({self.what})"

    @functools.cached_property
    def _module(self) -> Any:
        return models.create(**self.model)

    @functools.cached_property
    def _on_device(self) -> PyTree:
        return jax.device_put(self.variables)

    def _checked(self, inputs: np.ndarray) -> np.ndarray:
        if inputs.dtype.kind != "f":
            raise UserError(f"{self._who} is called with {inputs.dtype} values; give floats, images in its own range")
        if inputs.shape[1:] != _input_shape(self.model) or not len(inputs):
            raise UserError(f"{self._who} is called with an array of shape {inputs.shape}; give {self.takes}")
        group = min(getattr(self._module, "minibatch_stddev_group", 1), len(inputs))
        if len(inputs) % group:
            raise UserError(f"{self._who} compares images in groups of {group}; give a multiple, not {len(inputs)}")
        return inputs.astype(np.float32)

    def _checked_labels(self, labels: np.ndarray | None, count: int) -> np.ndarray | None:
        classes = self.model["num_classes"] if self.model["name"].startswith("sngan") else 0
        if labels is None:
            if classes > 1 and self.kind == "generator":
                raise UserError(f"{self._who} has {classes} classes; say with labels= which to draw")
            return None
        if not classes:
            raise UserError(f"{self._who} takes no labels: it has no classes")
        if labels.shape != (count,) or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < classes)).all():
            raise UserError(f"{self._who}: labels are to be {count} whole numbers from 0 to {classes - 1}")
        return labels


def _level(who: str, model: Mapping[str, Any], lod: float) -> tuple[int, float | None]:
    """Returns the number of halvings of ProGAN's full size, and the weight of the next smaller size, None for none."""
    smallest = int(math.log2(model["resolution"])) - 2
    if not 0 <= lod <= smallest:
        raise UserError(f"{who}: lod {lod:g} is not from 0 to {smallest}")
    return int(lod), (lod - int(lod)) or None


@functools.partial(jax.jit, static_argnums=0)
def _run(network: nn.Module, variables: PyTree, inputs: jax.Array, labels: jax.Array | None) -> Any:
    return network.apply(variables, inputs, *([] if labels is None else [labels]))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _run_progan(network: nn.Module, variables: PyTree, inputs: jax.Array, level: int, fade: Any) -> Any:
    """Runs ProGAN at a level; the published networks draw and read images of the full size at every level."""
    if not isinstance(network, Generator):
        inputs = box_downsample(inputs, 2**level)
    outputs: Any = network.apply(variables, inputs, level, 0.0 if fade is None else fade)
    return enlarge(outputs, level) if isinstance(network, Generator) else outputs


def load_published(path: str | Path) -> dict[str, PublishedNetwork]:
    """Load the networks of a published checkpoint, by name.

    Args:
        path: a pickle of ProGAN (G, D, Gs), of the attribution classifier (C_im, say) or of the fingerprint network
            (EG, D_rec, EGs); an `.npz` of SNGAN, of one network or of a whole trainer; a TensorFlow checkpoint of
            CramerGAN or MMDGAN, as `read_bundle` takes it; a PyTorch file of an attribution classifier, as
            `torch_names.visnet` takes it ("network"). The content counts, not the file's name. Networks without
            names are called "generator" and "discriminator".

    Raises:
        UserError: the file cannot be read or does not hold such networks; all variables that are missing, surplus or
            misshapen are named.
    """
    path = Path(path)
    return {part.name: _build(path, part) for part in _PARTS[recognise(path)](path)}


def list_published(path: Path) -> dict[str, Network]:
    """Lists the networks of a published checkpoint by name; their variables are neither compared nor converted.

    Raises:
        UserError: the file cannot be read, or holds no published network.
    """
    return {part.name: NETWORKS[part.model] for part in _PARTS[recognise(path)](path)}


class _Part(NamedTuple):
    """The part of a file that belongs to one network."""

    name: str
    model: str  # a key of `models.MODELS`
    variables: Arrays
    build_function: str = ""
    static_kwargs: Mapping[str, Any] = {}


def _pickle_parts(path: Path) -> list[_Part]:
    return [
        _Part(
            stored.name,
            _FUNCTIONS[stored.build_func_name],
            stored.variables,
            stored.build_func_name,
            stored.static_kwargs,
        )
        for stored in read_pickle(path)
    ]


# Where a network's arrays start in a snapshot of a whole trainer, as in "updater/model:opt_gen/block2/c1/W".
_MODEL = re.compile(r"(?:updater/)?model:[^/]+/")


def _npz_parts(path: Path) -> list[_Part]:
    """Returns SNGAN's networks: one alone, or those of a snapshot, which also holds optimisers, counters and logs."""
    arrays = read_npz(path)
    if not any(re.search(r"(^|/)block\d+/", name) for name in arrays):
        few = ", ".join(sorted(arrays)[:3])
        raise UserError(f"{path} holds no SNGAN, but {few}; give the .npz of an SNGAN's generator or critic")
    prefixes = sorted({match[0] for match in map(_MODEL.match, arrays) if match}) or [""]
    parts: dict[str, _Part] = {}
    for prefix in prefixes:
        variables = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
        # Only a generator has batch normalisation.
        draws = any(re.match(r"(block\d+/)?b\d+/", name) for name in variables)
        role, model = ("generator", "sngan_generator") if draws else ("discriminator", "sngan_discriminator")
        if role in parts:
            raise UserError(f"{path} holds a second {role} under {prefix}; give the file of one network")
        parts[role] = _Part(role, model, variables)
    return list(parts.values())


def _bundle_parts(path: Path) -> list[_Part]:
    """Returns the networks of CramerGAN or MMDGAN, without the counters and learning rates of the training."""
    arrays = read_bundle(path)
    parts = [
        _Part(role, model, variables)
        for role, model in (("generator", "resnet5_generator"), ("discriminator", "dcgan5_critic"))
        if (variables := {name: array for name, array in arrays.items() if name.startswith(f"{role}/")})
    ]
    if not parts:
        few = ", ".join(sorted(arrays)[:3])
        raise UserError(f"{path} holds neither generator/... nor discriminator/..., but {few}; is it another network?")
    return parts


def _torch_parts(path: Path) -> list[_Part]:
    """Returns the one network of a PyTorch file."""
    tensors = read_torch(path)
    try:
        return [_Part("network", "visnet_classifier", torch_names.visnet(tensors))]
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


_PARTS: dict[str, Callable[[Path], list[_Part]]] = {
    "pickle": _pickle_parts,
    "npz": _npz_parts,
    "bundle": _bundle_parts,
    "torch": _torch_parts,
}


def _build(path: Path, part: _Part) -> PublishedNetwork:
    """Compare the variables with those of the network, and convert them."""
    layout = NETWORKS[part.model].layout
    stored = {name: array.shape for name, array in part.variables.items()}
    try:
        given = sizes.read_arguments(part.build_function, part.static_kwargs)
        try:
            model = sizes.infer_settings(part.model, stored, given)
        except LookupError as unsaid:
            layout(part.variables)  # it raises the error that names the missing variables
            raise UserError(str(unsaid)) from unsaid
        try:
            shapes = _flax_shapes(models.create(**model), _input_shape(model))
        except ZeroDivisionError as empty:
            raise UserError("its arguments leave a layer without feature maps; download the file again") from empty
        except (OverflowError, TypeError, ValueError) as error:
            raise UserError("its arguments and shapes make no network; download the file again") from error
        variables = layout(part.variables, shapes)
        lod = _read_lod(part, model) if part.model.startswith("progan") else None
    except UserError as error:
        raise UserError(f"{path}, {part.name}: {error}") from error
    return PublishedNetwork(part.name, model, variables, lod)


def _read_lod(part: _Part, model: Mapping[str, Any]) -> float:
    lod = np.asarray(part.variables.get("lod", 0.0))
    if lod.shape:
        raise UserError(f"lod has the shape {lod.shape}, not that of one number; is it another network?")
    _level("its variables", model, float(lod))
    return float(lod)


def _input_shape(model: Mapping[str, Any]) -> Shape:
    side = model["resolution"]
    return (model["latent_size"],) if "latent_size" in model else (side, side, 3)


@functools.lru_cache(maxsize=8)  # a trained network and its running average are one module
def _flax_shapes(network: nn.Module, input_shape: Shape) -> dict[str, Shape]:
    example = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), example)
    return {path: leaf.shape for path, leaf in flatten_dict(dict(variables), sep="/").items()}
