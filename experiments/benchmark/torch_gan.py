"""One training iteration of each GAN in PyTorch; importing this needs the extra `bench`.

What `ganfp_jax.training.gan_step` does, with the same draws for a comparison or with PyTorch's own for the clock.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.benchmark.torch_device import autocast, compile_frozen, gradient_length, make_adam, prepare, upload
from experiments.benchmark.torch_networks import Network, make_network

FAKES = {"wgan_gp": 1, "hinge": 1, "cramer": 2, "mmd": 1}
SEES_REAL = ("cramer", "mmd")


class Draws(NamedTuple):
    """The random numbers of one iteration."""

    dither: np.ndarray | None
    generator: Sequence[np.ndarray]  # latents, a batch for each of the objective's fakes
    critic: Sequence[tuple[Sequence[np.ndarray], np.ndarray]]  # latents and mixes of each critic update


class TorchGan:
    """A generator, its critic and their optimisers, as `config` (one of ours) has them.

    Args:
        config: the training's.
        generator, critic: Flax variables.
        compile: `torch.compile` what it can: the generator, and the critic where no gradient penalty needs its second
            derivatives, which `torch.compile` does not have.
    """

    def __init__(
        self, config: dict[str, Any], generator: Mapping[str, Any], critic: Mapping[str, Any], dtype: str, compile: bool
    ) -> None:
        self.config, self.device, self.dtype = config, prepare(), dtype
        self.objective, self.penalty = config["objective"]["name"], config["objective"]["penalty"]
        nets = [
            make_network(config[name], config["resolution"], variables).to(self.device)
            for name, variables in (("generator", generator), ("critic", critic))
        ]
        self.generator, self.critic = nets
        self.ema = copy.deepcopy(self.generator) if config["step"]["ema_decay"] else None
        self.adams = {net: make_adam(_rates(net), config["optimizer"], self.device) for net in nets}
        self.run: dict[Network, Callable[..., Any]] = {net: net for net in nets}
        if compile:
            self.run[self.generator] = torch.compile(self.generator)
            if not self.penalty.get("weight"):
                self.run[self.critic] = torch.compile(self.critic)

    def step(self, images: np.ndarray, draws: Draws | None = None) -> dict[str, Tensor]:
        """One iteration on uint8 images (k n, H, W, 3); returns metrics, on the device."""
        step, critic_steps = self.config["step"], self.config["step"]["critic_steps"]
        real = self._to_network(_mirrored(upload(images, self.device), step["augment"]), draws)
        k = critic_steps + (self.objective in SEES_REAL)
        batches = [real[i::k].contiguous(memory_format=torch.channels_last) for i in range(k)]
        metrics: dict[str, Tensor] = {}
        if step["generator_first"]:
            metrics |= self._generator_update(batches[-1], draws)
        for i in range(critic_steps):
            metrics |= self._critic_update(batches[i], draws.critic[i] if draws else None)
        if self.ema:
            with torch.no_grad():
                ours = list(self.generator.parameters())
                torch._foreach_lerp_(list(self.ema.parameters()), ours, 1 - step["ema_decay"])
        if not step["generator_first"]:
            metrics |= self._generator_update(batches[-1], draws)
        return metrics

    def _to_network(self, images: Tensor, draws: Draws | None) -> Tensor:
        pixels = self.config["step"]["pixels"]
        if pixels == "unit":
            return images.float() / 255
        if pixels == "signed":
            return images.float() / 127.5 - 1
        x = images.float() / 128 - 1
        return x + (torch.rand_like(x) / 128 if draws is None else upload(np.array(draws.dither), self.device))

    def _latents(self, n: int, drawn: Sequence[np.ndarray] | None) -> list[Tensor]:
        if drawn is not None:
            return [torch.tensor(np.asarray(z), device=self.device) for z in drawn]
        shape = (n, self.config["latents"]["size"])
        uniform = self.config["latents"]["distribution"] == "uniform"
        return [
            torch.rand(shape, device=self.device) * 2 - 1 if uniform else torch.randn(shape, device=self.device)
            for _ in range(FAKES[self.objective])
        ]

    def _ask(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The critic's answer in float32, and its layers where it shows them."""
        answer = self.run[self.critic](images, True)
        answer, layers = answer if isinstance(answer, tuple) else (answer, [])
        return answer.float(), layers

    def _critic_update(self, real: Tensor, drawn: Any) -> dict[str, Tensor]:
        latents = self._latents(len(real), drawn and drawn[0])
        with autocast(self.device, self.dtype):
            with torch.no_grad():
                fakes = [self.run[self.generator](z, True).float() for z in latents]
            (of_real, layers), *asked = [self._ask(x) for x in (real, *fakes)]
            of_fakes = [answer for answer, _ in asked]
            loss = self._critic_loss(of_real, *of_fakes)
            metrics = {}
            if self.penalty.get("weight"):
                mix = torch.rand(len(real), 1, 1, 1, device=self.device) if drawn is None else _tensor(drawn[1], real)
                mixed = (real + (fakes[0] - real) * mix).requires_grad_()
                witness = self._witness(self._ask(mixed)[0], of_real, *of_fakes)
                (slope,) = torch.autograd.grad(witness.sum(), mixed, create_graph=True)
                axes = (1, 2, 3) if self.penalty.get("norm", "sample") == "sample" else 2
                norms = (slope.square().sum(axes) + self.penalty.get("epsilon", 0.0)).sqrt()
                target = self.penalty["target"]
                loss = loss + self.penalty["weight"] / target**2 * (norms - target).square().mean()
                metrics["gradient_norm"] = norms.detach().mean()
            if self.penalty.get("layers"):
                shown = [*layers, *(layer for _, of_fake in asked for layer in of_fake)]
                loss = loss + self.penalty["layers"] * sum(layer.float().square().mean() for layer in shown)
        return metrics | self._update(self.critic, loss, "critic")

    def _generator_update(self, real: Tensor, draws: Draws | None) -> dict[str, Tensor]:
        latents = self._latents(len(real), draws and draws.generator)
        with autocast(self.device, self.dtype):
            fakes = [self.run[self.generator](z, True).float() for z in latents]
            seen = [real] if self.objective in SEES_REAL else []
            loss = self._generator_loss(*[self._ask(x)[0] for x in (*seen, *fakes)])
        return self._update(self.generator, loss, "generator")

    def _update(self, net: Network, loss: Tensor, name: str) -> dict[str, Tensor]:
        for parameter in net.params.values():
            parameter.grad = None
        # Not autograd.grad: the fused Adam reads a gradient as if it were laid out like its parameter.
        loss.backward(inputs=list(net.params.values()))
        # Class vectors and heads of smaller sizes have no gradient.
        found = [(p.grad, net.rates[key]) for key, p in net.params.items() if p.grad is not None]
        there = [gradient for gradient, _ in found]
        # Of the parameters as published, without the constants that are multiplied in.
        length = gradient_length(torch._foreach_mul(there, [rate for _, rate in found]))
        if clip := self.config["optimizer"].get("clip_norm"):
            norms = torch._foreach_norm(there)
            torch._foreach_clamp_min_(norms, clip)
            torch._foreach_div_(there, torch._foreach_div(norms, clip))
        self.adams[net].step()
        return {f"{name}_loss": loss.detach(), f"{name}_grad_norm": length.detach()}

    def _critic_loss(self, real: Tensor, *fakes: Tensor) -> Tensor:
        if self.objective == "hinge":
            return ((1 - real).relu() + (1 + fakes[0]).relu()).mean()
        if self.objective == "wgan_gp":
            drift = self.config["objective"]["args"]["drift"]
            return (fakes[0] - real + drift * real.square()).mean()
        if self.objective == "cramer":
            return (_surplus(fakes[1], fakes[0]) - _surplus(real, fakes[0])).mean()
        return -self._mmd(fakes[0], real)

    def _generator_loss(self, *answers: Tensor) -> Tensor:
        if self.objective in ("hinge", "wgan_gp"):
            return -answers[0].mean()
        real, fake = answers[:2]
        if self.objective == "cramer":
            return (_length(fake - real) + _length(answers[2] - real) - _length(fake - answers[2])).mean()
        return self._mmd(fake, real)

    def _witness(self, mixed: Tensor, real: Tensor, *fakes: Tensor) -> Tensor:
        if self.objective == "cramer":
            return _surplus(mixed, fakes[0])
        if self.objective == "mmd":
            return _gram(mixed, real).mean(1) - _gram(mixed, fakes[0]).mean(1)
        return mixed

    def _mmd(self, x: Tensor, y: Tensor) -> Tensor:
        """The unbiased estimate with the kernel mix_rq_1dot."""
        published = self.config["objective"]["args"]["diagonal"] == "published"

        def within(z: Tensor) -> Tensor:
            values, m = _gram(z, z), len(z)
            return (values.sum() - (3.0 * m if published else values.trace())) / (m * (m - 1))

        return within(x) + within(y) - 2 * _gram(x, y).mean()


