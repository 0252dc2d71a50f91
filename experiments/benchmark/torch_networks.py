"""The GANs' networks once more, in PyTorch, with the weights of Flax ones; importing this needs the extra `bench`.

Maps are (N, C, H, W) laid out channels last, so dense layers on Flax's flat (h, w, c) fit as they are.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from flax.traverse_util import flatten_dict
from torch import Tensor, nn
from torch.nn import functional

ROOT2 = math.sqrt(2.0)
DECAY = 0.9  # of SNGAN's and resnet5's running statistics


class Network(nn.Module):
    """Flax variables, and a function that runs them.

    Attributes:
        rates: of each parameter, the constant that the equalised learning rate multiplies it with. It is multiplied in
            here once, and Adam's rate with it instead: the same training, without a product a call.
    """

    def __init__(self, variables: Mapping[str, Any], run: Callable[..., Tensor], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.run, self.settings = run, dict(settings)
        params = {_key(path): np.asarray(value) for path, value in flatten_dict(variables["params"]).items()}
        equalised = settings["name"].startswith("progan")
        self.rates = {key: _equalised(key, value.shape) if equalised else 1.0 for key, value in params.items()}
        self.params = nn.ParameterDict(
            {key: nn.Parameter(_turned(key, value * self.rates[key])) for key, value in params.items()}
        )
        kept = {name: values for name, values in variables.items() if name != "params"}
        for path, value in flatten_dict(kept).items():
            self.register_buffer(_key(path[1:]), torch.tensor(np.asarray(value)))

    def forward(self, x: Tensor, train: bool = False) -> Any:
        """What the Flax network returns; images are (N, C, H, W)."""
        return self.run(self, x, train)

    def conv(self, name: str, x: Tensor, padding: str = "zero", stride: int = 1) -> Tensor:
        """A convolution that keeps the size, or halves it as TensorFlow does."""
        weight = self.params[f"{name}_weight"]
        return self._conv(name, weight, x, padding, stride)

    def spectral(self, name: str, x: Tensor, train: bool) -> Tensor:
        """A convolution or dense layer divided by its singular value."""
        weight = self.params[f"{name}_weight"]
        u = getattr(self, f"{name}_u")
        # Rows are inputs; the order of their places does not matter to the singular value.
        matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), -1).T if weight.ndim == 4 else weight
        with torch.no_grad():
            v = functional.normalize(matrix.detach() @ u, dim=0, eps=1e-12)
            new_u = functional.normalize(v @ matrix.detach(), dim=0, eps=1e-12)
            if train:
                u.copy_(new_u)
        sigma = v @ matrix @ new_u
        if weight.ndim == 4:
            return self._conv(name, weight / sigma, x, "zero", 1)
        return x @ (weight / sigma) + self.params[f"{name}_bias"]

    def _conv(self, name: str, weight: Tensor, x: Tensor, padding: str, stride: int) -> Tensor:
        k = weight.shape[-1]
        bias = self.params.get(f"{name}_bias")
        if stride == 2:  # an even side: one pixel before it and two behind
            return functional.conv2d(functional.pad(x, (k // 2 - 1, k // 2) * 2), weight, bias, 2)
        if padding == "reflect" and k > 1:
            return functional.conv2d(functional.pad(x, (k // 2,) * 4, mode="reflect"), weight, bias)
        return functional.conv2d(x, weight, bias, padding=k // 2)

    def dense(self, name: str, x: Tensor) -> Tensor:
        """x @ weight, without a bias."""
        return x @ self.params[f"{name}_weight"]

    def maps(self, name: str, x: Tensor, side: int) -> Tensor:
        """A dense layer whose output are maps."""
        y = self.dense(name, x).reshape(len(x), side, side, -1)
        bias = self.params[f"{name}_bias"]  # one a channel (ProGAN), or one a value
        return (y + bias.reshape((-1,) if len(bias) == y.shape[-1] else y.shape[1:])).permute(0, 3, 1, 2)

    def norm(self, name: str, x: Tensor, train: bool) -> Tensor:
        """Batch normalisation."""
        scale, offset = self.params[f"{name}_scale"].reshape(-1), self.params[f"{name}_offset"].reshape(-1)
        epsilon = 2e-5 if self.settings["name"].startswith("sngan") else 1.001e-5
        if not hasattr(self, f"{name}_mean"):
            return functional.batch_norm(x, None, None, scale, offset, True, 0.0, epsilon)
        mean, var = getattr(self, f"{name}_mean"), getattr(self, f"{name}_var")
        return functional.batch_norm(x, mean, var, scale, offset, train, 1 - DECAY, epsilon)


def progan_generator(net: Network, x: Tensor, train: bool) -> Tensor:
    """Latents (N, D) to full-size images, after the fade-in."""
    padding = net.settings["padding"]
    x = _pixel_norm(_leaky(net.maps("4x4_Dense", _pixel_norm(x), 4)))
    x = _pixel_norm(_leaky(net.conv("4x4_Conv", x, padding)))
    for side in _sides(8, net.settings["resolution"]):
        x = _pixel_norm(_leaky(net.conv(f"{side}x{side}_Conv0_up", _double(x), padding)))
        x = _pixel_norm(_leaky(net.conv(f"{side}x{side}_Conv1", x, padding)))
    return net.conv("ToRGB_lod0", x)


def progan_discriminator(net: Network, x: Tensor, train: bool) -> Tensor:
    """Full-size images to scores (N,)."""
    x = _leaky(net.conv("FromRGB_lod0", x))
    for side in reversed(_sides(8, net.settings["resolution"])):
        x = _leaky(net.conv(f"{side}x{side}_Conv0", x))
        x = _leaky(functional.avg_pool2d(net.conv(f"{side}x{side}_Conv1_down", x), 2))
    n, c, h, w = x.shape
    group = min(net.settings["minibatch_stddev_group"], n)
    stddev = (x.reshape(group, n // group, c, h, w).var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    x = torch.cat([x, stddev.repeat(group).reshape(n, 1, 1, 1).expand(n, 1, h, w)], 1)
    x = _leaky(net.conv("4x4_Conv", x)).permute(0, 2, 3, 1).reshape(n, -1)
    x = _leaky(net.dense("4x4_Dense0", x) + net.params["4x4_Dense0_bias"])
    return (net.dense("4x4_Dense1", x) + net.params["4x4_Dense1_bias"])[:, 0]


def sngan_generator(net: Network, x: Tensor, train: bool) -> Tensor:
    """Latents (N, D) to images in [-1, 1]."""
    padding, blocks = net.settings["padding"], _blocks(net)
    x = net.maps("l1", x, net.settings["bottom_width"])
    for i in range(2, blocks + 2):
        y = net.conv(f"block{i}_c1", _double(net.norm(f"block{i}_b1", x, train).relu()), padding)
        y = net.conv(f"block{i}_c2", net.norm(f"block{i}_b2", y, train).relu(), padding)
        x = y + _double(net.conv(f"block{i}_c_sc", x))
    return net.conv(f"l{blocks + 2}", net.norm(f"b{blocks + 2}", x, train).relu(), padding).tanh()


def sngan_discriminator(net: Network, x: Tensor, train: bool) -> Tensor:
    """Images to scores (N,)."""
    blocks = _blocks(net) + 1
    for i in range(1, blocks + 1):
        y = net.spectral(f"block{i}_c1", x if i == 1 else x.relu(), train)
        y = net.spectral(f"block{i}_c2", y.relu(), train)
        if i < blocks:
            y, x = functional.avg_pool2d(y, 2), net.spectral(f"block{i}_c_sc", functional.avg_pool2d(x, 2), train)
        x = x + y
    return net.spectral(f"l{blocks + 1}", x.relu().sum((2, 3)), train)[:, 0]


def resnet5_generator(net: Network, x: Tensor, train: bool) -> Tensor:
    """Latents (N, D) to images in [0, 1]."""
    padding = net.settings["padding"]
    x = net.maps("g_h0_lin", x, net.settings["bottom_width"])
    for i in range(1, _blocks(net)):
        y = net.conv(f"g_res{i}_Conv1", _double(net.norm(f"g_res{i}_BN1", x, train).relu()), padding)
        y = net.conv(f"g_res{i}_Conv2", net.norm(f"g_res{i}_BN2", y, train).relu(), padding)
        x = y + _double(net.conv(f"g_res{i}_Shortcut", x))
    x, cut = net.norm("g_h4", x, train).relu(), 1
    if padding == "reflect":
        x, cut = functional.pad(x, (1, 1, 1, 1), mode="reflect"), 3
    x = functional.conv_transpose2d(x, net.params["g_h5_weight"], net.params["g_h5_bias"], stride=2, padding=cut)
    return x[..., :-1, :-1].sigmoid()  # TensorFlow's alignment


def dcgan5_critic(net: Network, x: Tensor, train: bool) -> tuple[Tensor, list[Tensor]]:
    """Images to features (N, F), and every layer's output."""
    layers: list[Tensor] = []
    for i in range(_blocks(net)):
        x = _leaky(net.conv(f"d_h{i}_conv", x, stride=2))
        layers.append(x)
    last = f"d_h{len(layers) + 1}_lin"
    x = net.dense(last, x.permute(0, 2, 3, 1).reshape(len(x), -1)) + net.params[f"{last}_bias"]
    return x, [*layers, x]


