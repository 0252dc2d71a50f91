"""The CPU's own convolutions are XLA's, to rounding, with all their gradients; and memory is kept."""

import functools
import platform
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import BUILD, NO_COMPILER, say

from ganfp_jax.models import layers
from ganfp_jax.models.cpu import convolution, library

needs_kernels = pytest.mark.skipif(not library.available(), reason="no C++ compiler")

# images, side, inputs, channels: few pixels are summed directly, many by Winograd's products where channels fill
# vectors
SHAPES = [
    *((3, 8, 3, 16), (2, 16, 16, 3), (5, 4, 24, 40), (1, 32, 8, 64), (7, 6, 5, 7), (9, 5, 64, 70)),
    *((3, 34, 16, 32), (40, 9, 32, 16), (20, 8, 64, 64)),
]
MOVES = [("SAME", 1), ("VALID", 1), ("REFLECT", 1), ("SAME", 2), ("VALID", 2)]


def by_xla(x, kernel, padding, stride):
    with convolution.use_xla_convolutions():
        return layers.convolve(x, kernel, padding, stride=stride)


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@functools.partial(jax.jit, static_argnums=0)
def with_gradients(functions, arguments, g):
    """Each function's result and what it makes of its result's gradient `g`, compiled as one program."""
    pulled = [jax.vjp(function, *arguments) for function in functions]
    return [(result, pull(g)) for result, pull in pulled]


def assert_close(actual, desired, tolerance=1e-5):
    """To a share of the largest value."""
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(initial=0))


@needs_kernels
@pytest.mark.parametrize("side", convolution.SIDES)
@pytest.mark.parametrize(("padding", "stride"), MOVES)
def test_a_convolution_and_its_gradients_are_xlas(padding, stride, side):
    for n, size, inputs, channels in SHAPES:
        if size < side:
            continue
        x, kernel = draw(n, size, size, inputs), draw(side, side, inputs, channels, seed=1)
        geometry = convolution.make_geometry(size, side, padding, stride)
        g = draw(n, geometry.out, geometry.out, channels, seed=2)
        ours = functools.partial(convolution.convolve, geometry=geometry)
        xlas = functools.partial(by_xla, padding=padding, stride=stride)
        assert_close(*with_gradients((ours, xlas), (x, kernel), g))


@needs_kernels
@pytest.mark.parametrize(("padding", "stride"), MOVES)
def test_the_gradient_of_a_gradient_is_xlas(padding, stride):
    """Of a gradient penalty, with respect to images and kernel."""
    x, kernel = draw(6, 10, 10, 16), draw(3, 3, 16, 32, seed=1)
    geometry = convolution.make_geometry(10, 3, padding, stride)

    def penalty(convolve):
        def loss(x, kernel):
            gradient = jax.grad(lambda x: jnp.sum(jnp.sin(convolve(x, kernel))))(x)
            return jnp.sum(gradient**3)

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)

    expected = penalty(lambda x, kernel: by_xla(x, kernel, padding, stride))
    assert_close(penalty(lambda x, kernel: convolution.convolve(x, kernel, geometry)), expected, 1e-4)


@needs_kernels
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (20, 8, 32, 48), (1, 4, 16, 96), (0, 4, 3, 16)])
@pytest.mark.parametrize(
    "epilogue", [convolution.Epilogue(), convolution.Epilogue(0.3, 0.2), convolution.Epilogue(2.0, 0.2, True)]
)
def test_convolve_with_epilogue_is_what_the_layers_do(epilogue, shape):
    """Also where few pixels are cut among threads by channel, and where there is no image."""
    n, size, inputs, channels = shape
    arguments = draw(n, size, size, inputs), draw(3, 3, inputs, channels, seed=1), draw(channels, seed=2)
    geometry = convolution.make_geometry(size, 3, "REFLECT")

    def expected(x, kernel, bias):
        with convolution.use_xla_convolutions():
            return layers.convolve(x, kernel, "REFLECT", bias=bias, **epilogue._asdict())

    def actual(x, kernel, bias):
        return convolution.convolve_with_epilogue(x, kernel, bias, epilogue, geometry)

    alone = jax.jit(actual)(*arguments)
    ours, xlas = with_gradients((actual, expected), arguments, draw(*alone.shape, seed=3))
    assert_close(alone, xlas[0])
    assert_close(ours, xlas)


@needs_kernels
@pytest.mark.parametrize("pads", [(3, 2), (1, 0)])
def test_a_transposed_convolution_is_xlas(pads, monkeypatch):
    x, kernel = draw(3, 8, 8, 12), draw(5, 5, 12, 3, seed=1)
    with convolution.use_xla_convolutions():
        expected = layers.upconvolve(x, kernel, pads)
    monkeypatch.setattr(convolution, "suits", lambda x, kernel: True)
    actual = layers.upconvolve(x, kernel, pads)
    assert actual.shape == expected.shape == (3, 11 + sum(pads), 11 + sum(pads), 3)
    assert_close(actual, expected)


