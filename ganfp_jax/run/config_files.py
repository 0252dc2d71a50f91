"""Config files: those in the current folder, and those that came with the package."""

import ast
import sys
from pathlib import Path
from types import ModuleType

FOLDER = "configs"


def packaged() -> Path:
    """Returns the folder of the package's configs: inside it where it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / FOLDER
    return inside if inside.is_dir() else package.parent / FOLDER


def locate(path: str) -> Path | None:
    """Returns the file of a config, or None where there is none.

    Args:
        path: a path without a variant. `configs/NAME.py` is the package's where the current folder has no such file.
    """
    given = Path(path)
    if given.is_file():
        return given
    ours = packaged() / given.name
    return ours if given.parent == Path(FOLDER) and ours.is_file() else None


def known() -> dict[str, Path]:
    """Returns the name of every config that `configs/NAME.py` finds -> its file."""
    files = of_package() | _files(Path(FOLDER))
    return {name: files[name] for name in sorted(files)}


def of_package() -> dict[str, Path]:
    """Returns the name of every config of the package -> its file."""
    return _files(packaged())


def _files(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")}


def docstring(file: Path) -> str:
    """Returns the docstring of a config, "" for a file that is none; it is not run."""
    try:
        return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    except (SyntaxError, ValueError):  # of a file that only lies in the folder, or one that fails when it is run
        return ""


def know_neighbours(file: Path) -> None:
    """Lets a config import those beside it and, after them, the package's (`from configs import common`).

    Only them: the folder that they lie in does not become a place for all modules, since data may lie there.
    """
    if FOLDER not in sys.modules:
        sys.modules[FOLDER] = neighbours = ModuleType(FOLDER)
        neighbours.__path__ = [str(file.resolve().parent), str(packaged())]
