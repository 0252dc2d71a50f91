"""When, with what and on what something was computed: what every page and every result says about itself."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax

PACKAGES = (
    "ganfp_jax",
    "jax",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "pillow",
    "scikit-learn",
    "PyWavelets",
)


def provenance(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """`created` (UTC), `versions` (of Python and `packages`) and `devices`, as the pages of the report take them."""
    return {
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "devices": ", ".join(sorted({device.device_kind for device in jax.devices()})),
    }
