"""From published variables to Flax variables: names, axis orders, kernel directions.

Each function takes a published network's variables by name, as its checkpoint stores them, and returns the variables
of our module of the same name as NumPy arrays. Sizes follow from the shapes. Every function raises `UserError` if a
name is missing or surplus, or a shape cannot be turned.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from ganfp_jax.errors import UserError

Published = Mapping[str, np.ndarray | np.generic]  # by name, as a checkpoint stores them
Variables = dict[str, Any]  # by collection, then nested by module
Turn = Callable[[np.ndarray], np.ndarray]
Rules = dict[str, tuple[str, Turn]]  # published name -> (path of the Flax variable with its collection, turn)


def progan_generator(variables: Published) -> Variables:
    """Return {"params"} of `models.progan.Generator`; `lod` is left out."""
    rules = _scope("4x4/Dense", _columns_channels_last) | _scope("4x4/Conv")
    for level, side in enumerate(_halvings(_sides(variables, "ProGAN generator")[0])):
        rules |= _scope(f"ToRGB_lod{level}")
        if side > 4:
            rules |= _scope(f"{side}x{side}/Conv0_up", _turn_transposed) | _scope(f"{side}x{side}/Conv1")
    return _apply(rules, variables, "ProGAN generator", ignored=["lod"])


def progan_discriminator(variables: Published) -> Variables:
    """Return {"params"} of `models.progan.Discriminator`; `lod` is left out."""
    rules = _scope("4x4/Conv") | _scope("4x4/Dense0", _rows_channels_last) | _scope("4x4/Dense1")
    for level, side in enumerate(_halvings(_sides(variables, "ProGAN discriminator")[0])):
        rules |= _scope(f"FromRGB_lod{level}")
        if side > 4:
            rules |= _scope(f"{side}x{side}/Conv0") | _scope(f"{side}x{side}/Conv1_down")
    return _apply(rules, variables, "ProGAN discriminator", ignored=["lod"])


def visnet_classifier(variables: Published) -> Variables:
    """Return {"params"} of `models.visnet.Classifier`, in any of its modes; `lod` is left out."""
    network = "attribution classifier"
    *levels, last = _sides(variables, network)
    rules = _two_convs(*(f"{side}x{side}" for side in levels))
    head = f"{last}x{last}"
    rules |= _scope(f"{head}/Conv0")
    if f"{head}/Conv2/weight" in variables:
        rules |= _scope(f"{head}/Conv1") | _scope(f"{head}/Conv2")
    else:
        rules |= _scope(f"{head}/Dense1", _rows_channels_last) | _scope(f"{head}/Dense2")
        if _num_outputs(variables, f"{head}/Dense2/weight") == 1:
            raise UserError(f"{network}: {head}/Dense2 has one output, a classifier has more; is it another network?")
    return _apply(rules, variables, network, ignored=["lod"])


def visnet_autoencoder(variables: Published) -> Variables:
    """Return {"params"} of `models.fingerprint_net.Autoencoder`; `lod` is left out."""
    network = "fingerprint autoencoder"
    sides = _numbers(r"E_(\d+)x\1/", variables, network)[::-1]
    rules = _two_convs(*(f"{scope}_{side}x{side}" for scope in "EG" for side in sides))
    rules |= _scope(f"G_{sides[0]}x{sides[0]}/Conv_toRGB")
    rules["Conv_fingerprints/weight"] = ("params/Conv_fingerprints/weight", _same)
    return _apply(rules, variables, network, ignored=["lod"])


def visnet_discriminator(variables: Published) -> Variables:
    """Return {"params"} of `models.fingerprint_net.Discriminator`; `lod` is left out."""
    network = "fingerprint discriminator"
    *levels, last = _sides(variables, network)
    rules = _two_convs(*(f"{side}x{side}" for side in levels))
    head = f"{last}x{last}"
    rules |= _scope(f"{head}/Conv0") | _scope(f"{head}/Dense1", _rows_channels_last) | _scope(f"{head}/Dense2")
    if (outputs := _num_outputs(variables, f"{head}/Dense2/weight")) > 1:
        raise UserError(f"{network}: {head}/Dense2 has {outputs} outputs, a critic has one; is it another network?")
    return _apply(rules, variables, network, ignored=["lod"])


def sngan_generator(variables: Published) -> Variables:
    """Return {"params", "batch_stats"} of `models.sngan.Generator`; Chainer's counters `N` are left out."""
    blocks = _blocks(variables, "SNGAN generator")
    last = blocks[-1] + 1  # at 128x128 the blocks are followed by batch norm b7 and convolution l7
    width = variables["block2/c1/W"].shape[1] if "block2/c1/W" in variables else None

    rules = _link(
        "l1", lambda w: _columns_channels_last(w.T, width), lambda b: _columns_channels_last(b[None], width)[0]
    )
    rules |= _link(f"l{last}", _oihw_to_hwio)
    norms = [f"b{last}"]
    for block in blocks:
        norms += [f"block{block}/b1", f"block{block}/b2"]
        for name in ("c1", "c2", "c_sc"):
            rules |= _link(f"block{block}/{name}", _oihw_to_hwio)
    for norm in norms:
        scale, offset = ("gammas/W", "betas/W") if f"{norm}/gammas/W" in variables else ("gamma", "beta")
        rules[f"{norm}/{scale}"] = (f"params/{norm}/scale", _same)
        rules[f"{norm}/{offset}"] = (f"params/{norm}/offset", _same)
        rules[f"{norm}/avg_mean"] = (f"batch_stats/{norm}/mean", _same)
        rules[f"{norm}/avg_var"] = (f"batch_stats/{norm}/var", _same)
    return _apply(rules, variables, "SNGAN generator", ignored=[f"{norm}/N" for norm in norms])


