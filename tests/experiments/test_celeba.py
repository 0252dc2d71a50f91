"""The way from img_align_celeba to the paper's table: the page and the script say the same, and its photographs fit."""

import re
from pathlib import Path

import pytest
from PIL import Image

from experiments.celeba.__main__ import SIZES, commands
from experiments.celeba.photographs import write_photographs
from ganfp_jax.data.decode import decode_image
from ganfp_jax.data.preprocess import fit

PAGE = (Path(__file__).parents[2] / "docs" / "celeba.md").read_text(encoding="utf-8")


def test_the_page_has_the_scripts_commands_in_their_order():
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    shown = re.findall(r"^python -m ganfp_jax\.main (.*)$", blocks, re.MULTILINE)
    assert shown == [" ".join(arguments) for arguments in commands("celeba", "img_align_celeba")]


def test_the_smoke_differs_in_sizes_and_names_alone():
    def plain(variant):
        return [
            [re.sub(r"(count|first)=\d+", r"\1=N", part).replace(variant, "VARIANT") for part in arguments]
            for arguments in commands(variant, "DIR")
        ]

    assert plain("celeba") == plain("celeba-smoke")


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_no_photograph_is_in_training_and_test(sizes):
    assert sizes.train <= sizes.test_from


def test_the_page_counts_celebas_photographs():
    assert SIZES["celeba"].test_from + SIZES["celeba"].test <= 202_599


def test_photographs_are_like_celebas(tmp_path):
    write_photographs(tmp_path / "img_align_celeba", count=3)
    paths = sorted((tmp_path / "img_align_celeba").iterdir())
    assert [path.name for path in paths] == ["000001.jpg", "000002.jpg", "000003.jpg"]
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (178, 218))
        assert fit(decode_image(path), 128, "celeba")[0].std() > 5
