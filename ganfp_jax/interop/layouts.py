"""From published variables to Flax variables: names, axis orders, kernel directions.

Each function takes a published network's variables by name, as its checkpoint stores them. It returns the variables of
our module of the same name as NumPy arrays (views of the published ones where possible). `shapes` gives the names and
shapes of the module; without it, both are inferred from the variables. Every function raises one `UserError` that lists
all missing and surplus names and all wrong shapes.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import unflatten_dict

from ganfp_jax.interop.stored_file import shown
from ganfp_jax.run.errors import UserError

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]  # by path of the Flax variable with its collection: "params/4x4/Conv/weight"
Published = Mapping[str, np.ndarray | np.generic]  # by name, as a checkpoint stores them
Variables = dict[str, Any]  # by collection, then nested by module


class Turn(NamedTuple):
    """The conversion of a published array into ours."""

    array: Callable[[np.ndarray], np.ndarray]
    shape: Callable[[Shape], Shape]
    """Our shape -> the published shape."""


Rules = dict[str, tuple[str, Turn]]  # published name -> (path of the Flax variable with its collection, turn)

MOST_NAMES = 20  # of each kind in a message
LARGEST = 2**20  # no size of a real network comes near
MOST_LAYERS = 32  # the largest number in a layer's name; a hostile name could claim millions of layers


def progan_generator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.progan.Generator`; `lod` is left out."""
    network = "ProGAN generator"
    rules = _scope("4x4/Dense", _COLUMNS) | _scope("4x4/Conv")
    for level, side in enumerate(_halvings(_sides(variables, shapes, network)[0])):
        rules |= _scope(f"ToRGB_lod{level}")
        if side > 4:
            rules |= _scope(f"{side}x{side}/Conv0_up", _TRANSPOSED) | _scope(f"{side}x{side}/Conv1")
    return _apply(rules, variables, network, shapes, ignored=["lod"])


def progan_discriminator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.progan.Discriminator`; `lod` is left out."""
    network = "ProGAN discriminator"
    rules = _scope("4x4/Conv") | _scope("4x4/Dense0", _ROWS) | _scope("4x4/Dense1")
    for level, side in enumerate(_halvings(_sides(variables, shapes, network)[0])):
        rules |= _scope(f"FromRGB_lod{level}")
        if side > 4:
            rules |= _scope(f"{side}x{side}/Conv0") | _scope(f"{side}x{side}/Conv1_down")
    return _apply(rules, variables, network, shapes, ignored=["lod"])


def visnet_classifier(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.visnet.Classifier`, in any of its published modes; `lod` is left out."""
    network = "attribution classifier"
    *levels, last = _sides(variables, shapes, network)
    rules = _two_convs(*(f"{side}x{side}" for side in levels))
    head = f"{last}x{last}"
    rules |= _scope(f"{head}/Conv0")
    if f"{head}/Conv2/weight" in _names(variables, shapes):
        rules |= _scope(f"{head}/Conv1") | _scope(f"{head}/Conv2")
    else:
        rules |= _scope(f"{head}/Dense1", _ROWS) | _scope(f"{head}/Dense2")
        if _length(variables, f"{head}/Dense2/weight", -1) == 1:
            raise UserError(f"{network}: {head}/Dense2 has one output, a classifier has more; is it another network?")
    return _apply(rules, variables, network, shapes, ignored=["lod"])


def visnet_autoencoder(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.fingerprint_net.Autoencoder`; `lod` is left out."""
    network = "fingerprint autoencoder"
    sides = _numbers(r"E_(\d+)x\1/", _names(variables, shapes), network, LARGEST)[::-1]
    rules = _two_convs(*(f"{scope}_{side}x{side}" for scope in "EG" for side in sides))
    rules |= _scope(f"G_{sides[0]}x{sides[0]}/Conv_toRGB")
    rules["Conv_fingerprints/weight"] = ("params/Conv_fingerprints/weight", _SAME)
    return _apply(rules, variables, network, shapes, ignored=["lod"])