def sngan_discriminator(variables: Published) -> Variables:
    """Return {"params", "spectral_stats"} of `models.sngan.Discriminator`."""
    blocks = _blocks(variables, "SNGAN discriminator")
    last = f"l{blocks[-1] + 1}"
    rules = _link(last, np.transpose)
    links = [last]
    for block in blocks:
        for name in ("c1", "c2") if block == blocks[-1] else ("c1", "c2", "c_sc"):  # the last shortcut is the identity
            links.append(f"block{block}/{name}")
            rules |= _link(links[-1], _oihw_to_hwio)
    if "l_y/W" in variables:
        links.append("l_y")
        rules["l_y/W"] = ("params/l_y/weight", _same)
    for link in links:
        rules[f"{link}/u"] = (f"spectral_stats/{link}/u", np.ravel)
    return _apply(rules, variables, "SNGAN discriminator")


def resnet5_generator(variables: Published) -> Variables:
    """Return {"params"} of `models.resnet5.Generator`, without the moving averages, which were never trained."""
    blocks = _numbers(r"generator/g_res(\d+)\.", variables, "CramerGAN/MMDGAN generator")
    key = "generator/g_res1.BN1.offset"
    width = variables[key].size if key in variables else None
    rules: Rules = {
        "generator/g_h0_lin/Matrix": ("params/g_h0_lin/weight", lambda w: _columns_channels_last(w, width)),
        "generator/g_h0_lin/bias": ("params/g_h0_lin/bias", lambda b: _columns_channels_last(b[None], width)[0]),
        "generator/g_h5/w": ("params/g_h5/weight", _turn_transposed),
        "generator/g_h5/biases": ("params/g_h5/bias", _same),
    }
    norms = {"g_h4": "g_h4"}
    for block in range(1, blocks[-1] + 1):
        for conv in ("Shortcut", "Conv1", "Conv2"):
            scope = f"generator/g_res{block}.{conv}/g_res{block}.{conv}"
            rules[f"{scope}.Filters"] = (f"params/g_res{block}/{conv}/weight", _same)
            if conv != "Conv1":
                rules[f"{scope}.Biases"] = (f"params/g_res{block}/{conv}/bias", _same)
        norms |= {f"g_res{block}.{norm}": f"g_res{block}/{norm}" for norm in ("BN1", "BN2")}
    for theirs, ours in norms.items():
        rules |= {f"generator/{theirs}.{name}": (f"params/{ours}/{name}", _same) for name in ("offset", "scale")}
    unused = [f"generator/{norm}.moving_{name}" for norm in norms for name in ("mean", "variance")]
    return _apply(rules, variables, "CramerGAN/MMDGAN generator", ignored=unused)


