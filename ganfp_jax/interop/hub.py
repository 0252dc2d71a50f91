"""Attribution networks on the Hugging Face hub, by its own library: the only module that sends or fetches anything.

All that comes from the hub is untrusted. Of a network only `model.safetensors` is used, which `interop.weights` checks;
the library also fetches config.json, of which nothing is believed.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging

from ganfp_jax.interop.load import load
from ganfp_jax.interop.model_folder import MODEL, write_folder
from ganfp_jax.interop.weights import Weights
from ganfp_jax.run.console import one_line
from ganfp_jax.run.errors import UserError, message

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class HubModel(ModelHubMixin):
    """A network with the text of its card, on its way from or to the hub."""

    weights: Weights
    card: str

    def __init__(self) -> None:
        """Takes no arguments, since the library fills those that it finds from config.json."""

    @classmethod
    def of(cls, weights: Weights, card: str = "") -> "HubModel":
        """Makes it of loaded weights."""
        model = cls()
        model.weights, model.card = weights, card
        return model

    def _save_pretrained(self, save_directory: Path) -> None:
        write_folder(save_directory, self.weights, self.card)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **settings: Any) -> "HubModel":
        known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        path = hf_hub_download(model_id, MODEL, **{key: settings[key] for key in known})
        return cls.of(load(path, "attribution"))


def is_name(name: str) -> bool:
    """Whether this may be the name of a network on the hub, OWNER/NAME."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def download(name: str, **settings: Any) -> Weights:
    """Fetches a network from the hub, or takes it from the library's cache where it is the newest.

    Args:
        name: OWNER/NAME.
        settings: of `ModelHubMixin.from_pretrained`: revision, token, cache_dir, local_files_only, force_download.

    Raises:
        UserError: there is no such network, the hub cannot be reached, or what it has is none of this package.
    """
    with _in_one_line(name):
        return HubModel.from_pretrained(name, **settings).weights


def upload(name: str, weights: Weights, card: str, **settings: Any) -> str:
    """Sends a network to the hub, where it is public unless settings say otherwise; returns its address there.

    Args:
        name: OWNER/NAME; made if need be.
        weights: of the network.
        card: the text of its README.md.
        settings: of `ModelHubMixin.push_to_hub`: private, token, branch, commit_message, create_pr.

    Raises:
        UserError: the hub cannot be reached, or does not take it.
    """
    with _in_one_line(name):
        return str(HubModel.of(weights, card).push_to_hub(name, **settings))


@contextlib.contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """Turns the library's errors, and all that a strange config.json makes of it, into the user's error.

    What the library says of each of its attempts is not shown.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except UserError as error:
        raise UserError(f"{name} of the Hugging Face hub: {error}") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UserError(
            f"there is no folder {name} here, and the Hugging Face hub has no such network or revision, or does not "
            "show it; check the name, or log in with `hf auth login`"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise UserError(
            f"{name} is no folder here, not in the cache, and the Hugging Face hub cannot be reached; check the "
            "connection (HF_ENDPOINT, HF_HUB_OFFLINE), or give a folder"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(
            f"{name} of the Hugging Face hub is no network of ganfp_jax: it has no {MODEL}; give another name"
        ) from error
    except Exception as error:  # the library reads config.json unchecked, and HTTP fails in many ways
        reason = one_line(message(error))[:300]
        raise UserError(f"{name} and the Hugging Face hub: {reason} ({type(error).__name__}); try again") from error
    finally:
        logging.set_verbosity(verbosity)
