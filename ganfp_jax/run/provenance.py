"""The time, versions and devices of a computation, which every page and every result states."""

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
    """Returns `created` (UTC), `versions` (of Python and `packages`) and `devices`, as `report` takes them."""
    return {
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "devices": ", ".join(sorted({device.device_kind for device in jax.devices()})),
    }
