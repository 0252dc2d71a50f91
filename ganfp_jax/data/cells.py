"""Text from files in the cells of a CSV table: a spreadsheet must show it, not compute it, and we must get it back.

Names of sources are checked where they enter (`data.names`). The name of a file, or a word inside one, cannot be
refused: a file may be called `=HYPERLINK(...).png`.
"""

_COMPUTED = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # the wide ones count in some languages
_MARK = "'"


def cell(text: str) -> str:
    """Text from a file as a cell of a CSV table: one that a spreadsheet would compute gets an apostrophe in front.

    So does text that begins with an apostrophe, so that `text_of` is the inverse of this.
    """
    return f"{_MARK}{text}" if text.startswith((*_COMPUTED, _MARK)) else text


def text_of(cell: str) -> str:
    """The text of which `cell` made this."""
    return cell.removeprefix(_MARK)
