"""What tests of restorers share: whether their packages are installed, and the distance of two pictures."""

import importlib.util

import numpy as np
import pytest

from ganfp_jax.generation.restorers.networks import NETWORKS

PACKAGES = ("ncnn", *sorted({network.package for network in NETWORKS.values()}))
MISSING = [package for package in PACKAGES if importlib.util.find_spec(package.replace("-", "_")) is None]
needs_networks = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def psnr(first, second):
    """In dB, of pictures with values from 0 to 255."""
    return 10 * np.log10(255**2 / max(1e-9, np.mean((first.astype(float) - second) ** 2)))
