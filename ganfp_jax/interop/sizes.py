"""The sizes of a published network: its arguments and shapes -> the arguments of `models.create`.

A pickle has `static_kwargs`. All other sizes follow from shapes. Where several variables share a size, the majority
decides, so that a misshapen variable is found.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ganfp_jax.interop import layouts
from ganfp_jax.interop.layouts import LARGEST, Shape
from ganfp_jax.interop.stored_file import shown
from ganfp_jax.run.errors import UserError

Stored = Mapping[str, Shape]  # shapes by published name
Given = Mapping[str, Any]  # arguments in a file, as `read_arguments` returns them
Settings = dict[str, Any]

_COMMON = ("resolution", "num_channels", "label_size", "fmap_base", "fmap_decay", "fmap_max")
_VISNET = (*_COMMON, "latent_res", "mode", "switching_res")
# Build functions in pickles, and their arguments; networks of other formats have neither.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "": (),
    "G_paper": (*_COMMON, "latent_size"),
    "D_paper": (*_COMMON, "mbstd_group_size"),
    "C_patch": _VISNET,
    "EG": _VISNET,
    "D_patch": (*_VISNET, "mbstd_group_size"),
}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST


def _is_side(value: Any) -> bool:
    return _is_count(value) and value >= 4 and value & (value - 1) == 0


_FITS: dict[str, Callable[[Any], bool]] = {  # all others are counts
    "resolution": _is_side,
    "switching_res": _is_side,
    "latent_res": lambda value: type(value) is int and (value == -1 or _is_side(value)),
    "label_size": lambda value: _is_count(value) or (type(value) is int and value == 0),
    "num_classes": lambda value: _is_count(value) or (type(value) is int and value == 0),
    "fmap_decay": lambda value: type(value) in (int, float) and 0 <= value <= 8,
    "mode": lambda value: isinstance(value, str),
}


def read_arguments(function: str, static_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Checks and returns the arguments of a network in a pickle; None means the network's default and is left out.

    Raises:
        UserError: an argument is not among `ARGUMENTS` (it may mean another network), or its value is impossible.
    """
    given = {key: value for key, value in static_kwargs.items() if value is not None}
    for key, value in given.items():
        if key not in ARGUMENTS[function]:
            known = ", ".join(ARGUMENTS[function])
            raise UserError(f"{function} with {key}={value!r} is another network than the published one, with {known}")
        fits = _FITS.get(key, _is_count)(value)
        if not fits:
            raise UserError(f"{function} with {key}={value!r} makes no network; download the file again")
    if function in ("G_paper", "D_paper") and given.get("label_size"):
        raise UserError(f"{function} with label_size={given['label_size']}: only a ProGAN without labels is known here")
    return given


def infer_settings(model: str, stored: Stored, given: Given) -> Settings:
    """Infers the arguments of `models.create` for a published network, with its name.

    Args:
        model: a key of `models.MODELS`.
        stored: the shapes of the network's variables, by their published names.
        given: the result of `read_arguments`; empty for formats without arguments.

    Raises:
        LookupError: variables are missing, so that a size is unknown.
        UserError: the shapes and arguments contradict each other, or belong to another network.
    """
    for name in stored:
        if (match := _LAYER.fullmatch(name)) and not _is_side(int(match[2])):
            raise UserError(f"no network has a layer {shown(name)}: sides are powers of two from 4 to {LARGEST}")
    settings = _SETTINGS[model](stored, given)
    for key, value in settings.items():
        if not isinstance(value, str) and not _FITS.get(key, _is_count)(value):
            raise UserError(f"its variables say {key}={shown(value)}, which makes no network; download the file again")
    return {"name": model, **settings}


def _length(stored: Stored, name: str, axis: int) -> int:
    """Returns the length of an axis, 0 where there is no such variable or axis."""
    shape = stored.get(name, ())
    return shape[axis] if -len(shape) <= axis < len(shape) else 0


def _most(stored: Stored, *places: tuple[str, int]) -> int:
    """Returns the most frequent length of these axes, without 0; of equally frequent ones the first."""
    lengths = Counter(_length(stored, *place) for place in places)
    del lengths[0]
    if not lengths:
        raise LookupError(f"nothing says how large it is: no {places[0][0]}" if places else "it has no such layers")
    return lengths.most_common(1)[0][0]


