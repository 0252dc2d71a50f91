"""The attribution network's training step in PyTorch; importing this needs the extra `bench`."""

from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from experiments.benchmark.torch_device import autocast, gradient_length, make_adam, prepare, upload
from experiments.benchmark.torch_visnet import VisNet


class TorchTraining:
    """The network with its optimiser: cross-entropy on images mirrored at random, Adam.

    The scale of the equalised learning rate is part of the weights here, and multiplied with Adam's rate instead: the
    same training, without a product a step.
    """

    def __init__(
        self, params: Any, input: Literal["image", "residual"], optimizer: dict[str, Any], dtype: str, compile: bool
    ) -> None:
        self.device, self.dtype = prepare(), dtype
        network = VisNet(params, input).train().to(self.device, memory_format=torch.channels_last)
        rates = [(p, network.rates.get(name, 1.0)) for name, p in network.named_parameters()]
        self.parameters = [parameter for parameter, _ in rates]
        self.adam = make_adam(rates, optimizer, self.device)
        self.network: nn.Module = torch.compile(network, dynamic=False) if compile else network

    def step(self, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """One step on uint8 images (N, H, W, 3); metrics on the host."""
        x, y = upload(images, self.device), torch.from_numpy(labels).to(self.device).long()
        turned = torch.rand(len(x), 1, 1, 1, device=self.device) < 0.5
        x = torch.where(turned, x.flip(3), x).float() / 127.5 - 1
        with autocast(self.device, self.dtype):
            logits = self.network(x.contiguous(memory_format=torch.channels_last)).float()
            loss = functional.cross_entropy(logits, y)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        length = gradient_length([p.grad for p in self.parameters if p.grad is not None])
        self.adam.step()
        accuracy = (logits.argmax(1) == y).float().mean()
        values = torch.stack([loss.detach(), accuracy, length]).cpu().numpy()
        return dict(zip(("loss", "accuracy", "grad_norm"), values, strict=True))
