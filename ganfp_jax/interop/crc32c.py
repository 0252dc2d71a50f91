"""CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints, in NumPy: about 150 MB/s on one core.

A CRC is linear: that of A followed by B is that of A, moved on over as many zero bytes as B has, plus (XOR) that of B.
So neighbours are joined, all pairs at once, until one number is left. Zeros in front change nothing.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_BLOCK = 1 << 17  # words: what is joined at a time, to fit into the processor's cache with its intermediate results


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC-32C of some bytes; 0xE3069283 of b"123456789"."""
    head = len(data) % (4 * _BLOCK)
    padded = bytes(-head % 4) + bytes(data[:head])
    blocks = np.frombuffer(data, "<u4", offset=head).reshape(-1, _BLOCK)
    crc = np.zeros(1, np.uint32)
    for words in (np.frombuffer(padded, "<u4"), *blocks):
        if len(words):
            crc = _advance(crc, _BLOCK.bit_length() + 1) ^ _join(words)
    # Each register starts as ones, which move on over the whole message, and ends inverted.
    start = np.full(1, 0xFFFFFFFF, np.uint32)
    for level in range(len(data).bit_length()):
        if len(data) >> level & 1:
            start = _advance(start, level)
    return int((crc ^ start)[0]) ^ 0xFFFFFFFF


def _join(words: np.ndarray) -> np.ndarray:
    """The CRC of one or more words, (1,), with a register that starts as zeros."""
    level = 2  # a word has 4 bytes
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, np.uint32), words])
        words = _advance(words[::2], level) ^ words[1::2]
        level += 1
    return _advance(words, 2)


def _advance(registers: np.ndarray, level: int) -> np.ndarray:
    """Moves registers on over 2**level zero bytes."""
    table = _table(level)
    low, high = table[0][registers & 0xFF], table[3][registers >> 24]
    return low ^ table[1][registers >> 8 & 0xFF] ^ table[2][registers >> 16 & 0xFF] ^ high


@functools.cache
def _table(level: int) -> np.ndarray:
    """(4, 256): what each value of each of a register's bytes becomes after 2**level zero bytes."""
    if level:
        bits = _advance(_advance(np.uint32(1) << np.arange(32, dtype=np.uint32), level - 1), level - 1)
    else:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        for _ in range(8):
            bits = bits >> 1 ^ np.where(bits & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    table = np.zeros((4, 256), np.uint32)
    for bit in range(8):
        for byte in range(4):
            table[byte, 1 << bit : 2 << bit] = table[byte, : 1 << bit] ^ bits[8 * byte + bit]
    return table