def dcgan5_critic(variables: Published) -> Variables:
    """Return {"params"} of `models.dcgan5.Critic`."""
    convs = _numbers(r"discriminator/d_h(\d+)_conv/", variables, "CramerGAN/MMDGAN critic")
    rules: Rules = {}
    for conv in range(convs[-1] + 1):
        rules[f"discriminator/d_h{conv}_conv/w"] = (f"params/d_h{conv}_conv/weight", _same)
        rules[f"discriminator/d_h{conv}_conv/biases"] = (f"params/d_h{conv}_conv/bias", _same)
    last = f"d_h{convs[-1] + 2}_lin"
    rules[f"discriminator/{last}/Matrix"] = (f"params/{last}/weight", _same)
    rules[f"discriminator/{last}/bias"] = (f"params/{last}/bias", _same)
    return _apply(rules, variables, "CramerGAN/MMDGAN critic")


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _turn_transposed(kernel: np.ndarray) -> np.ndarray:
    """(H, W, O, I) of the fused up-convolution -> HWIO for enlarging and then cross-correlating."""
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def _oihw_to_hwio(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(2, 3, 1, 0)


def _columns_channels_last(matrix: np.ndarray, channels: int | None = None) -> np.ndarray:
    """Columns in (C, s, s) order -> in (s, s, C) order; s is 4 unless C is given."""
    rows, columns = matrix.shape
    side = 4 if channels is None else round((columns / channels) ** 0.5)
    return matrix.reshape(rows, -1, side, side).transpose(0, 2, 3, 1).reshape(rows, columns)


def _rows_channels_last(matrix: np.ndarray) -> np.ndarray:
    """Rows in (C, 4, 4) order -> in (4, 4, C) order."""
    return _columns_channels_last(matrix.T).T


def _scope(scope: str, turn: Turn = _same) -> Rules:
    """Rules of a TensorFlow layer: our names are the published ones."""
    return {f"{scope}/weight": (f"params/{scope}/weight", turn), f"{scope}/bias": (f"params/{scope}/bias", _same)}


def _two_convs(*scopes: str) -> Rules:
    """Rules of Conv0 and Conv1 in each of the scopes."""
    rules: Rules = {}
    for scope in scopes:
        rules |= _scope(f"{scope}/Conv0") | _scope(f"{scope}/Conv1")
    return rules


def _num_outputs(variables: Published, name: str) -> int:
    """Length of the last axis of a variable, 0 where there is none."""
    shape = np.shape(variables[name]) if name in variables else ()
    return shape[-1] if shape else 0


def _link(link: str, turn: Turn, turn_bias: Turn = _same) -> Rules:
    """Rules of a Chainer link with weight and bias."""
    return {f"{link}/W": (f"params/{link}/weight", turn), f"{link}/b": (f"params/{link}/bias", turn_bias)}


def _numbers(pattern: str, variables: Published, network: str) -> list[int]:
    """Return the different numbers that `pattern` finds at the start of the names, in ascending order."""
    numbers = sorted({int(match[1]) for match in (re.match(pattern, name) for name in variables) if match})
    if not numbers:
        raise UserError(f"{network}: none of its layers among {_few(sorted(variables))}; is it another network?")
    return numbers


def _sides(variables: Published, network: str) -> list[int]:
    """Return the sides that have layers, named like "8x8/Conv0", from large to small."""
    return _numbers(r"(\d+)x\1/", variables, network)[::-1]


def _halvings(side: int) -> list[int]:
    """[32, 16, 8, 4] for 32."""
    return [side, *_halvings(side // 2)] if side > 4 else [side]


def _blocks(variables: Published, network: str) -> list[int]:
    """Return the residual blocks' numbers, without gaps."""
    numbers = _numbers(r"block(\d+)/", variables, network)
    return list(range(numbers[0], numbers[-1] + 1))


def _apply(rules: Rules, variables: Published, network: str, ignored: Collection[str] = ()) -> Variables:
    missing = sorted(rules.keys() - variables.keys())
    surplus = sorted(variables.keys() - rules.keys() - set(ignored))
    if missing or surplus:
        raise UserError(f"{network}: missing {_few(missing)}, surplus {_few(surplus)}; is it another network?")
    flat = {}
    for name, (path, turn) in rules.items():
        try:
            flat[path] = np.ascontiguousarray(turn(np.asarray(variables[name], np.float32)))
        except (ValueError, IndexError) as error:
            shape = np.shape(variables[name])
            raise UserError(f"{network}: {name} cannot have the shape {shape}; is it another network?") from error
    return unflatten_dict(flat, sep="/")


def _few(names: list[str]) -> str:
    """Return the first names and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else "nothing"
