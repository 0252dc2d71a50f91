"""The command: `ganfp JOB[:variant] [FILES] [--key=value ...]`, where the package is installed.

The same in full: `python -m ganfp_jax.main --config=configs/JOB.py[:variant] [--config.key=value ...] [-- FILES]`. A
config is looked for in the current folder first, then among those of the package. Exit status: 0 done, 1 an error that
was not foreseen, 2 bad use, 3 done but for files that could not be used (attribute), 130 stopped.
"""

import contextlib
import functools
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ganfp_jax.jobs import JOBS
from ganfp_jax.run import cache, console, help_text
from ganfp_jax.run.command_line import (
    FLAG_NAMES,
    Command,
    flags_text,
    given_config,
    load,
    parse,
    wanted_completion,
    wants_help,
)
from ganfp_jax.run.config_files import docstring
from ganfp_jax.run.errors import UserError, causes, explain
from ganfp_jax.run.memory import keep_memory
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import open_run
from ganfp_jax.run.short_form import spelled_out


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 0 done, 1 unforeseen, 2 bad use, 130 stopped by the user.

    A job may say another: `configs/attribute.py` 3 where files could not be used.
    """
    argv = list(sys.argv if argv is None else argv)
    console.prepare()
    try:
        status = _run_and_tell(argv)
        console.flush()
    except BrokenPipeError:  # `| head` has read enough
        console.silence()
        status = console.UNREAD
    except OSError as error:
        console.tell(f"error: what was printed cannot be written ({error.strerror}); give another place")
        status = 1
    if status and _others():  # stopped as all of them are; they do not wait for each other's farewell
        os._exit(status)
    return status


def run(command: Command) -> int:
    """Runs the job that a command asks for; returns the exit status, errors are raised."""
    job = JOBS[command.config["job"]]
    claim = functools.partial(
        open_run, command.workdir, command.config, may_grow=job.may_grow(command.config), resumes=job.resumes
    )
    if command.json and not job.results:
        several = ", ".join(name for name in JOBS if JOBS[name].results)
        raise UserError(f"the job {command.config['job']} has no results to print; --json is for {several}")
    cache.keep_compiled()
    keep_memory()
    if command.others is None:
        with claim():
            status: int = job_module(command.config["job"]).run(command.config, command.workdir) or 0
            _emit_results(command)
            return status
    if not job.several:
        several = " and ".join(sorted((name for name in JOBS if JOBS[name].several), reverse=True))
        raise UserError(f"the job {command.config['job']} runs in one process; --coordinator is for {several}")
    _run_with_others(command, claim)
    return 0


def job_module(job: str) -> Any:
    """The module that does a job."""
    return importlib.import_module(f"ganfp_jax.jobs.{job}")


def _run_with_others(command: Command, claim: functools.partial) -> None:
    """Runs a job as one of several processes; the first of them claims the run folder."""
    from ganfp_jax.run import processes

    processes.start(**command.others or {})
    processes.agree(command.config, command.workdir)
    with contextlib.ExitStack() as stack:
        processes.first_enters(stack, claim)
        processes.end_with_others()
        job_module(command.config["job"]).run(command.config, command.workdir)
        if processes.first():
            _emit_results(command)
        processes.anywhere(False)  # the others wait until the first one has written everything


def _emit_results(command: Command) -> None:
    """Prints the file of a job's results as a line of JSON, if that is wanted; a job prints JSON lines itself."""
    name = JOBS[command.config["job"]].results
    if command.json and name.endswith(".json"):
        console.emit(read_json(command.workdir / name))


def _others() -> ModuleType | None:
    """`ganfp_jax.run.processes`, where this is one of several processes and has set out to meet the others."""
    processes = sys.modules.get("ganfp_jax.run.processes")
    return processes if processes and processes.started() else None


def _run_and_tell(argv: Sequence[str]) -> int:
    """Runs the command; says what went wrong; returns the exit status."""
    workdir = None
    try:
        argv = spelled_out(argv, FLAG_NAMES)
        if (text := _answer(argv)) is not None:
            print(text)
            return 0
        command = parse(argv, {name: job.at_the_end for name, job in JOBS.items()})
        workdir = command.workdir
        with console.manner(json_lines=command.json, quiet=command.quiet):
            return run(command)
    except KeyboardInterrupt as stop:
        if decoding := sys.modules.get("ganfp_jax.data.decoding.pool"):
            decoding.DECODERS.end()  # its processes, for which threads would be waited
        console.tell(f"stopped{f': {stop}' if str(stop) else ''}")
        return 130
    except Exception as error:
        if any(isinstance(cause, BrokenPipeError) for cause in causes(error)) and not _others():
            raise BrokenPipeError from error
        if "--debug" in argv:
            traceback.print_exc()
        status = 2 if any(isinstance(cause, UserError) for cause in causes(error)) else 1
        if others := _others():
            others.end(status, explain(error, workdir))
        console.tell(f"error: {explain(error, workdir)}")
        return status


def _answer(argv: Sequence[str]) -> str | None:
    """Returns what a command line asks to be told, help or a shell's completion; None where it asks for a job."""
    if shell := wanted_completion(argv):
        from ganfp_jax.run import completion

        return completion.script(shell)
    if not wants_help(argv):
        return None
    given = given_config(argv)
    if given is None:
        jobs = help_text.jobs_text()
        return f"{__doc__}\n{jobs}\n\nFlags\n{flags_text()}\n\nWhat a job does and takes: ganfp JOB --help"
    file, variant = given
    keys = help_text.keys_text(load(file, variant), file)
    return f"{docstring(file)}\n\nKeys, with their values in {file.stem}{variant}\n{keys}\n\nFlags\n{flags_text()}"


if __name__ == "__main__":
    sys.exit(main())
