"""Wavelet packets: what lies in each band of frequencies at each place.

The features of Wolter et al., "Wavelet-Packets for Deepfake Image Analysis and Detection" (2022): the logarithm of the
absolute coefficients. An upsampling layer leaves its trace at high frequencies wherever it is, which the DCT of the
whole image says without the place and the pixels without the frequency.
"""

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.baselines.linear import LOG_FLOOR

WAVELET = "haar"  # the shortest: images of 32x32 leave no room for long ones
LEVEL = 3  # 64 packets; of 4x4 coefficients each where images are 32x32


def log_packets(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """log(|coefficient| + floor) of every packet and channel, orthonormal, as one row per image.

    All packets of level 3 (fewer where a side is below 8), with as many numbers as the image has values.
    """
    import pywt

    level = min(LEVEL, *(side.bit_length() - 1 for side in images.shape[1:3]))
    tree = pywt.WaveletPacket2D(images.astype(np.float32), WAVELET, mode="symmetric", maxlevel=level, axes=(1, 2))
    packets = np.stack([node.data for node in tree.get_level(level, order="natural")], axis=1)  # (N, P, H', W', 3)
    return np.log(np.abs(packets) + np.float32(LOG_FLOOR)).reshape(len(images), -1)
