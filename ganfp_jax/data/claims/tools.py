"""The marks that generators' tools leave in text fields. Only their names, which stand here, are repeated."""

import re
from collections.abc import Mapping

_LONGEST = 1 << 20  # letters of a field that are looked at,
_LONGEST_NAME = 200  # and of one for a name

# How tools name themselves where a program does so: EXIF's Software and Make, PNG's Software, XMP's CreatorTool.
_NAMES = {
    "Adobe Firefly": r"adobe[ _]firefly",
    "Bing Image Creator": r"bing image creator|microsoft designer",
    "ComfyUI": r"comfyui",
    "DALL-E": r"dall[-·∙ ]?e\b",
    "Draw Things": r"draw things",
    "Easy Diffusion": r"easy ?diffusion",
    "Fooocus": r"fooocus",
    "Google AI": r"made with google ai|google imagen",
    "Ideogram": r"ideogram",
    "InvokeAI": r"invoke ?ai",
    "Leonardo.Ai": r"leonardo\.ai",
    "Midjourney": r"midjourney",
    "NovelAI": r"novelai",
    "Stable Diffusion": r"stable[ _-]?diffusion|dreamstudio",
    "SwarmUI": r"swarmui",
}
_NAMED = re.compile("|".join(f"(?P<n{number}>{name})" for number, name in enumerate(_NAMES.values())), re.IGNORECASE)

_WEB_UI = r"Steps: \d+, Sampler: "
_SWARM = "sui_image_params"
# Text of PNG (tEXt, iTXt, zTXt): key -> (what its text has in it, the tool). The first that fits counts.
_TEXTS: dict[str, tuple[tuple[str, str], ...]] = {
    "parameters": ((_SWARM, "SwarmUI"), (_WEB_UI, "Stable Diffusion web UI")),
    "prompt": (('"class_type"', "ComfyUI"),),
    "workflow": (('"nodes"', "ComfyUI"),),
    "fooocus_scheme": (("", "Fooocus"),),
    "Description": ((r" Job ID: [0-9a-f]{8}-[0-9a-f]{4}-", "Midjourney"),),
    **dict.fromkeys(("invokeai_metadata", "invokeai_graph", "sd-metadata", "Dream"), (("", "InvokeAI"),)),
}
NAMING = ("Software", "Title", "Source")
"""Keys of PNG text in which a tool may name itself."""


def named(text: str) -> str:
    """Returns the known tool that a field for the name of a program names, else ""."""
    match = _NAMED.search(text[:_LONGEST_NAME])
    return list(_NAMES)[int(str(match.lastgroup)[1:])] if match else ""


def of_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Returns the keys of text by which a tool is known -> the tool."""
    found = {key: named(texts[key]) for key in NAMING if key in texts}
    for key, marks in _TEXTS.items():
        if key in texts:
            text = texts[key][:_LONGEST]
            found[key] = next((tool for mark, tool in marks if re.search(mark, text)), "")
    return {key: tool for key, tool in found.items() if tool}


def of_comment(comment: bytes) -> str:
    """Returns the tool that wrote its parameters into a comment of EXIF or JPEG, in any encoding, else ""."""
    letters = comment[:_LONGEST].replace(b"\0", b"").decode("latin-1")  # of UTF-16, too
    return next((tool for mark, tool in _TEXTS["parameters"] if re.search(mark, letters)), "")
