"""The reason that an image file is refused."""

from PIL import Image, UnidentifiedImageError


class Refused(Exception):  # noqa: N818 - a verdict about a file, not a fault of the program
    """Refuses an image file. `str(refused)` is the reason: one line, without the path."""


def reason_of(error: Exception) -> str:
    """Returns the reason of an error of reading a file: one line, without the path."""
    match error:
        case Refused():
            return str(error)
        case FileNotFoundError():
            return "no such file"
        case PermissionError():
            return "cannot be read: permission denied"
        case UnidentifiedImageError():
            return "not an image"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return "too large: more pixels than Pillow opens"
        case MemoryError():
            return "too large for the memory"
        case OSError(strerror=str(problem)):
            return f"cannot be read: {problem.lower()}"
    message = " ".join(str(error).split())[:200]
    if "truncated" in message.lower():
        return "truncated file"
    return f"broken image: {message or type(error).__name__}"
