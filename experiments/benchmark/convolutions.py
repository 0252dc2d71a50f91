"""The attribution network's convolutions one by one: the CPU kernels beside XLA's, other ways in JAX, and PyTorch's.

    python -m experiments.benchmark.convolutions               # two CPU cores: four minutes
    python -m experiments.benchmark.convolutions --variant=tiny

3x3 kernels on images with their border, batches of 32, float32: milliseconds of the convolution and of its two
gradients, by layer, as they follow in the networks for 128x128 (`celeba`) and 32x32 (`photos`) images. The competitors'
results are compared first, and all run in turns. Prints a table and writes convolutions.jsonl.
"""

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmark.__main__ import caption, machine, missing
from experiments.benchmark.row import check_close
from experiments.benchmark.timing import spread, take_turns
from ganfp_jax.run.memory import keep_memory

HERE = Path(__file__).parent
BATCH = 32
OPERATIONS = ("convolution", "input gradient", "filter gradient")


def layers(size: int, channels: int) -> list[tuple[int, int, int]]:
    """(side, inputs, outputs) of the network for `size` whose first convolution has so many channels."""
    found, inputs = [], 3
    while size > 4:
        found += [(size, inputs, channels), (size, channels, 2 * channels)]
        size, inputs, channels = size // 2, 2 * channels, 2 * channels
    return [*found, (4, inputs, inputs)]


def competitors(side: int, inputs: int, outputs: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """{operation: {competitor: its call}}; every call ends with its result in memory."""
    import jax
    import numpy as np

    from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS

    rng = np.random.default_rng(0)
    shapes = (BATCH, side + 2, side + 2, inputs), (3, 3, inputs, outputs), (BATCH, side, side, outputs)
    x, kernel, g = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    calls: dict[str, dict[str, Callable[[], Any]]] = {operation: {} for operation in OPERATIONS}
    on_device = jax.device_put((x, kernel, g))
    for name, (convolve, options) in _in_jax(PLAIN_CONVOLUTIONS).items():
        for operation, function in zip(OPERATIONS, _operations(convolve), strict=True):
            compiled = jax.jit(function, compiler_options=options)
            calls[operation][name] = functools.partial(lambda f: jax.block_until_ready(f(*on_device)), compiled)
    if not missing():
        for operation, call in zip(OPERATIONS, _in_torch(x, kernel, g), strict=True):
            calls[operation]["PyTorch"] = call
    return calls


def _operations(convolve: Callable[[Any, Any], Any]) -> list[Callable[[Any, Any, Any], Any]]:
    import jax

    return [
        lambda x, kernel, g: convolve(x, kernel),
        lambda x, kernel, g: jax.vjp(lambda x: convolve(x, kernel), x)[1](g)[0],
        lambda x, kernel, g: jax.vjp(lambda kernel: convolve(x, kernel), kernel)[1](g)[0],
    ]


def _in_jax(plain: dict[str, str]) -> dict[str, tuple[Callable[[Any, Any], Any], dict[str, str] | None]]:
    """{competitor: (convolution of padded images, options of the compiler)}; the first is the judge."""
    import jax
    import jax.numpy as jnp

    from ganfp_jax.models.cpu import convolution, library

    def xla(x: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def shifts(x: Any) -> list[Any]:
        side = x.shape[1] - 2
        return [x[:, i : i + side, j : j + side] for i in range(3) for j in range(3)]

    def nine_products(x: Any, kernel: Any) -> Any:
        taps = kernel.reshape(9, *kernel.shape[2:])
        return functools.reduce(jnp.add, (shift @ tap for shift, tap in zip(shifts(x), taps, strict=True)))

    def one_product(x: Any, kernel: Any) -> Any:
        return jnp.concatenate(shifts(x), -1) @ kernel.reshape(-1, kernel.shape[-1])

    def winograd(x: Any, kernel: Any) -> Any:
        def rows(x: Any, axis: int) -> list[Any]:
            a, b, c, d = (jax.lax.slice_in_dim(x, k, k + x.shape[axis] - 3, 2, axis) for k in range(4))
            return [a - c, b + c, c - b, b - d]

        def sums(a: Any, b: Any, c: Any, d: Any) -> list[Any]:
            return [a + b + c, b - c - d]

        half = jnp.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
        weights = jnp.einsum("ai,bj,ijco->abco", half, half, kernel)
        products = [[tile @ weights[i, j] for j, tile in enumerate(rows(r, 2))] for i, r in enumerate(rows(x, 1))]
        pixels = [sums(*row) for row in zip(*(sums(*column) for column in zip(*products, strict=True)), strict=True)]
        n, side, o = len(x), x.shape[1] - 2, kernel.shape[-1]
        return jnp.stack([jnp.stack(row, 3) for row in pixels], 2).reshape(n, side, side, o)

    def ours(x: Any, kernel: Any) -> Any:
        return convolution.convolve(x, kernel, convolution.make_geometry(x.shape[1], 3, "VALID"))

    found: dict[str, tuple[Callable[[Any, Any], Any], dict[str, str] | None]] = {"XLA": (xla, plain)}
    if library.available():
        found = {"ganfp_jax": (ours, None)} | found
    return found | {
        "XLA with YNNPACK": (xla, None),
        "nine products": (nine_products, plain),
        "one product": (one_product, plain),
        "Winograd in XLA": (winograd, plain),
    }


def _in_torch(x: Any, kernel: Any, g: Any) -> list[Callable[[], Any]]:
    import torch

    last = torch.channels_last
    images, gradient = (torch.from_numpy(a.transpose(0, 3, 1, 2).copy()).to(memory_format=last) for a in (x, g))
    weight = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()).to(memory_format=last)

    def backward(of_images: bool) -> Any:
        mask = [of_images, not of_images, False]
        found = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, mask
        )
        return found[0].permute(0, 2, 3, 1) if of_images else found[1].permute(2, 3, 1, 0)

    def forward() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(images, weight).permute(0, 2, 3, 1)

    return [forward, functools.partial(backward, True), functools.partial(backward, False)]


def main() -> None:
    """Measures all layers, prints the table, writes the records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("full", "tiny"), default="full")
    parser.add_argument("--out", type=Path, default=HERE, help="where the records go (default: beside this file)")
    args = parser.parse_args()
    keep_memory()
    tiny, about = args.variant == "tiny", machine()
    records: list[dict[str, Any]] = []
    for side, inputs, outputs in layers(8, 4) if tiny else layers(128, 16) + layers(32, 16):
        for operation, calls in competitors(side, inputs, outputs).items():
            name = f"{side}x{side}, {inputs} to {outputs}"
            check_close(f"{operation}, {name}", {who: {"result": call()} for who, call in calls.items()}, 1e-4)
            times = take_turns(calls, 1 if tiny else 15, 0.1 if tiny else 5, 0.001 if tiny else 0.02)
            records.append(
                {
                    "layer": name,
                    "operation": operation,
                    "seconds": {who: spread(taken)._asdict() for who, taken in times.items()},
                    "rounds": min(map(len, times.values())),
                    "gflop": 18e-9 * BATCH * side**2 * inputs * outputs,
                    "dtype": "float32",
                    "machine": about,
                }
            )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "convolutions.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    print(f"{caption(records)}\n")
    names = list(records[0]["seconds"])
    print(f"| operation | layer | {' | '.join(names)} |\n|{'---|' * (2 + len(names))}")
    for operation in OPERATIONS:
        for record in records:
            if record["operation"] == operation:
                cells = [f"{1000 * record['seconds'][name]['median']:.2f}" for name in names]
                print(f"| {operation} | {record['layer']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
