"""Files that can be told from all others: what was decoded has this digest, size and format."""

import hashlib
import os
from datetime import UTC, datetime

from ganfp_jax.data.decoding import kinds
from ganfp_jax.data.decoding.files import Record, name_of, open_file


class Identified:
    """An image file (`data.decode.Record`) that remembers what was last read of it, so that its digest is of that.

    Attributes:
        name: its name, with the suffix.
        path: where it lies, as it is shown.
        asked: what a command names to get at it: the file, or the one that it lies in.
        sha256: of its bytes, in hexadecimal; "" before it was read.
        num_bytes: how many they are.
        format: by its content, in Pillow's words, such as "JPEG"; "" where it is no image.
        changed: when it was last changed, as its file system says; "" where it lies in another file.
    """

    def __init__(self, file: str | os.PathLike[str] | Record, path: str = "", asked: str = "") -> None:
        self._file = file
        self.name = name_of(file)
        self.path = path or self.name
        self.asked = asked or self.path
        self.sha256, self.num_bytes, self.format, self.changed = "", 0, "", ""

    def read_bytes(self) -> bytes:
        """Returns the encoded image.

        Raises:
            Refused, OSError: as `decoding.files.open_file`.
        """
        with open_file(self._file) as stream:
            content = stream.read()
            if isinstance(self._file, str | os.PathLike):
                modified = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
                self.changed = modified.strftime("%Y-%m-%d %H:%M:%S UTC")
        self.sha256, self.num_bytes = hashlib.sha256(content).hexdigest(), len(content)
        self.format = next(iter(kinds.formats_of(content[: kinds.HEAD])), "")
        return content
