"""Wavelet packets: the content of each frequency band at each position.

The features are those of Wolter et al., "Wavelet-Packets for Deepfake Image Analysis and Detection" (2022): the
logarithm of the absolute coefficients. Upsampling layers leave traces at high frequencies in many positions. The DCT of
the whole image shows their frequency without the position, and pixels show the position without the frequency.
"""

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.baselines.linear import LOG_FLOOR

WAVELET = "haar"  # the shortest, since images of 32x32 have no room for long ones
LEVEL = 3  # 64 packets, of 4x4 coefficients each for images of 32x32


def log_packets(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """log(|coefficient| + floor), orthonormal, of every packet and channel, one row per image.

    The packets are all of level 3 (lower where a side is below 8); they have as many coefficients as the image values.
    """
    import pywt

    level = min(LEVEL, *(side.bit_length() - 1 for side in images.shape[1:3]))
    tree = pywt.WaveletPacket2D(images.astype(np.float32), WAVELET, mode="symmetric", maxlevel=level, axes=(1, 2))
    packets = np.stack([node.data for node in tree.get_level(level, order="natural")], axis=1)  # (N, P, H', W', 3)
    return np.log(np.abs(packets) + np.float32(LOG_FLOOR)).reshape(len(images), -1)
