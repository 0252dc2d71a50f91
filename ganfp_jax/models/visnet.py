"""The attribution network: which source made this image? (Yu, Davis, Fritz 2019, arXiv 1811.08180.)

Its last layer is the inner product of an image's fingerprint (`Classifier.features`) and each source's fingerprint
(`Classifier.model_fingerprints`), plus a bias. A branch that sees the spectrum of the whole image, which is ours, can
stand beside the convolutions (`spectral_features`); both are trained together.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.layers import (
    LEAK,
    EqualizedConv,
    EqualizedDense,
    box_downsample,
    gaussian_downsample,
    gaussian_upsample,
    leaky_relu,
)
from ganfp_jax.models.network import Count, Network
from ganfp_jax.models.spectrum import MOST_FREQUENCIES, Spectrum
from ganfp_jax.run.errors import UserError

AnyFloat = Float[Array | np.ndarray, "..."]


class Classifier(Network):
    """Images in [-1, 1] to logits, one per source, by 3x3 convolutions with reflect padding.

    Attributes:
        resolution: side of the images, a power of two >= 4.
        num_classes: number of sources K.
        fmap_base: overall number of feature maps; stage s has min(fmap_base / 2**(s fmap_decay), fmap_max).
        fmap_decay: how fast the number of feature maps falls with the size.
        fmap_max: upper bound of the number of feature maps.
        input: "image", or "residual" for x - up(down(x)), the top of a Laplacian pyramid at the side of the first
            convolution (the paper's high-frequency residual network).
        mode: "postpool" has convolutions at sides above `switching_res` and average pooling below. "predownscale"
            blurs and halves the image at sides above it and has convolutions from there on. "mean_pool" has
            convolutions at sides above it, then 1x1 layers and the mean of the K maps, so that no feature sees more
            than a patch (the paper's post-pooling network, which its release lacks).
        switching_res: the side at which `mode` switches; 4 with "postpool" is the full network.
        latent_res: -1 for the dense head at 4x4, else the side at which a fully convolutional head ends.
        num_features: features of the convolutions; None for the published max(feature maps of stage 0, K).
        spectral_features: features of the spectrum (`models.spectrum`), which follow those of the convolutions in a
            fingerprint; 0, as published, for no such branch. It needs the dense head.
        dtype: dtype of the convolutions; parameters, the spectrum, features and logits are float32.
    """

    smallest: ClassVar[int] = 4
    num_classes: int
    fmap_base: Count = 1024
    fmap_decay: float = 1.0
    fmap_max: Count = 512
    input: Literal["image", "residual"] = "image"
    mode: Literal["postpool", "predownscale", "mean_pool"] = "postpool"
    switching_res: int = 4
    latent_res: int = -1
    num_features: Count | None = None
    spectral_features: int = 0
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` for a side that no halving reaches and for parts that do not go together."""
        sides = [self.resolution >> k for k in range(self.resolution.bit_length() - 2)]
        places = (("switching_res", self.switching_res, sides), ("latent_res", self.latent_res, [-1, *sides]))
        for key, side, choices in places:
            if side not in choices:
                raise UserError(f"{key} {side} is none of {', '.join(map(str, choices))}")
        if self.mode == "mean_pool" and self.latent_res != -1:
            raise UserError("mode mean_pool ends at switching_res; leave latent_res at -1")
        if self.spectral_features < 0:
            raise UserError(f"spectral_features is {self.spectral_features}; give 0 or more")
        if self.spectral_features and not self._ends_dense():
            raise UserError("spectral_features are of a whole image; leave latent_res at -1 and mode off mean_pool")
        if self.spectral_features and self.resolution > MOST_FREQUENCIES:
            raise UserError(
                f"spectral_features see all frequencies, of images of up to {MOST_FREQUENCIES} pixels a side"
            )

    def __call__(self, images: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n ... k"]:
        """Return logits (N, K), or (N, r, r, K) with `latent_res` r; `train` is for the spectrum's statistics."""
        return self.fingerprints_and_logits(images, train)[1]

    def features(self, images: Float[Array, "n h w c"]) -> Float[Array, "n ... f"]:
        """Return image fingerprints (N, F), or (N, r, r, F) with `latent_res` r: the input of the last layer."""
        return self.fingerprints_and_logits(images)[0]

    @nn.compact
    def fingerprints_and_logits(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> tuple[Float[Array, "n ... f"], Float[Array, "n ... k"]]:
        """Return image fingerprints and logits from one pass, with the shapes of `features` and `__call__`."""
        if images.shape[1:3] != (self.resolution, self.resolution):
            raise ValueError(f"images are {images.shape[1:3]}, the classifier is for side {self.resolution}")
        spectrum = Spectrum(self.spectral_features, name="Spectrum")(images, train) if self.spectral_features else None
        x, side, last = images.astype(self.dtype), self.resolution, self._last_side()
        while self.mode == "predownscale" and side > max(self.switching_res, last):
            x, side = gaussian_downsample(x), side // 2
        if self.input == "residual":
            x = x - gaussian_upsample(gaussian_downsample(x))
        while side > last:
            if self.mode == "predownscale" or side > self.switching_res:
                x = Level(self._fmaps(side), self._fmaps(side // 2), self.dtype, name=f"{side}x{side}")(x)
            else:
                x = box_downsample(x)
            side //= 2
        stage_features = self._fmaps(2 if self.latent_res == -1 else side)
        head = Head(
            self._fmaps(side),
            self.num_features or max(stage_features, self.num_classes),
            self.num_classes,
            "mean" if self.mode == "mean_pool" else "dense" if self._ends_dense() else "map",
            self.dtype,
            name=f"{side}x{side}",
        )
        return head(x, spectrum)

    @nn.nowrap
    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[AnyFloat, AnyFloat]:
        """Return (W, b): the model fingerprints W (F, K), one column per source, and the biases b (K,).

        W is scaled as the last layer scales its stored weights, so logits = features @ W + b.
        """
        side = self._last_side()
        name = "Dense2" if self._ends_dense() else "Conv2"
        last = params[f"{side}x{side}"][name]
        weight = last["weight"].reshape(-1, self.num_classes)  # from (F, K) or (1, 1, F, K)
        return weight / math.sqrt(len(weight)), last["bias"]

    def _ends_dense(self) -> bool:
        return self.latent_res == -1 and self.mode != "mean_pool"

    def _last_side(self) -> int:
        if self.mode == "mean_pool":
            return self.switching_res
        return 4 if self.latent_res == -1 else self.latent_res

    def _fmaps(self, side: int) -> int:
        return count_fmaps(side, self.fmap_base, self.fmap_decay, self.fmap_max)


def count_fmaps(side: int, fmap_base: int, fmap_decay: float, fmap_max: int) -> int:
    """Return min(fmap_base / 2**(s fmap_decay), fmap_max), the feature maps at a `side` of 2**(s + 1) pixels."""
    stage = math.log2(side) - 1
    return min(int(fmap_base / 2.0 ** (stage * fmap_decay)), fmap_max)


class Level(nn.Module):
    """Two 3x3 convolutions at one side, then average pooling over blocks of 2x2 pixels."""

    features: int
    out_features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        """Return feature maps of half the side."""
        settings: dict[str, Any] = {"padding": "reflect", "negative_slope": LEAK, "dtype": self.dtype}
        x = EqualizedConv(self.features, **settings, name="Conv0")(x)
        return EqualizedConv(self.out_features, **settings, pool=True, name="Conv1")(x)


class Head(nn.Module):
    """The last layers: a convolution, then two dense layers ("dense") or two 1x1 convolutions ("map").

    "mean" is the paper's post-pooling: it has no first convolution and takes the mean over the map.
    """

    features: int
    num_features: int
    num_classes: int
    form: Literal["dense", "map", "mean"]
    dtype: Any

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w i"], beside: Float[Array, "n s"] | None = None
    ) -> tuple[Float[Array, "n ... f"], Float[Array, "n ... k"]]:
        """Return the features and the logits; in the form "dense", features of another branch may stand beside."""
        if self.form != "mean":
            x = EqualizedConv(self.features, padding="reflect", negative_slope=LEAK, dtype=self.dtype, name="Conv0")(x)
        if self.form == "dense":
            x = x.reshape(x.shape[0], -1)  # (N, 16 C)
            features = EqualizedDense((self.num_features,), dtype=self.dtype, name="Dense1")(x)
            last: nn.Module = EqualizedDense((self.num_classes,), 1.0, dtype=self.dtype, name="Dense2")
        else:
            features = EqualizedConv(self.num_features, 1, dtype=self.dtype, name="Conv1")(x)
            last = EqualizedConv(self.num_classes, 1, 1.0, dtype=self.dtype, name="Conv2")
        features = leaky_relu(features)
        if self.form == "mean":
            # The last layer is linear, so it gives the mean of its K maps for the mean of the features.
            features = features.mean((1, 2), keepdims=True)  # (N, 1, 1, F)
            return features[:, 0, 0].astype(jnp.float32), last(features)[:, 0, 0].astype(jnp.float32)
        if beside is not None:
            features = jnp.concatenate([features.astype(jnp.float32), beside], axis=-1)
        return features.astype(jnp.float32), last(features).astype(jnp.float32)
