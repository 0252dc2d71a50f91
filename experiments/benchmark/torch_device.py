"""PyTorch's best honest settings on the machine at hand; importing this needs the extra `bench`."""

import contextlib
import os
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def prepare() -> str:
    """As many threads as the process may use, the fastest convolutions; the device's name."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU, as JAX has it
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: str, dtype: str) -> contextlib.AbstractContextManager:
    """Arithmetic in `dtype`, "float32" or "bfloat16"."""
    return torch.autocast(device, DTYPES[dtype], enabled=dtype != "float32")


def compile_frozen(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network compiled for one shape and no training: its weights are constants, laid out as oneDNN wants them."""
    options = {"freezing": True, "max_autotune": torch.cuda.is_available()}
    return torch.compile(network, dynamic=False, options=options)


def upload(images: np.ndarray, device: str) -> Tensor:
    """uint8 (N, H, W, 3) as (N, 3, H, W), channels last."""
    return torch.from_numpy(images).to(device, non_blocking=True).permute(0, 3, 1, 2)


def make_adam(parameters: Iterable[tuple[Tensor, float]], settings: dict, device: str) -> torch.optim.Adam:
    """Adam in its fused form, for (parameter, factor of its rate); parameters of one rate are one group."""
    groups: dict[float, list[Tensor]] = {}
    for parameter, factor in parameters:
        groups.setdefault(factor, []).append(parameter)
    rate, betas = settings["learning_rate"], (settings["beta1"], settings["beta2"])
    return torch.optim.Adam(
        [{"params": group, "lr": factor * rate} for factor, group in groups.items()],
        lr=rate,
        betas=betas,
        eps=settings["epsilon"],
        fused=True,
    )


def gradient_length(gradients: list[Tensor]) -> Tensor:
    """The length of all gradients together."""
    return torch.stack(list(torch._foreach_norm(gradients))).norm()
