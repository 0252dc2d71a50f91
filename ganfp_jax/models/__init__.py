"""The networks, by name: `create("progan_generator", resolution=128)`."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from ganfp_jax.models import dcgan5, fingerprint_net, progan, regression, resnet5, sngan, visnet
from ganfp_jax.run.errors import UserError

MODELS: dict[str, type[nn.Module]] = {
    "progan_generator": progan.Generator,
    "progan_discriminator": progan.Discriminator,
    "sngan_generator": sngan.Generator,
    "sngan_discriminator": sngan.Discriminator,
    "resnet5_generator": resnet5.Generator,
    "dcgan5_critic": dcgan5.Critic,
    "visnet_classifier": visnet.Classifier,
    "fingerprint_autoencoder": fingerprint_net.Autoencoder,
    "fingerprint_discriminator": fingerprint_net.Discriminator,
    "logistic_pixels": regression.PixelRegression,
    "logistic_log_dct": regression.SpectrumRegression,
}
# How often a network with a `bottom_width` must at least double or halve the side.
DOUBLINGS = {"sngan": 1, "resnet5": 2, "dcgan5": 1}
COUNTS = (
    "latent_size",
    "num_features",
    "ch",
    "bottom_width",
    "max_multiplier",
    "fmap_base",
    "fmap_max",
    "minibatch_stddev_group",
)
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
SMALLEST = {"progan": 4, "sngan": 16, "resnet5": 16, "dcgan5": 16, "visnet": 4, "fingerprint": 8, "logistic": 1}
CHOICES: dict[str, tuple[str, ...]] = {
    "dtype": tuple(DTYPES),
    "first_weights": tuple(dcgan5.FIRST_WEIGHTS),
    "input": ("image", "residual"),
    "mode": ("postpool", "predownscale", "mean_pool"),
    "padding": ("zero", "reflect"),
    "statistics": ("batch", "running"),
}


def create(name: str, **settings: Any) -> nn.Module:
    """Build the network `name` with the settings of a config section; published values are the defaults.

    Args:
        name: a key of `MODELS`.
        **settings: attributes of that network; `dtype` by name, "float32" or "bfloat16".

    Raises:
        UserError: unknown name or setting, a missing one, or a value that makes no network.
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
    _check(name, settings)
    if "dtype" in settings:
        settings["dtype"] = DTYPES[settings["dtype"]]
    return MODELS[name](**settings)


def normalizes_by_batch(generator: nn.Module) -> bool:
    """Whether also a trained generator normalises by the batch that it draws, so that images depend on each other."""
    return getattr(generator, "statistics", "running") == "batch"


def _check(name: str, settings: dict[str, Any]) -> None:
    family = name.split("_")[0]
    resolution, smallest = settings["resolution"], SMALLEST[family]
    if not isinstance(resolution, int) or resolution < smallest or resolution & (resolution - 1):
        raise UserError(f"model {name}: resolution {resolution} is not a power of two of at least {smallest}")
    for key in COUNTS:
        if key in settings and settings[key] is not None and settings[key] < 1:
            raise UserError(f"model {name}: {key} is {settings[key]}; give 1 or more")
    if "bottom_width" in settings and family in DOUBLINGS:
        sides = [resolution >> k for k in range(DOUBLINGS[family], resolution.bit_length())]
        if settings["bottom_width"] not in sides:
            raise UserError(f"model {name}: bottom_width {settings['bottom_width']} is none of {sides}")
    if name == "visnet_classifier":
        sides = [resolution >> k for k in range(resolution.bit_length() - 2)]
        for key, choices_of in (("switching_res", sides), ("latent_res", [-1, *sides])):
            if key in settings and settings[key] not in choices_of:
                raise UserError(f"model {name}: {key} {settings[key]} is none of {', '.join(map(str, choices_of))}")
        if settings.get("mode") == "mean_pool" and settings.get("latent_res", -1) != -1:
            raise UserError(f"model {name}: mode mean_pool ends at switching_res; leave latent_res at -1")
    if name == "fingerprint_autoencoder" and "latent_res" in settings:
        sides = [resolution >> k for k in range(1, resolution.bit_length() - 2)]
        if settings["latent_res"] not in sides:
            raise UserError(f"model {name}: latent_res {settings['latent_res']} is none of {sides}")
    for key, choices in CHOICES.items():
        if key in settings and settings[key] not in choices:
            raise UserError(f"model {name}: {key} {settings[key]!r} is unknown; choose one of {', '.join(choices)}")
