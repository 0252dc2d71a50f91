"""Two simulated devices for every test, and run-time checks of every shape annotation of the package."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

install_import_hook("ganfp_jax", "beartype.beartype")
