"""Text from files in the cells of a CSV table, escaped so that a spreadsheet shows it and does not compute it.

Names of sources are checked on input (`data.names`). The name of a file, or a word inside a file, cannot be refused: a
file may be called `=HYPERLINK(...).png`.
"""

# In some languages, spreadsheets read the wide ones too.
_COMPUTED = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
_MARK = "'"


def cell(text: str) -> str:
    """Returns text as a cell of a CSV table: text that a spreadsheet would compute gets an apostrophe in front.

    Text that begins with an apostrophe gets another one, so that `text_of` is the inverse.
    """
    return f"{_MARK}{text}" if text.startswith((*_COMPUTED, _MARK)) else text


def text_of(cell: str) -> str:
    """Returns the text of a cell; the inverse of `cell`."""
    return cell.removeprefix(_MARK)
