"""The vote's competitors in PyTorch; importing this needs the extra `bench`."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
import ttach
from torch import Tensor, nn

from experiments.benchmark.competitor import Answer, Competitor, Images
from experiments.benchmark.torch_device import autocast, compile_frozen, prepare
from experiments.benchmark.torch_visnet import VisNet
from ganfp_jax.data.views import EXACT_VIEWS


class ChannelsLast(nn.Module):
    """A network on images laid out channels last, the fastest layout on CPU, which turning by ttach undoes."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output."""
        return self.network(x.contiguous(memory_format=torch.channels_last))


def torch_competitors(
    params: Any, input: Literal["image", "residual"], compile: bool, dtype: str = "float32"
) -> list[Competitor]:
    """One view and ttach's mean over the same eight, with the eager network and, if asked, the compiled one."""
    device = prepare()
    network = VisNet(params, input).eval().to(device, memory_format=torch.channels_last)
    forms: dict[str, Callable[[Tensor], Tensor]] = {"": network}
    if compile:
        forms[" compiled"] = compile_frozen(network)
    competitors = []
    for form, forward in forms.items():
        model = ChannelsLast(forward)
        voting = ttach.ClassificationTTAWrapper(model, ttach.aliases.d4_transform(), merge_mode="mean")
        competitors += [
            Competitor(f"PyTorch{form}, one view", ("identity",), "majority", _answer(model, device, dtype)),
            Competitor(f"PyTorch{form}, ttach d4", EXACT_VIEWS, "mean_logit", _answer(voting, device, dtype)),
        ]
    return competitors


def _answer(model: nn.Module, device: str, dtype: str) -> Callable[[Images], Answer]:
    @torch.inference_mode()
    def answer(images: Images) -> Answer:
        signed = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with autocast(device, dtype):
            logits = model(signed).float()
        return Answer(logits.argmax(1).cpu().numpy().astype(np.int32), logits[None].cpu().numpy())

    return answer
