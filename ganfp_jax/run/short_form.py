"""The short form of the command, `ganfp JOB[:variant] [FILES] [--key=value ...]`, and its long form."""

import difflib
from collections.abc import Collection, Iterator, Sequence

from ganfp_jax.run import config_files, config_keys
from ganfp_jax.run.errors import UserError

OF_FILES = "attribute"  # the job that a file without a job is for


def spelled_out(argv: Sequence[str], flags: Collection[str]) -> list[str]:
    """Returns the long form of a command line; one with --config, or without a job, stays as it is.

    The first argument without a dash is the job. Keys get "config." before them.

    Args:
        argv: the command line, with the program's name.
        flags: the names of the flags that are no keys of a config.

    Raises:
        UserError: there is no such job.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    given = argv[1:end]
    named = next((argument for argument in given if not argument.startswith("-")), "")
    job, colon, variant = named.partition(":")
    if not job or job.endswith(".py") or any(_name(argument) == "config" for argument in given):
        return list(argv)
    config = f"{config_files.FOLDER}/{job}.py"
    if config_files.locate(config) is None:
        raise _no_job(named)
    others = list(given)
    others.remove(named)
    return [argv[0], f"--config={config}{colon}{variant}", *_with_keys(others, flags), *argv[end:]]


def _with_keys(arguments: Sequence[str], flags: Collection[str]) -> Iterator[str]:
    for argument in arguments:
        name = _name(argument)
        # A misspelt flag stays, too, and is answered with the flag that may be meant.
        alike = difflib.get_close_matches(name.removeprefix("no"), flags, 1, config_keys.ALIKE)
        stays = not name or alike or name in ("h", "help") or name.startswith("config.")
        yield argument if stays else f"--config.{argument.lstrip('-')}"


def _name(argument: str) -> str:
    """Returns the name of a flag; "" for what is none."""
    return argument.lstrip("-").partition("=")[0] if argument.startswith("-") else ""


def _no_job(named: str) -> UserError:
    jobs = config_files.known()
    if near := difflib.get_close_matches(named.partition(":")[0], jobs, 1, config_keys.ALIKE):
        return UserError(f"there is no job {named}; did you mean {near[0]}?")
    if set(named) & set("./*"):
        return UserError(f"there is no job {named}; did you mean: ganfp {OF_FILES} {named}")
    return UserError(f"there is no job {named}; choose from {', '.join(jobs)}")
