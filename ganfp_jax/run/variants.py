"""Variants of a config file: `configs/NAME.py:variant`."""

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from ganfp_jax.run.errors import UserError


def choose(variant: str, variants: Mapping[str, Callable[[], ConfigDict]]) -> ConfigDict:
    """Returns the config of `variant`.

    Raises:
        UserError: the variant is unknown; the known ones are listed.
    """
    if variant not in variants:
        raise UserError(f"unknown config variant {variant!r}; choose from {', '.join(variants)}")
    return variants[variant]()
