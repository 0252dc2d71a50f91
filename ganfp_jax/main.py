"""The command: `python -m ganfp_jax.main --config=configs/NAME.py[:variant] [--workdir=DIR] [--config.key=value ...]`.

The images for configs/attribute.py may also stand at the end: `-- FILE FOLDER 'GLOB' ...`. Exit status: 0 done, 1 an
error that was not foreseen, 2 bad use, 3 done but for files that could not be used (configs/attribute.py), 130 stopped.

Flags, run folder, job. What a job does stands in `ganfp_jax.jobs.<job>`; the config's `job` names it.
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
from ganfp_jax.run import cache, console
from ganfp_jax.run.command_line import Command, help_text, parse, wants_help
from ganfp_jax.run.errors import UserError, causes, explain
from ganfp_jax.run.memory import keep_memory
from ganfp_jax.run.run_folder import open_run


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
    cache.keep_compiled()
    keep_memory()
    if command.others is None:
        with claim():
            return job_module(command.config["job"]).run(command.config, command.workdir) or 0
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
        processes.anywhere(False)  # the others wait until the first one has written everything


def _others() -> ModuleType | None:
    """`ganfp_jax.run.processes`, where this is one of several processes and has set out to meet the others."""
    processes = sys.modules.get("ganfp_jax.run.processes")
    return processes if processes and processes.started() else None


def _run_and_tell(argv: Sequence[str]) -> int:
    """Runs the command; says what went wrong; returns the exit status."""
    workdir = None
    try:
        if wants_help(argv):
            print(help_text(argv, __doc__ or ""))
            return 0
        command = parse(argv, {name: job.at_the_end for name, job in JOBS.items()})
        workdir = command.workdir
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


if __name__ == "__main__":
    sys.exit(main())
