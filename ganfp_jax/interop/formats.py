"""The format of a published checkpoint, by its content: downloads change file names."""

import re
from pathlib import Path

from ganfp_jax.interop.stored_file import StoredFile, Unreadable, open_stored, refusals
from ganfp_jax.interop.tensor_bundle import TABLE_MAGIC, find_index, is_checkpoint_text

_START = 4096  # bytes that identify a file

_NPZ = re.compile(rb"PK\x03\x04.{22}(?P<length>..)..(?P<name>.*)", re.DOTALL)  # an archive's first member
_TORCH = re.compile(rb"PK\x03\x04.{26}[^/]*/(data\.pkl|version|byteorder|\.)", re.DOTALL)
# Protocols 2 to 5 begin with their number. Older ones are text; the reader refuses them with a reason.
_PICKLE = re.compile(rb"\x80[\x02-\x05]|\(*[ci][A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")

_DOWNLOAD = "open its address in a browser and download the file itself"
_UNPACK = "unpack it and give what is inside"
_OTHER = "give a tfutil pickle, a Chainer .npz, a TensorFlow 1 checkpoint or a PyTorch file"
# The beginnings of other files that are taken for weights, with their kind and advice.
_STRANGERS = [
    (re.compile(start, re.DOTALL | re.IGNORECASE), what, advice)
    for start, what, advice in (
        (rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", "a web page, such as a file host's notice", _DOWNLOAD),
        (rb"version https://git-lfs", "a pointer of Git LFS, not the file it stands for", "fetch it with git lfs pull"),
        (rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9", "a PyTorch file of before version 1.6", "save it again with a newer one"),
        (rb"PK(\x03\x04|\x05\x06)", "a zip archive of something other than arrays", _UNPACK),
        (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf\x27\x1c|Rar!|\x28\xb5\x2f\xfd|.{257}ustar", "a packed archive", _UNPACK),
        (rb"\x89HDF", "an HDF5 file, as Keras writes them", _OTHER),
        (rb".{6}\0\0\{", "a safetensors file", _OTHER),
        (rb"\x93NUMPY", "a single NumPy array", _OTHER),
    )
]


def recognise(path: Path) -> str:
    """Returns the format of a published checkpoint: "pickle", "npz", "bundle" or "torch".

    Args:
        path: a pickle, an `.npz` file, a PyTorch file, or anything that `tensor_bundle.read_bundle` takes.

    Raises:
        UserError: there is no file, or it has another format, which the line names where it is known.
    """
    with refusals(path):
        if path.is_dir() or not path.exists() or path.suffix == ".meta" or ".data-" in path.suffix:
            path = find_index(path)
    with open_stored(path) as file:
        return _format(path, file)


def _format(path: Path, file: StoredFile) -> str:
    start = file.read_at(0, min(file.size, _START))
    if not start:
        raise Unreadable("it is empty; download it again")
    first = _NPZ.match(start)
    if first and first["name"][: int.from_bytes(first["length"], "little")].endswith(b".npy"):
        return "npz"
    if _TORCH.match(start):
        return "torch"
    for pattern, what, advice in _STRANGERS:
        if pattern.match(start):
            raise Unreadable(f"it is {what}; {advice}")
    if _PICKLE.match(start):
        return "pickle"
    if path.suffix != ".index" and is_checkpoint_text(start):
        return recognise(find_index(path))
    end = min(file.size, len(TABLE_MAGIC))
    if file.read_at(file.size - end, end) != TABLE_MAGIC:
        raise Unreadable(f"it is of no known format; {_OTHER}")
    if path.suffix != ".index":
        raise Unreadable("it is a V1 checkpoint of TensorFlow, or an index that lost its ending; save it again as V2")
    return "bundle"
