"""The claims in the fields that Pillow reads: text chunks, EXIF, XMP, comments. Damaged fields claim nothing."""

import itertools
import re
from collections.abc import Callable, Iterator

from PIL import Image
from PIL.ExifTags import Base

from ganfp_jax.data.claims import tools
from ganfp_jax.data.claims.claim import MADE, Claim, kind_of, term_of

XMP = ("xmp", "XML:com.adobe.xmp")  # Pillow's keys for it
MOST = 8  # claims of a file
_LONGEST = 1 << 20  # bytes of XMP, and letters of text
_MOST_MATCHES = 100  # in XMP

# XMP is searched, not parsed: a parser would need the whole of it to be sound, and a bomb could keep it busy.
_SOURCE_TYPE = re.compile(
    rb"digitalsourcetype(?:/|=[\"']|>)\s{0,8}(?:https?:[^\s<\"']{0,80}/)?(\w{1,64})", re.IGNORECASE
)
_CREATOR = re.compile(rb"(?:CreatorTool|photoshop:Credit)(?:=[\"']|>)([^<\"']{1,200})")
_NAMING = (Base.Software, Base.Make)  # in which a tool may name itself
# ComfyUI writes its graph into fields of cameras where a format has no text.
_GRAPH = re.compile(r"(?:prompt|workflow):\{", re.IGNORECASE)


def xmp_of(image: Image.Image) -> bytes:
    """Returns the XMP of an open image, b"" for none."""
    found = next((image.info[key] for key in XMP if image.info.get(key)), b"")
    return (found.encode(errors="replace") if isinstance(found, str) else bytes(found))[:_LONGEST]


def claims_of(image: Image.Image, xmp: bytes) -> tuple[Claim, ...]:
    """Returns what the fields of an image claim, each place once.

    Args:
        image: loaded, since text may stand behind the pixels.
        xmp: of it, as `xmp_of` gave it.
    """
    found = [claim for read in (_texts, _exif, lambda image: _of_xmp(xmp)) for claim in _read(read, image)]
    return tuple(dict.fromkeys(found))[:MOST]


def _read(read: Callable[[Image.Image], Iterator[Claim]], image: Image.Image) -> list[Claim]:
    try:
        return list(read(image))
    except Exception:  # Pillow raises any type of error for damaged metadata, which does not affect the pixels
        return []


def _texts(image: Image.Image) -> Iterator[Claim]:
    texts = {key: value for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
    for key, tool in tools.of_texts(texts).items():
        yield Claim(f"text {key!r}: {tool}", MADE, tool)
    comment = image.info.get("comment", b"")
    if isinstance(comment, bytes) and (tool := tools.of_comment(comment)):
        yield Claim(f"comment: {tool}", MADE, tool)


def _exif(image: Image.Image) -> Iterator[Claim]:
    exif = image.getexif()
    for tag in (Base.Software, Base.Make, Base.Model, Base.ImageDescription):
        text = str(exif.get(tag, ""))[:_LONGEST]
        if tool := "ComfyUI" if _GRAPH.match(text) else tools.named(text) if tag in _NAMING else "":
            yield Claim(f"EXIF {tag.name}: {tool}", MADE, tool)
    # The comment lies in a part of EXIF whose every field Pillow would read, which takes as long as a small image.
    if tool := tools.of_comment(image.info.get("exif", b"")):
        yield Claim(f"EXIF comment: {tool}", MADE, tool)


def _of_xmp(xmp: bytes) -> Iterator[Claim]:
    for match in itertools.islice(_SOURCE_TYPE.finditer(xmp), _MOST_MATCHES):
        if term := term_of(match[1].decode()):
            yield Claim(f"XMP DigitalSourceType: {term}", kind_of([term]))
    for match in itertools.islice(_CREATOR.finditer(xmp), _MOST_MATCHES):
        if tool := tools.named(match[1].decode(errors="replace")):
            yield Claim(f"XMP: {tool}", MADE, tool)
