"""Two simulated devices for every test, and run-time checks of every shape annotation of the package."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

install_import_hook("ganfp_jax", "beartype.beartype")

import hypothesis  # noqa: E402 - after the hook
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# The first example of a test compiles, and machines differ: time is not what these tests are about.
hypothesis.settings.register_profile("ganfp_jax", deadline=None)
hypothesis.settings.load_profile("ganfp_jax")


@pytest.fixture(scope="session")
def labelled_root(tmp_path_factory):
    """A labelled folder of two sources, 24 noisy 16x16 images each."""
    from ganfp_jax.data.decode import encode_png

    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.RandomState(0)
    for k, source in enumerate(("ProGAN", "real")):
        (root / "train" / source).mkdir(parents=True)
        for i in range(24):
            image = rng.randint(0, 128, (16, 16, 3)).astype(np.uint8) + np.uint8(100 * k)
            encode_png(root / "train" / source / f"{source}_{i:08d}.png", image)
    return root