@needs_kernels
def test_a_convolution_may_be_mapped():
    x, kernel = draw(2, 4, 6, 6, 3), draw(3, 3, 3, 8, seed=1)
    geometry = convolution.make_geometry(6, 3, "SAME")
    mapped = jax.vmap(lambda x: convolution.convolve(x, kernel, geometry))(x)
    np.testing.assert_array_equal(mapped[1], convolution.convolve(x[1], kernel, geometry))


def test_suits_leaves_to_xla_what_the_kernels_do_not_do(monkeypatch):
    monkeypatch.setattr(library, "available", lambda: True)
    x, kernel = draw(1, 8, 8, 3), draw(3, 3, 3, 4)
    assert convolution.suits(x, kernel)
    with monkeypatch.context() as two:
        two.setattr(jax, "device_count", lambda: 2)
        assert not convolution.suits(x, kernel)
    for other in (draw(1, 8, 6, 3), draw(1, 2, 2, 3), x.astype(jnp.bfloat16)):
        assert not convolution.suits(other, kernel)
    for other in (draw(1, 1, 3, 4), draw(7, 7, 3, 4), draw(1, 3, 3, 4), kernel.astype(jnp.bfloat16)):
        assert not convolution.suits(x, other)
    with convolution.use_xla_convolutions():
        assert not convolution.suits(x, kernel)


NETWORK = """
import jax, numpy as np, re
from collections import Counter
from ganfp_jax import models
from ganfp_jax.models.cpu import convolution
module = models.create(name="visnet_classifier", resolution=16, num_classes=3, fmap_base=128, input="residual")
images = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype(np.float32)
variables = jax.jit(module.init)(jax.random.key(0), images)
loss = lambda variables: (module.apply(variables, images) ** 2).sum()
ours = jax.jit(jax.value_and_grad(loss)).lower(variables)
with convolution.use_xla_convolutions():
    xlas = jax.jit(jax.value_and_grad(lambda variables: loss(variables))).lower(variables)
worst = 0.0
for a, b in zip(*(jax.tree.leaves(step.compile()(variables)) for step in (ours, xlas))):
    worst = max(worst, float(abs(a - b).max() / (abs(b).max() + 1e-6)))
calls = Counter(re.findall('custom_call_target="ganfp_(.*?)"', ours.compile().as_text()))
print(*(calls[name] for name in ("Convolution", "InputGradient", "FilterGradient")), "ganfp_" in xlas.as_text(), worst)
"""
# Each of five layers once, and the gradient of none with respect to the images, which nobody asked for.
EACH_ONCE = ["5", "4", "5", "False"]


@needs_kernels
def test_a_network_has_the_kernels_and_the_same_gradients():
    *calls, worst = say(NETWORK).split()
    assert calls == EACH_ONCE
    assert float(worst) < 1e-4


@needs_kernels
def test_the_kernels_may_be_off():
    assert say(NETWORK, GANFP_KERNELS="off") == "0 0 0 False 0.0"


@pytest.mark.skipif(NO_COMPILER or platform.machine() != "x86_64", reason="no C++ compiler for this processor")
def test_a_processor_with_shorter_vectors_computes_the_same(tmp_path):
    """Built as for one without AVX-512."""
    compiler = next(filter(shutil.which, ("c++", "g++", "clang++")))
    found = say(NETWORK, XDG_CACHE_HOME=str(tmp_path), CXX=f"{compiler} -mno-avx512f", GANFP_KERNELS="required")
    *calls, worst = found.split()
    assert calls == EACH_ONCE and float(worst) < 1e-4


def test_a_misspelt_wish_is_an_error():
    with pytest.raises(subprocess.CalledProcessError) as failed:
        say(BUILD, GANFP_KERNELS="of")
    assert "GANFP_KERNELS=of: choose from auto, off, required" in failed.value.stderr


FAULTS = """
import resource
from ganfp_jax.run import memory
if KEEP:
    assert memory.keep_memory()
import jax, jax.numpy as jnp
step = jax.jit(lambda x: x * 2)
x = jnp.ones(1 << 24)
fetched = []
for call in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    fetched.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())
print(min(fetched[10:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are counted as Linux counts them")
def test_kept_memory_is_not_fetched_anew():
    """The least of some calls with results of 64 MiB: kept blocks take several calls to settle."""
    fresh, kept = (int(say(FAULTS.replace("KEEP", keep))) for keep in ("False", "True"))
    assert fresh > 32 * 2**20
    assert kept < 2**20, fresh


def test_memory_is_left_alone_beside_an_accelerator_and_on_request(monkeypatch):
    from ganfp_jax.run import memory

    monkeypatch.setenv("GANFP_KEEP_MEMORY", "0")
    assert not memory.keep_memory()
    monkeypatch.delenv("GANFP_KEEP_MEMORY")
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    assert not memory.keep_memory()