NETWORKS: dict[str, Callable[..., Any]] = {
    "progan_generator": progan_generator,
    "progan_discriminator": progan_discriminator,
    "sngan_generator": sngan_generator,
    "sngan_discriminator": sngan_discriminator,
    "resnet5_generator": resnet5_generator,
    "dcgan5_critic": dcgan5_critic,
}


def make_network(config: Mapping[str, Any], resolution: int, variables: Mapping[str, Any]) -> Network:
    """The twin of `models.create(**config, resolution=resolution)` with its variables."""
    return Network(variables, NETWORKS[config["name"]], {**config, "resolution": resolution})


def _key(path: tuple[str, ...]) -> str:
    return "_".join(path)


def _turned(key: str, value: np.ndarray) -> Tensor:
    """(h, w, i, o) to (o, i, h, w), and for the transposed convolution to a turned (i, o, h, w)."""
    tensor = torch.tensor(np.asarray(value, np.float32))
    if tensor.ndim != 4:
        return tensor
    tensor = tensor.permute(2, 3, 0, 1).flip(2, 3) if key.startswith("g_h5") else tensor.permute(3, 2, 0, 1)
    return tensor.contiguous(memory_format=torch.channels_last)


def _equalised(key: str, shape: tuple[int, ...]) -> float:
    """The gain over the root of the fan-in of a layer of ProGAN."""
    if key.endswith("bias"):
        return 1.0
    gain = ROOT2 / 4 if key == "4x4_Dense_weight" else 1.0 if key.startswith(("ToRGB", "4x4_Dense1")) else ROOT2
    return gain / math.sqrt(math.prod(shape[:-1]))


def _sides(first: int, last: int) -> list[int]:
    return [2**k for k in range(int(math.log2(first)), int(math.log2(last)) + 1)]


def _blocks(net: Network) -> int:
    """How often the side is doubled or halved."""
    return int(math.log2(net.settings["resolution"] // net.settings["bottom_width"]))


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _pixel_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
