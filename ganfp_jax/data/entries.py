"""What is found where a user says there are images."""

from typing import NamedTuple

IMAGE, REJECTED, BESIDE = "image", "rejected", "beside"
"""The kinds of an `Entry`: an image, what was named and cannot be used, another file among images."""


class Entry(NamedTuple):
    """One thing that was found."""

    kind: str
    path: str
    """As it is shown; of a file also as it is opened. Texts take less memory than `Path`."""
    key: str
    """Its name within what the user named, with "/" between folders: the same wherever that lies."""
    reason: str = ""
    """Why it is no image that can be used; "" of an image."""
    inside: tuple[str | int, ...] = ()
    """Of an image inside another file: the kind of that file, its path, and where the image is in it."""
