"""Keys that a job needs, and suggestions for a key that a config does not have.

A suggestion is the same key in another section, a similar key, or the list of keys.
"""

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganfp_jax.run.errors import UserError

MOST = 3  # suggestions
# Keys that a job cannot do without -> what the key names, and an example.
NEEDED = {
    "checkpoint": ("a trained network", "RUN_FOLDER"),
    "data.root": ("a folder of sources", "DIR"),
    "generator": ("the run folder of a GAN", "runs/progan"),
    "images": ("a folder of images of the new source", "DIR"),
    "name": ("what the new source is called", "NAME"),
    "reference": ("images of one generator", "DIR"),
    "source": ("a published checkpoint", "FILE"),
    "parts": ("the folder with the run folders of the shards", "runs/archive"),
    "predictions": ("answers of a tool", "FILE.csv"),
}
ALIKE = 0.75  # the cutoff of `difflib`: num_steps and num_samples (0.7) are not similar


def require(config: Mapping[str, Any], *keys: str) -> None:
    """Raises UserError for the first of `keys`, all in `NEEDED`, that is empty; jobs call it before they open files."""
    for key in keys:
        if not functools.reduce(lambda section, name: section[name], key.split("."), config):
            what, example = NEEDED[key]
            raise UserError(f"config.{key} is empty; give {what}: --config.{key}={example}")


def faults(config: Mapping[str, Any], argv: Sequence[str]) -> Iterator[str]:
    """Yields the fault of each `--config.KEY=VALUE` of a command line whose key does not exist or is a section.

    Args:
        config: the whole config, sections as mappings.
    """
    for argument in argv:
        given, _, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and given.startswith("config."):
            key = given.removeprefix("config.").partition("[")[0]
            if fault := _fault(config, key, value):
                yield fault


def no_flag(config: Mapping[str, Any], name: str, known: Sequence[str]) -> str:
    """Says why `--name` is none of the flags `known`; it may be a key of the config without "config." before it."""
    guesses = [f"--{flag}" for flag in difflib.get_close_matches(name, known, 1, ALIKE)]
    guesses += [f"--config.{key}" for key in likely(config, name)]
    return f"--{name} is no flag; " + (_or(guesses) if guesses else "write --config.key=value")


def likely(config: Mapping[str, Any], name: str) -> list[str]:
    """Returns the dotted keys of a config that `name` may mean, the likeliest first; empty where none is similar.

    Args:
        config: the whole config.
        name: a key, dotted or not, that the config does not have.
    """
    leaf = name.rpartition(".")[2]
    leaves = list(_leaves(config))
    whole = [key for key in leaves if leaf in _words(key)]  # "root" of data.root, "steps" of num_steps
    names: dict[str, list[str]] = {}
    for key in leaves:
        names.setdefault(key.rpartition(".")[2], []).append(key)
    alike = [key for match in difflib.get_close_matches(leaf, names, MOST, ALIKE) for key in names[match]]
    return sorted(dict.fromkeys([*whole, *alike]), key=lambda key: key.count("."))[:MOST]


def _fault(config: Mapping[str, Any], key: str, value: str) -> str | None:
    section, path = config, "config"
    for name in key.split("."):
        if not isinstance(section, Mapping):
            return f"{path} is a value and has no keys, so there is no config.{key}"
        if name not in section:
            if not section:
                return _whole(path)
            guesses = [f"config.{guess}" for guess in likely(config, key)]
            return f"there is no config.{key}; " + (_or(guesses) if guesses else f"{path} has {', '.join(section)}")
        section, path = section[name], f"{path}.{name}"
    if isinstance(section, Mapping) and not value.startswith("{"):
        keys = ", ".join(f"{path}.{name}" for name in section)
        return f"{path} is a section; set one of its keys: {keys}" if section else _whole(path)
    return None


def _whole(path: str) -> str:
    """Describes a section whose keys the user names: a command line gives it as a whole."""
    return f"{path} takes keys of your own, all together: --{path}=\"{{'NAME': 'VALUE'}}\""


def _or(guesses: Sequence[str]) -> str:
    return f"did you mean {' or '.join(guesses)}?"


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _words(key: str) -> list[str]:
    leaf = key.rpartition(".")[2]
    return [leaf, *leaf.split("_")]
