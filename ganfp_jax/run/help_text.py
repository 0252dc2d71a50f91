"""The texts of `--help`: the jobs in groups, and the keys of a job with their values and meanings.

What they say of a job is read from its config file, docstring and values, and from `configs/common/keys.md`.
"""

import functools
import itertools
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.run import config_files
from ganfp_jax.run.command import UNSAID, literal

GROUPS = {
    "Verdicts": (
        "attribute",
        "merge",
        "calibrate",
        "enrol",
        "compare",
        "group",
        "evaluate",
        "score",
        "ablation",
        "robustness",
        "inspect_fingerprints",
        "baselines",
    ),
    "Networks that name sources": ("attribution", "fingerprint"),
    "Generators": ("progan", "sngan", "cramergan", "mmdgan", "generate", "interpolate", "quality"),
    "Images and weights": ("audit", "prepare", "import_weights", "export_weights"),
    "Studies": ("quickstart", "course_project"),
}
OTHERS = "Others"
"""The group of configs that stand in none of `GROUPS`, such as a user's own."""
SHARED = "common/keys.md"
"""The meanings of keys that several configs share, in the folder of the configs."""
WIDEST = 120  # columns
WIDTH = 24  # columns of a name in a list of them
_BETWEEN_SENTENCES = re.compile(r"(?:(?<=[.])|(?<=[.?][)\"])) (?=[A-Z`(\"])")
_BETWEEN_ITEMS = re.compile(r"(?<=[.]) (?=`[\w.]+`: )")
_HEAD = re.compile(r"^(?:`[\w.]+`(?:, )?)+: ")  # of an item, which names the keys


def jobs_text() -> str:
    """Returns the jobs in groups, each with the first line of its config's docstring."""
    files = config_files.known()
    grouped = {name for names in GROUPS.values() for name in names}
    groups = GROUPS | {OTHERS: tuple(name for name in files if name not in grouped)}
    lines = {title: {name: summary(files[name]) for name in names if name in files} for title, names in groups.items()}
    return "\n\n".join(f"{title}\n{items(jobs)}" for title, jobs in lines.items() if jobs)


def summary(file: Path) -> str:
    """Returns the first line of a config's docstring."""
    return config_files.docstring(file).partition("\n")[0]


def keys_text(config: Mapping[str, Any], file: Path) -> str:
    """Returns every key of a config with its value and, below, its meaning.

    Args:
        config: the config, sections as mappings.
        file: its file, in whose docstring meanings are looked for first; next is `configs/common/keys.md`.
    """
    lines = []
    for key, value in settings(config):
        lines.append(f"  --{key}={value if isinstance(value, str) else literal(value)}")
        if words := meaning(key, file):
            lines.append(_item(" " * 8, words))
    return "\n".join(lines)


def settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every key that a user may set, dotted, and its value; an empty section is a value."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from settings(value, f"{prefix}{name}.")
        elif name not in UNSAID:
            yield prefix + name, value


def meaning(key: str, file: Path) -> str:
    """Returns what the docstring of a config, or else `configs/common/keys.md`, says of a key; "" for nothing.

    A key is also known by its last parts, as `photos.fold` and `fold` for `data.photos.fold`, else by its section.
    Sentences that begin with it come before those that name it.
    """
    said = _said_by(file), _said_by(config_files.packaged() / SHARED)
    parts = key.split(".")
    names = [".".join(parts[place:]) for place in range(len(parts))]
    for look in (re.Pattern.match, re.Pattern.search):
        for sentences, name in itertools.product(said, names):
            named = re.compile(rf"`(?:(?:--)?config\.)?{re.escape(name)}(?![\w.])")
            for sentence in sentences:
                if look(named, sentence):
                    return _HEAD.sub("", sentence)
    return meaning(".".join(parts[:-1]), file) if parts[1:] else ""


@functools.cache  # every key of a config asks for it
def _said_by(file: Path) -> tuple[str, ...]:
    doc = config_files.docstring(file) if file.suffix == ".py" else file.read_text(encoding="utf-8")
    return tuple(_sentences(doc))


def _sentences(doc: str) -> Iterator[str]:
    """Yields the sentences of a docstring and the items of its lists, each on one line; commands are left out."""
    prose = "\n".join(line for line in doc.splitlines() if not line.startswith("    "))
    for block in re.split(r"\n\n|\n(?=- )", prose):
        between = _BETWEEN_ITEMS if block.startswith("- ") else _BETWEEN_SENTENCES
        yield from between.split(" ".join(block.removeprefix("- ").split()))


def items(words_of: Mapping[str, str]) -> str:
    """Returns names, each with words beside it, wrapped to the terminal."""
    return "\n".join(_item(f"  {name}".ljust(WIDTH), words) for name, words in words_of.items())


def _item(head: str, words: str) -> str:
    """Returns words after a head, wrapped to the terminal, and indented by the head's width from the second line on."""
    columns = max(min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST), 60)
    return textwrap.fill(words, columns, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)
