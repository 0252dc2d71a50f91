"""Attribution networks as folders that others load, here or on the Hugging Face hub."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.model_card import model_card
from ganfp_jax.interop.load import is_there
from ganfp_jax.interop.model_folder import MODEL, write_folder
from ganfp_jax.run import console
from ganfp_jax.run.errors import UserError


def load(name: str | Path, **settings: Any) -> Attributor:
    """See `Attributor.from_pretrained`."""
    if is_there(folder := Path(name)):
        if not (folder / MODEL).is_file():
            raise UserError(
                f"{folder} holds no network: it has no {MODEL}; give a folder of Attributor.save_pretrained"
            )
        return Attributor.load(folder)
    hub = _hub(name)
    if not hub.is_name(str(name)):
        raise UserError(f"there is no folder {name}; give one, or a name on the Hugging Face hub, OWNER/NAME")
    if not settings.get("local_files_only"):
        console.tell(f"there is no folder {name} here; it is asked for at the Hugging Face hub")
    return Attributor.of(hub.download(str(name), **settings), name)


def save(attributor: Attributor, folder: str | Path, license: str, metrics: Mapping[str, Any] | None) -> str:
    """See `Attributor.save_pretrained`; returns the digest of the weights."""
    folder = Path(folder)
    return write_folder(folder, attributor.weights, model_card(folder.resolve().name, attributor, license, metrics))


def push(
    attributor: Attributor,
    name: str,
    license: str,
    metrics: Mapping[str, Any] | None,
    **settings: Any,
) -> str:
    """See `Attributor.push_to_hub`."""
    hub = _hub(name)
    if not hub.is_name(name):
        raise UserError(f"{name} is no name on the Hugging Face hub; give OWNER/NAME")
    card = model_card(name.split("/")[1], attributor, license, metrics)
    return hub.upload(name, attributor.weights, card, **settings)


def _hub(name: str | Path) -> ModuleType:
    try:
        from ganfp_jax.interop import hub
    except ModuleNotFoundError as missing:
        raise UserError(
            f"{name} is no folder here, and the Hugging Face hub needs the package {missing.name}: "
            "pip install 'ganfp_jax[hub]'"
        ) from missing
    return hub
