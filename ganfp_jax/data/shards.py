"""Shards: shares of a set of images that do not depend on the order or the number of the others."""

import hashlib
import re
from typing import NamedTuple

from ganfp_jax.run.errors import UserError


class Shard(NamedTuple):
    """One of some shares of all images."""

    number: int
    """From 0."""
    of: int
    """How many there are."""

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads "i/n"; "" is all there is, "0/1".

        Raises:
            UserError: the text is no shard.
        """
        if not text:
            return cls(0, 1)
        match = re.fullmatch(r"(\d+)/(\d+)", str(text))
        if match is None or int(match[1]) >= int(match[2]):
            raise UserError(f"config.shard is {text!r}; give i/n with i from 0 to n - 1, such as --config.shard=0/4")
        return cls(int(match[1]), int(match[2]))

    def has(self, key: str) -> bool:
        """Whether an image is of this shard: the digest of its key, modulo the number of shards, says."""
        return self.of == 1 or _digest(key) % self.of == self.number


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
