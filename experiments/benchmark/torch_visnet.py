"""The attribution network once more, in PyTorch, with the weights of a Flax one."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ROOT2 = math.sqrt(2.0)


class VisNet(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] to logits (N, K): `ganfp_jax.models.visnet.Classifier` in its default form.

    The scales of the equalised learning rate are multiplied into the weights once, as a PyTorch user would.

    Args:
        params: the Flax classifier's, with `mode` "postpool", `switching_res` 4 and `latent_res` -1.
        input: "image" or "residual", as the classifier has it.
    """

    def __init__(self, params: Mapping[str, Any], input: Literal["image", "residual"]) -> None:
        super().__init__()
        self.input = input
        levels = sorted(params, key=lambda name: -int(name.partition("x")[0]))
        self.convs = nn.ModuleList(
            _conv(params[level][name]) for level in levels for name in ("Conv0", "Conv1") if name in params[level]
        )
        self.dense1 = _dense(_rows_channels_first(params["4x4"]["Dense1"], 4), ROOT2)
        self.dense2 = _dense(params["4x4"]["Dense2"], 1.0)
        # What multiplies Adam's rate where these weights are trained: the biases' is 1.
        self.rates = {f"convs.{i}.weight": _scale(conv.weight[0].numel(), ROOT2) for i, conv in enumerate(self.convs)}
        self.rates["dense1.weight"] = _scale(self.dense1.in_features, ROOT2)
        self.rates["dense2.weight"] = _scale(self.dense2.in_features, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        if self.input == "residual":
            x = x - _upsample(_blur(x, 2))
        for i, layer in enumerate(self.convs):
            x = functional.leaky_relu(layer(functional.pad(x, (1, 1, 1, 1), mode="reflect")), 0.2)
            if i % 2:  # the second of its side
                x = functional.avg_pool2d(x, 2)
        return self.dense2(functional.leaky_relu(self.dense1(x.flatten(1)), 0.2))


def _conv(params: Mapping[str, Any]) -> nn.Conv2d:
    """From a kernel (h, w, i, o) to one (o, i, h, w)."""
    weight = np.asarray(params["weight"])
    k, _, features_in, features_out = weight.shape
    layer = nn.Conv2d(features_in, features_out, k)
    _set(layer, weight.transpose(3, 2, 0, 1) * _scale(k * k * features_in, ROOT2), params["bias"])
    return layer


def _dense(params: Mapping[str, Any], gain: float) -> nn.Linear:
    """From (i, o) to (o, i)."""
    weight = np.asarray(params["weight"])
    layer = nn.Linear(*weight.shape)
    _set(layer, weight.T * _scale(len(weight), gain), params["bias"])
    return layer


def _scale(fan_in: int, gain: float) -> float:
    return gain / math.sqrt(fan_in)


def _rows_channels_first(params: Mapping[str, Any], side: int) -> dict[str, Any]:
    """A dense layer on flat (h, w, c), made one on flat (c, h, w)."""
    weight = np.asarray(params["weight"])
    weight = weight.reshape(side, side, -1, weight.shape[1]).transpose(2, 0, 1, 3).reshape(weight.shape)
    return {"weight": weight, "bias": params["bias"]}


def _set(layer: nn.Conv2d | nn.Linear, weight: np.ndarray, bias: Any) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(np.asarray(bias)))


def _blur(x: Tensor, stride: int) -> Tensor:
    """The 5-tap binomial blur on both axes, reflected borders, every `stride`-th pixel."""
    x = functional.pad(x, (2, 2, 2, 2), mode="reflect")
    for axis in (2, 3):
        length = x.shape[axis] - 4
        every = [x.narrow(axis, k, length) for k in range(5)]
        a, b, c, d, e = (part[:, :, ::stride] if axis == 2 else part[..., ::stride] for part in every)
        x = (a + 4 * b + 6 * c + 4 * d + e) / 16
    return x


def _upsample(x: Tensor) -> Tensor:
    """A zero behind every pixel on both axes, then the blur, times 4."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = x
    return 4 * _blur(spread, 1)
