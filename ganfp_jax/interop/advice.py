"""The error for a published checkpoint that is given where trained weights are needed."""

import shlex
from pathlib import Path

from ganfp_jax.interop.formats import recognise
from ganfp_jax.interop.published import list_published
from ganfp_jax.run.errors import UserError

_DOES = {"generator": "makes images", "attribution": "attributes images", "critic": "only trains another network"}
_OTHER = {
    "generator": "a generator; give the run folder of a GAN, or a published generator imported with "
    "configs/import_weights.py",
    "attribution": "an attribution network; give the run folder of configs/attribution.py, or a published classifier "
    "(CelebA_ProGAN_SNGAN_CramerGAN_MMDGAN_128.pkl, say) imported with configs/import_weights.py",
}


def is_published(path: Path) -> bool:
    """Whether the first bytes of a file are those of a published checkpoint."""
    try:
        recognise(path)
    except UserError:
        return False
    return True


def import_first(path: Path, wanted: str | None) -> UserError:
    """Returns the error that names the networks of a published checkpoint, and the command that imports it.

    Args:
        path: the checkpoint.
        wanted: "generator" or "attribution"; None for either.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    networks = list_published(path)
    holds = ", ".join(f"{name} ({network.what})" for name, network in networks.items())
    kinds = {network.kind for network in networks.values()}
    useful = kinds & ({wanted} if wanted else {"generator", "attribution"})
    if useful:
        workdir = Path("runs") / path.stem
        command = (
            "python -m ganfp_jax.main --config=configs/import_weights.py "
            f"--config.source={shlex.quote(str(path))} --workdir={shlex.quote(str(workdir))}"
        )
        return UserError(
            f"{path} is a published checkpoint of {holds}; import it first: {command} - then give {workdir}"
        )
    does = " and ".join(sorted(_DOES[kind] for kind in kinds))
    return UserError(
        f"{path} is a published checkpoint of {holds}, which {does}; wanted here is {_OTHER[wanted or 'generator']}"
    )