def _rates(net: Network) -> list[tuple[Tensor, float]]:
    return [(parameter, net.rates[name]) for name, parameter in net.params.items()]


def _tensor(values: Any, like: Tensor) -> Tensor:
    return torch.tensor(np.asarray(values), device=like.device)


def _mirrored(images: Tensor, augment: str) -> Tensor:
    if augment == "none":
        return images
    turned = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(turned, images.flip(3), images)


def _length(features: Tensor) -> Tensor:
    return (features.square().sum(-1) + 1e-5).sqrt()


def _surplus(a: Tensor, b: Tensor) -> Tensor:
    return _length(a - b) - _length(a)


def _gram(x: Tensor, y: Tensor) -> Tensor:
    inner = x @ y.T
    squares = (x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * inner).clamp_min(0)
    return inner + sum(torch.exp(-a * torch.log1p(squares / (2 * a))) for a in (0.1, 1.0, 10.0))


class TorchGenerator:
    """A trained generator, for latents on the host to uint8 images (N, H, W, 3) there."""

    def __init__(self, config: dict[str, Any], variables: Mapping[str, Any], dtype: str, compile: bool) -> None:
        self.pixels, self.dtype, self.device = config["step"]["pixels"], dtype, prepare()
        network = make_network(config["generator"], config["resolution"], variables).eval().to(self.device)
        self.run: Callable[[Tensor], Tensor] = compile_frozen(network) if compile else network

    @torch.inference_mode()
    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Images of the latents (N, D)."""
        with autocast(self.device, self.dtype):
            images = self.run(torch.from_numpy(latents).to(self.device)).float()
        images = images * 255 if self.pixels == "unit" else images * 127.5 + 127.5
        return images.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
