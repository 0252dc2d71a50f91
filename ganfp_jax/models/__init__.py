"""The networks, by name: `create("progan_generator", resolution=128)`."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from ganfp_jax.models import (
    dcgan5,
    enrolled,
    fingerprint_net,
    local_regression,
    progan,
    regression,
    resnet5,
    sngan,
    visnet,
    visnet_moments,
)
from ganfp_jax.models.network import Network, check_settings
from ganfp_jax.run.errors import UserError

MODELS: dict[str, type[Network]] = {
    "progan_generator": progan.Generator,
    "progan_discriminator": progan.Discriminator,
    "sngan_generator": sngan.Generator,
    "sngan_discriminator": sngan.Discriminator,
    "resnet5_generator": resnet5.Generator,
    "dcgan5_critic": dcgan5.Critic,
    "visnet_classifier": visnet.Classifier,
    "visnet_moments": visnet_moments.MomentsClassifier,
    "fingerprint_autoencoder": fingerprint_net.Autoencoder,
    "fingerprint_discriminator": fingerprint_net.Discriminator,
    "enrolled": enrolled.Enrolled,
    "logistic_pixels": regression.PixelRegression,
    "logistic_log_dct": regression.SpectrumRegression,
    "logistic_block_log_dct": local_regression.BlockSpectrumRegression,
    "logistic_cooccurrences": local_regression.CooccurrenceRegression,
    "logistic_local": local_regression.LocalRegression,
}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def create(name: str, **settings: Any) -> Network:
    """Build the network `name` with the settings of a config section; the defaults are the published values.

    Args:
        name: a key of `MODELS`.
        **settings: attributes of that network; `dtype` by name, "float32" or "bfloat16"; a network inside it by its own
            name and settings.

    Raises:
        UserError: a name or setting is unknown, a setting is missing, or a value makes no network.
    """
    if name not in MODELS:
        raise UserError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    fields = {f.name: f for f in dataclasses.fields(MODELS[name]) if f.name not in ("parent", "name")}
    for key in settings:
        if key not in fields:
            raise UserError(f"model {name} takes no {key!r}; it takes {', '.join(fields)}")
    for key, field in fields.items():
        if key not in settings and field.default is dataclasses.MISSING:
            raise UserError(f"model {name} needs {key!r}; add it to the model's settings")
    dtype = settings.get("dtype", "float32")
    try:
        settings = {key: _inner(value) if fields[key].type is Network else value for key, value in settings.items()}
        check_settings(MODELS[name], {key: field.type for key, field in fields.items()}, settings)
        if dtype not in [*DTYPES]:  # an untrusted file may hold a list, which no dict looks up
            raise UserError(f"dtype {dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
        network = MODELS[name](**settings | ({"dtype": DTYPES[dtype]} if "dtype" in settings else {}))
        network.check()
    except UserError as error:
        raise UserError(f"model {name}: {error}") from error
    return network


def _inner(settings: Any) -> Network:
    """The network inside another one; only one level, since the settings may come from an untrusted file."""
    if not isinstance(settings, dict) or any(isinstance(value, dict) for value in settings.values()):
        raise UserError("the settings of the network inside it are none")
    return create(**settings)