def _bottom_width(stored: Stored, width: int, *places: tuple[str, int]) -> int:
    """Returns the side of the smallest maps, from axes as long as their values; 4, as published, if none fits."""
    for place in places:
        side = math.isqrt(_length(stored, *place) // width)
        if side and side & (side - 1) == 0 and side * side * width == _length(stored, *place):
            return side
    return 4


_LAYER = re.compile(r"([EG]_)?(\d+)x\2/(\w+)/(weight|bias)")


def _sides(stored: Stored, scope: str = "") -> list[int]:
    """Returns the sides that have layers, from small to large."""
    sides = {int(match[2]) for match in map(_LAYER.fullmatch, stored) if match and (match[1] or "") == scope}
    if not sides:
        raise LookupError(f"nothing says how large it is: no layers named like {scope}8x8/Conv1")
    return sorted(sides)


def _feature_maps(stored: Stored, given: Given, side_of: Callable[[str, int, str], int | None]) -> Settings:
    """Returns fmap_base, fmap_decay and fmap_max, as given or from the widths of the layers.

    Args:
        side_of: (scope, side, layer) -> the side whose number of feature maps its output has; None where another rule
            holds.
    """
    votes: dict[int, Counter[int]] = {}
    for name in stored:
        if (match := _LAYER.fullmatch(name)) and (side := side_of(match[1] or "", int(match[2]), match[3])):
            # The kernel of the up-convolution is transposed.
            axis = 2 if match[3] == "Conv0_up" and match[4] == "weight" else -1
            if length := _length(stored, name, axis):
                votes.setdefault(side, Counter())[length] += 1
    widths = {math.log2(side) - 1: counter.most_common(1)[0][0] for side, counter in votes.items()}  # by stage
    if not widths:
        raise LookupError("nothing says how wide it is")
    decay = float(given.get("fmap_decay", 1.0))
    # A width is base / 2**(stage * decay), rounded down, or the maximum; so each width is a lower bound of the base.
    base = max(math.ceil(width * 2 ** (stage * decay)) for stage, width in widths.items())
    most = max(widths.values())
    return {"fmap_base": given.get("fmap_base", base), "fmap_decay": decay, "fmap_max": given.get("fmap_max", most)}


def _progan_generator(stored: Stored, given: Given) -> Settings:
    heads = [(name, -1) for name in stored if name.startswith("ToRGB_lod")]
    return {
        "resolution": given.get("resolution", _sides(stored)[-1]),
        "latent_size": given.get("latent_size") or _most(stored, ("4x4/Dense/weight", 0)),
        "num_channels": given.get("num_channels") or _most(stored, *heads),
        **_feature_maps(stored, given, lambda scope, side, layer: side if layer != "Dense" else None),
    }


def _progan_discriminator(stored: Stored, given: Given) -> Settings:
    def side_of(scope: str, side: int, layer: str) -> int | None:
        return {"Conv": side, "Conv0": side, "Conv1_down": side // 2, "Dense0": 2}.get(layer)

    return {
        "resolution": given.get("resolution", _sides(stored)[-1]),
        "minibatch_stddev_group": given.get("mbstd_group_size", 4),
        **_feature_maps(stored, given, side_of),
    }


def _visnet_classifier(stored: Stored, given: Given) -> Settings:
    sides = _sides(stored)
    resolution = given.get("resolution", sides[-1])
    ends_in_map = f"{sides[0]}x{sides[0]}/Conv2/weight" in stored
    latent_res = given.get("latent_res", sides[0] if ends_in_map else -1)
    last = 4 if latent_res == -1 else latent_res
    kind = "Dense" if latent_res == -1 else "Conv"
    features, logits = f"{last}x{last}/{kind}1", f"{last}x{last}/{kind}2"

    def side_of(scope: str, side: int, layer: str) -> int | None:
        return {"Conv0": side, "Conv1": side // 2 if side > last else None}.get(layer)

    return {
        "resolution": resolution,
        "num_classes": given.get("label_size") or _most(stored, (f"{logits}/bias", -1), (f"{logits}/weight", -1)),
        "num_features": _most(stored, (f"{features}/bias", -1), (f"{features}/weight", -1), (f"{logits}/weight", -2)),
        "latent_res": latent_res,
        **_mode(stored, given, resolution, last),
        **_feature_maps(stored, given, side_of),
    }


def _mode(stored: Stored, given: Given, resolution: int, last: int) -> Settings:
    """Returns the mode of the sides without convolutions; empty for a network with convolutions at every side."""
    if {"mode", "switching_res"} <= given.keys():
        if given["mode"] not in ("postpool", "predownscale"):
            raise UserError(f"mode {given['mode']!r} is none of the published ones, postpool and predownscale")
        return {"mode": given["mode"], "switching_res": given["switching_res"]}
    for side in (resolution >> k for k in range(resolution.bit_length())):
        if side >= last and not any(name.startswith(f"{side}x{side}/") for name in stored):
            raise UserError(f"static_kwargs lack mode and switching_res: what is done at {side}x{side}?")
    return {"mode": "postpool", "switching_res": 4}


def _fingerprint_autoencoder(stored: Stored, given: Given) -> Settings:
    sides = _sides(stored, "E_")
    latent_res = given.get("latent_res", sides[0])

    def side_of(scope: str, side: int, layer: str) -> int | None:
        narrows = scope == "E_" and layer == "Conv1" and side > latent_res
        return None if layer == "Conv_toRGB" else side // 2 if narrows else side

    return {
        "resolution": given.get("resolution", sides[-1]),
        "num_classes": given.get("label_size") or _most(stored, ("Conv_fingerprints/weight", -1)),
        "latent_res": latent_res,
        **_feature_maps(stored, given, side_of),
    }


def _fingerprint_discriminator(stored: Stored, given: Given) -> Settings:
    def side_of(scope: str, side: int, layer: str) -> int | None:
        return {"Conv0": side, "Conv1": side // 2, "Dense1": 2}.get(layer)

    return {
        "resolution": given.get("resolution", _sides(stored)[-1]),
        "minibatch_stddev_group": given.get("mbstd_group_size", 4),
        **_feature_maps(stored, given, side_of),
    }


def _sngan_generator(stored: Stored, given: Given) -> Settings:
    blocks = layouts.sngan_blocks(stored, 2, "SNGAN generator")
    last = blocks[-1] + 1
    ch = _most(stored, *((f"b{last}/{name}", 0) for name in ("gamma", "beta", "avg_mean", "avg_var")))
    first = _most(stored, ("block2/b1/avg_mean", 0), ("block2/b1/avg_var", 0), ("block2/c1/W", 1), ("block2/c_sc/W", 1))
    classes = [(name, 0) for name in stored if name.endswith(("/gammas/W", "/betas/W"))]
    bottom_width = _bottom_width(stored, first, ("l1/W", 0), ("l1/b", 0))
    return {
        "resolution": bottom_width << len(blocks),
        "latent_size": _most(stored, ("l1/W", 1)),
        "ch": ch,
        "bottom_width": bottom_width,
        "num_classes": _most(stored, *classes) if classes else 0,
        "max_multiplier": max(first // ch, 1),
    }


def _sngan_discriminator(stored: Stored, given: Given) -> Settings:
    blocks = layouts.sngan_blocks(stored, 1, "SNGAN critic")
    last = blocks[-1]
    ch = _most(stored, *((f"block1/{name}", 0) for name in ("c1/b", "c2/b", "c_sc/b", "c1/W", "c2/W")))
    widest = _most(stored, *((f"block{last}/{name}", 0) for name in ("c1/b", "c2/b", "c1/W")), (f"l{last + 1}/W", 1))
    return {
        # It sums over its smallest maps, so its variables do not depend on their size; the published ones are 4x4.
        "resolution": 4 << (len(blocks) - 1),
        "ch": ch,
        "bottom_width": 4,
        "num_classes": _most(stored, ("l_y/W", 0), ("l_y/u", -1)) if layouts.has_class_vectors(stored) else 0,
        "max_multiplier": max(widest // ch, 1),
    }


def _resnet5_generator(stored: Stored, given: Given) -> Settings:
    ends = ("scale", "offset", "moving_mean", "moving_variance")
    ch, first = (_most(stored, *((f"generator/{norm}.{end}", 0) for end in ends)) for norm in ("g_h4", "g_res1.BN1"))
    times = max(first // ch, 1)
    # Every block halves the width at most, which gives the number of blocks.
    blocks = max(layouts.count_resnet5_blocks(stored, "CramerGAN/MMDGAN generator"), times.bit_length() - 1)
    bottom_width = _bottom_width(stored, first, ("generator/g_h0_lin/Matrix", 1), ("generator/g_h0_lin/bias", 0))
    return {
        "resolution": bottom_width << (blocks + 1),
        "latent_size": _most(stored, ("generator/g_h0_lin/Matrix", 0)),
        "ch": ch,
        "bottom_width": bottom_width,
        "max_multiplier": times,
        "statistics": "batch",
    }


def _dcgan5_critic(stored: Stored, given: Given) -> Settings:
    convs = layouts.count_dcgan5_convs(stored, "CramerGAN/MMDGAN critic")
    first, last = "discriminator/d_h0_conv", f"discriminator/d_h{convs - 1}_conv"
    ch, widest = (_most(stored, (f"{conv}/biases", -1), (f"{conv}/w", -1)) for conv in (first, last))
    dense = f"discriminator/d_h{convs + 1}_lin"
    bottom_width = _bottom_width(stored, widest, (f"{dense}/Matrix", 0))
    return {
        "resolution": bottom_width << convs,
        "num_features": _most(stored, (f"{dense}/bias", -1), (f"{dense}/Matrix", -1)),
        "ch": ch,
        "bottom_width": bottom_width,
        "max_multiplier": max(widest // ch, 1),
    }


_SETTINGS: dict[str, Callable[[Stored, Given], Settings]] = {
    "progan_generator": _progan_generator,
    "progan_discriminator": _progan_discriminator,
    "visnet_classifier": _visnet_classifier,
    "fingerprint_autoencoder": _fingerprint_autoencoder,
    "fingerprint_discriminator": _fingerprint_discriminator,
    "sngan_generator": _sngan_generator,
    "sngan_discriminator": _sngan_discriminator,
    "resnet5_generator": _resnet5_generator,
    "dcgan5_critic": _dcgan5_critic,
}
