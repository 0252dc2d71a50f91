"""Every test has one device and the CPU's kernels, as users have; quick compilation; checks of arrays' shapes."""

import ctypes
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

# One cache of compiled programs for the whole run: workers, and the processes that tests start, inherit it.
OWN_CACHE = "" if "JAX_COMPILATION_CACHE_DIR" in os.environ else tempfile.mkdtemp(prefix="ganfp_jax-tests-")
if OWN_CACHE:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = OWN_CACHE
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Tiny networks run for milliseconds and are compiled for seconds; without these for half as long again as with them.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if "xla_cpu_use_fusion_emitters" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"  # an array of fewer dimensions is not stretched unseen
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook  # noqa: E402 - after the variables that JAX reads

# Only where arrays are computed with: elsewhere the checks take more time than the code.
ARRAYS = ("models", "training", "attribution", "metrics", "data.perturb", "data.views", "data.preprocess")
install_import_hook([f"ganfp_jax.{room}" for room in ARRAYS], "beartype.beartype")

import hypothesis  # noqa: E402 - after the hook
import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

MOST_MEMORY = 2**30
LONGEST = ("test_two_devices.py", "test_resume.py", "test_end_to_end.py", "test_processes.py")

# The first example of a test compiles, and machines differ: time is not what these tests are about.
hypothesis.settings.register_profile("ganfp_jax", deadline=None)
hypothesis.settings.load_profile("ganfp_jax")


def pytest_collection_modifyitems(config, items):
    """Those that take longest come first, so that no worker is left alone with one of them.

    Tests of two devices need another process: `tests/test_two_devices.py` runs them in one.
    """
    if jax.device_count() == 1:
        for_two = {item for item in items if item.get_closest_marker("two_devices")}
        config.hook.pytest_deselected(items=list(for_two))
        items[:] = [item for item in items if item not in for_two]
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_collection_finish():
    """No later collection of garbage walks through the modules and tests that stay until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_end_with_their_module():
    """What the next module needs of them is in the cache on disk."""
    yield
    jax.clear_caches()
    gc.collect()
    give_memory_back()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    if sys.platform.startswith("linux") and resident() > MOST_MEMORY:
        give_memory_back()


def resident():
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def give_memory_back():
    """Compilations leave hundreds of MB that the C library keeps for later ones."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).malloc_trim(0)


def pytest_unconfigure():
    if OWN_CACHE:
        shutil.rmtree(OWN_CACHE, ignore_errors=True)


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
