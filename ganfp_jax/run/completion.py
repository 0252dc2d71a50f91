"""Completion of `ganfp` by the user's shell: jobs, their keys, flags and files."""

from argparse import ArgumentParser
from typing import Any

from ganfp_jax.run import config_files
from ganfp_jax.run.command_line import FLAG_NAMES, FLAGS, load
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.help_text import meaning, settings, summary


def script(shell: str) -> str:
    """Returns the script by which a shell completes `ganfp`.

    Raises:
        UserError: there is none for that shell.
    """
    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        raise UserError(f"--completion={shell}: choose from {', '.join(shtab.SUPPORTED_SHELLS)}")
    text: str = shtab.complete(_parser(shtab.FILE), shell)
    return text


def _parser(files: Any) -> ArgumentParser:
    """Returns a parser of `ganfp JOB [FILES] [--key=value ...]`, of which only the names are used."""
    parser = ArgumentParser("ganfp")
    jobs = parser.add_subparsers()
    for name, file in config_files.of_package().items():  # a shell asks in any folder, whose files must not be run
        job = jobs.add_parser(name, help=_plain(summary(file)))
        job.add_argument("files", nargs="*").complete = files  # type: ignore[attr-defined]
        for key, _ in settings(load(file)):
            job.add_argument(f"--{key}", help=_plain(meaning(key, file))).complete = files  # type: ignore[attr-defined]
        for flag in FLAG_NAMES:
            kind: Any = {"action": "store_true"} if FLAGS[flag].boolean else {}
            job.add_argument(f"--{flag}", help=FLAGS[flag].help, **kind)
    return parser


def _plain(words: str) -> str:
    """Returns words without the characters that a shell or `argparse` may read as its own."""
    return words.translate(str.maketrans("%`\"'$[]:", " " * 8)).strip()
