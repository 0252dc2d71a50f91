"""Names in figures: the fonts that draw them, and the escape of a character that no font has.

Matplotlib draws with the fonts of the machine, and the same empty box for every character without a glyph. A page
leaves the choice to the browser, which has more fonts.
"""

import functools

FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic", "Unifont"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic"),
    *(
        "Noto Sans",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
        "Noto Sans Bengali",
        "Noto Sans Tamil",
        "Arial Unicode MS",
    ),
)
"""Families that are used after matplotlib's font where the machine has them."""


@functools.cache
def families() -> tuple[str, ...]:
    """Returns matplotlib's font and those of `FALLBACKS` that this machine has."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in FALLBACKS if name in known))


@functools.cache
def _characters() -> frozenset[int]:
    """Returns the code points with a glyph in one of `families`."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    fonts = (FT2Font(findfont(FontProperties(family=[name]))) for name in families())
    return frozenset().union(*(font.get_charmap() for font in fonts))


def drawable(name: str) -> str:
    r"""Replaces each character of a name without a glyph by its escape, such as "\u751f"."""
    return "".join(c if ord(c) in _characters() else c.encode("unicode_escape").decode() for c in name)
