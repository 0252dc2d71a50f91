"""Shares of images that stay the same when others are added."""

import pytest

from ganfp_jax.data.shards import Shard
from ganfp_jax.run.errors import UserError

NAMES = [f"{k % 7}/image {k}.jpg" for k in range(3000)] + ["byte\udcff.png", "生成.png"]


def test_every_image_is_in_one_shard_and_the_shards_are_even():
    shards = [Shard(number, 3) for number in range(3)]
    of = [[shard.has(name) for shard in shards] for name in NAMES]
    assert all(sum(row) == 1 for row in of)
    assert all(900 < sum(column) < 1100 for column in zip(*of, strict=True))
    assert all(Shard.parse("").has(name) for name in NAMES)


def test_the_share_is_the_same_on_every_machine():
    """Recorded: a shard that was done stays so with the next version."""
    assert [next(k for k in range(5) if Shard(k, 5).has(name)) for name in NAMES[:8]] == RECORDED


RECORDED = [0, 4, 2, 3, 1, 3, 2, 1]


@pytest.mark.parametrize("text", ["3/3", "4/3", "1", "a/b", "1/2/3", "-1/3", "0/0", "1 / 2"])
def test_what_is_no_shard(text):
    with pytest.raises(UserError, match=r"config\.shard is .*; give i/n with i from 0 to n - 1"):
        Shard.parse(text)