def visnet_discriminator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.fingerprint_net.Discriminator`; `lod` is left out."""
    network = "fingerprint discriminator"
    *levels, last = _sides(variables, shapes, network)
    rules = _two_convs(*(f"{side}x{side}" for side in levels))
    head = f"{last}x{last}"
    rules |= _scope(f"{head}/Conv0") | _scope(f"{head}/Dense1", _ROWS) | _scope(f"{head}/Dense2")
    if (outputs := _length(variables, f"{head}/Dense2/weight", -1)) not in (None, 1):
        raise UserError(f"{network}: {head}/Dense2 has {outputs} outputs, a critic has one; is it another network?")
    return _apply(rules, variables, network, shapes, ignored=["lod"])


def sngan_generator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params", "batch_stats"} of `models.sngan.Generator`; Chainer's counters `N` are left out."""
    network = "SNGAN generator"
    blocks = sngan_blocks(_names(variables, shapes), 2, network)
    last = blocks[-1] + 1  # at 128x128 the blocks are followed by batch norm b7 and convolution l7
    width = _length(variables, "block2/c1/W", 1) if shapes is None else shapes["params/block2/c1/weight"][2]
    rules: Rules = {
        "l1/W": ("params/l1/weight", Turn(lambda w: _columns_channels_last(w.T, width), _reversed)),
        "l1/b": ("params/l1/bias", Turn(lambda b: _columns_channels_last(b[None], width)[0], _unchanged)),
    }
    rules |= _link(f"l{last}", _OIHW)
    conditional = any(name.endswith("/gammas/W") for name in variables)
    norms = [f"b{last}"]
    for block in blocks:
        norms += [f"block{block}/b1", f"block{block}/b2"]
        for name in ("c1", "c2", "c_sc"):
            rules |= _link(f"block{block}/{name}", _OIHW)
    for norm in norms:
        scale, offset = ("gammas/W", "betas/W") if conditional and norm != norms[0] else ("gamma", "beta")
        rules[f"{norm}/{scale}"] = (f"params/{norm}/scale", _SAME)
        rules[f"{norm}/{offset}"] = (f"params/{norm}/offset", _SAME)
        rules[f"{norm}/avg_mean"] = (f"batch_stats/{norm}/mean", _SAME)
        rules[f"{norm}/avg_var"] = (f"batch_stats/{norm}/var", _SAME)
    return _apply(rules, variables, network, shapes, ignored=[f"{norm}/N" for norm in norms])


def sngan_discriminator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params", "spectral_stats"} of `models.sngan.Discriminator`."""
    network = "SNGAN discriminator"
    blocks = sngan_blocks(_names(variables, shapes), 1, network)
    last = f"l{blocks[-1] + 1}"
    rules = _link(last, _DENSE)
    links = [last]
    for block in blocks:
        for name in ("c1", "c2") if block == blocks[-1] else ("c1", "c2", "c_sc"):  # the last shortcut is the identity
            links.append(f"block{block}/{name}")
            rules |= _link(links[-1], _OIHW)
    if has_class_vectors(variables):
        links.append("l_y")
        rules["l_y/W"] = ("params/l_y/weight", _SAME)
    for link in links:
        rules[f"{link}/u"] = (f"spectral_stats/{link}/u", _ROW)
    return _apply(rules, variables, network, shapes)


def resnet5_generator(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.resnet5.Generator`, without the moving averages, which were never trained."""
    network = "CramerGAN/MMDGAN generator"
    num_blocks = count_resnet5_blocks(_names(variables, shapes), network)
    key = "generator/g_res1.BN1.offset"
    width = _length(variables, key, 0) if shapes is None else shapes["params/g_res1/BN1/offset"][0]
    rules: Rules = {
        "generator/g_h0_lin/Matrix": (
            "params/g_h0_lin/weight",
            Turn(lambda w: _columns_channels_last(w, width), _unchanged),
        ),
        "generator/g_h0_lin/bias": (
            "params/g_h0_lin/bias",
            Turn(lambda b: _columns_channels_last(b[None], width)[0], _unchanged),
        ),
        "generator/g_h5/w": ("params/g_h5/weight", _TRANSPOSED),
        "generator/g_h5/biases": ("params/g_h5/bias", _SAME),
    }
    norms = {"g_h4": "g_h4"}
    for block in range(1, num_blocks + 1):
        for conv in ("Shortcut", "Conv1", "Conv2"):
            scope = f"generator/g_res{block}.{conv}/g_res{block}.{conv}"
            rules[f"{scope}.Filters"] = (f"params/g_res{block}/{conv}/weight", _SAME)
            if conv != "Conv1":
                rules[f"{scope}.Biases"] = (f"params/g_res{block}/{conv}/bias", _SAME)
        norms |= {f"g_res{block}.{norm}": f"g_res{block}/{norm}" for norm in ("BN1", "BN2")}
    for theirs, ours in norms.items():
        rules |= {f"generator/{theirs}.{name}": (f"params/{ours}/{name}", _SAME) for name in ("offset", "scale")}
    unused = [f"generator/{norm}.moving_{name}" for norm in norms for name in ("mean", "variance")]
    return _apply(rules, variables, network, shapes, ignored=unused)


def dcgan5_critic(variables: Published, shapes: Shapes | None = None) -> Variables:
    """Return {"params"} of `models.dcgan5.Critic`."""
    network = "CramerGAN/MMDGAN critic"
    num_convs = count_dcgan5_convs(_names(variables, shapes), network)
    rules: Rules = {}
    for conv in range(num_convs):
        rules[f"discriminator/d_h{conv}_conv/w"] = (f"params/d_h{conv}_conv/weight", _SAME)
        rules[f"discriminator/d_h{conv}_conv/biases"] = (f"params/d_h{conv}_conv/bias", _SAME)
    last = f"d_h{num_convs + 1}_lin"
    rules[f"discriminator/{last}/Matrix"] = (f"params/{last}/weight", _SAME)
    rules[f"discriminator/{last}/bias"] = (f"params/{last}/bias", _SAME)
    return _apply(rules, variables, network, shapes)


def sngan_blocks(names: Collection[str], first: int, network: str) -> range:
    """Return the numbers of the residual blocks; the blocks and the last layer are numbered consecutively.

    Args:
        first: 2 in a generator, 1 in a critic.
        network: the network's name in an error.

    Raises:
        UserError: there are none, or more than any network has.
    """
    last_layers = _find(r"l(\d+)/", names, network, MOST_LAYERS)
    last = max([first, _numbers(r"block(\d+)/", names, network, MOST_LAYERS)[-1], *(n - 1 for n in last_layers)])
    return range(first, last + 1)


def has_class_vectors(names: Collection[str]) -> bool:
    """Whether an SNGAN critic has the class vectors `l_y`, which the published training saves and does not use."""
    return "l_y/W" in names or "l_y/u" in names


def count_resnet5_blocks(names: Collection[str], network: str) -> int:
    """Return the number of residual blocks of the generator of CramerGAN and MMDGAN, by its published names or ours.

    Raises:
        UserError: there are none, or more than any network has.
    """
    return _numbers(r"(?:generator/)?g_res(\d+)[./]", names, network, MOST_LAYERS)[-1]


def count_dcgan5_convs(names: Collection[str], network: str) -> int:
    """Return the number of convolutions of the critic of CramerGAN and MMDGAN, by its published names or ours.

    The dense layer's name has the same number.

    Raises:
        UserError: there are none, or more than any network has.
    """
    convs = _numbers(r"(?:discriminator/)?d_h(\d+)_conv/", names, network, MOST_LAYERS)
    dense = _find(r"(?:discriminator/)?d_h(\d+)_lin/", names, network, MOST_LAYERS)
    return max([convs[-1] + 1, *(n - 1 for n in dense)])


def _unchanged(x: Any) -> Any:
    return x


def _reversed(shape: Shape) -> Shape:
    return shape[::-1]


def _turn_transposed(kernel: np.ndarray) -> np.ndarray:
    """(H, W, O, I) of the fused up-convolution -> HWIO for upsampling and then cross-correlating."""
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


_SAME = Turn(_unchanged, _unchanged)
_TRANSPOSED = Turn(_turn_transposed, lambda hwio: (*hwio[:2], hwio[3], hwio[2]))
_OIHW = Turn(_oihw_to_hwio, lambda hwio: (hwio[3], hwio[2], *hwio[:2]))
_COLUMNS = Turn(_columns_channels_last, _unchanged)
_ROWS = Turn(_rows_channels_last, _unchanged)
_DENSE = Turn(np.transpose, _reversed)
_ROW = Turn(np.ravel, lambda u: (1, *u))


def _scope(scope: str, turn: Turn = _SAME) -> Rules:
    """Rules of a TensorFlow layer: our names are the published ones."""
    return {f"{scope}/weight": (f"params/{scope}/weight", turn), f"{scope}/bias": (f"params/{scope}/bias", _SAME)}


def _two_convs(*scopes: str) -> Rules:
    """Rules of Conv0 and Conv1 in each of the scopes."""
    rules: Rules = {}
    for scope in scopes:
        rules |= _scope(f"{scope}/Conv0") | _scope(f"{scope}/Conv1")
    return rules


def _link(link: str, turn: Turn) -> Rules:
    """Rules of a Chainer link with weight and bias."""
    return {f"{link}/W": (f"params/{link}/weight", turn), f"{link}/b": (f"params/{link}/bias", _SAME)}


def _length(variables: Published, name: str, axis: int) -> int | None:
    """Return the length of an axis of a variable, None where there is no such axis or variable."""
    shape = np.shape(variables[name]) if name in variables else ()
    return shape[axis] if -len(shape) <= axis < len(shape) else None


def _names(variables: Published, shapes: Shapes | None) -> Collection[str]:
    """Return the module's names of parameters or, without a module, the published ones. TensorFlow's are the same."""
    return variables.keys() if shapes is None else [path.removeprefix("params/") for path in shapes]


def _find(pattern: str, names: Iterable[str], network: str, most: int) -> list[int]:
    """Return the different numbers that `pattern` matches at the start of the names, in ascending order.

    Raises:
        UserError: a number is larger than `most`; to list the layers up to it would take forever.
    """
    numbers = set()
    for match in filter(None, (re.match(pattern, name) for name in names)):
        if len(match[1]) > len(str(most)) or int(match[1]) > most:
            raise UserError(f"{network}: no network has a layer {shown(match.string)}; download the file again")
        numbers.add(int(match[1]))
    return sorted(numbers)


def _numbers(pattern: str, names: Collection[str], network: str, most: int) -> list[int]:
    """Return the numbers of `_find`, of which there must be at least one."""
    if not (numbers := _find(pattern, names, network, most)):
        raise UserError(f"{network}: none of its layers among {_few(sorted(names), 3)}; is it another network?")
    return numbers


def _sides(variables: Published, shapes: Shapes | None, network: str) -> list[int]:
    """Return the sides that have layers, named like "8x8/Conv0", from large to small."""
    return _numbers(r"(\d+)x\1/", _names(variables, shapes), network, LARGEST)[::-1]


def _halvings(side: int) -> list[int]:
    """[32, 16, 8, 4] for 32."""
    return [side, *_halvings(side // 2)] if side > 4 else [side]


def _apply(
    rules: Rules, variables: Published, network: str, shapes: Shapes | None, ignored: Collection[str] = ()
) -> Variables:
    missing = sorted(rules.keys() - variables.keys())
    surplus = sorted(variables.keys() - rules.keys() - set(ignored))
    misshapen = []
    flat = {}
    for name, (path, turn) in rules.items():
        if name not in variables:
            continue
        value = np.asarray(variables[name], np.float32)
        wanted = None if shapes is None else turn.shape(shapes[path])
        # A singular vector (1, N) may also come as (N,).
        if wanted is not None and value.shape != wanted and (turn is not _ROW or value.shape != wanted[1:]):
            misshapen.append(f"{name} {value.shape} instead of {wanted}")
            continue
        try:
            flat[path] = turn.array(value)
        except (ValueError, IndexError):
            misshapen.append(f"{name} {value.shape}")
    differences = {"missing": missing, "surplus": surplus, "misshapen": misshapen}
    if faults := [f"{fault} {_few(names)}" for fault, names in differences.items() if names]:
        raise UserError(f"{network}: {'; '.join(faults)}; is it another network?")
    return unflatten_dict(flat, sep="/")


def _few(names: list[str], most: int = MOST_NAMES) -> str:
    """Return the first names and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"
