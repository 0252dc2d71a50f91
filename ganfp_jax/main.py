"""The command: `python -m ganfp_jax.main --config=configs/NAME.py[:variant] [--workdir=DIR] [--config.key=value ...]`.

The images for configs/attribute.py may also stand at the end: `-- FILE FOLDER 'GLOB' ...`. Exit status: 0 done, 1 an
error that was not foreseen, 2 bad use, 3 done but for files that could not be used (configs/attribute.py), 130 stopped.

Flags, run folder, dispatch. What a job does stands in its own module; the config's `job` names it.
"""

import ast
import contextlib
import difflib
import errno
import importlib
import itertools
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from ganfp_jax.jobs import JOBS
from ganfp_jax.run import cache, config_keys, console
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.memory import keep_memory
from ganfp_jax.run.run_folder import open_run

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file(
    "config", None, "Config file, with :variant if wanted: configs/progan.py:tiny", lock_config=True
)
flags.DEFINE_string(
    "workdir", None, "Run folder; the same one resumes. Default: runs/NAME[-variant] of the config file."
)
flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT of the first of several processes that train or evaluate together; auto under SLURM.",
)
flags.DEFINE_integer("num_processes", None, "How many processes there are; not needed under SLURM.")
flags.DEFINE_integer("process_id", None, "Which one this is, from 0; not needed under SLURM.")
flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
_FLAGS = ("config", "workdir", "coordinator", "num_processes", "process_id", "debug")


def default_workdir(config_path: str) -> Path:
    """`configs/progan.py:tiny` -> `runs/progan-tiny`."""
    path, _, variant = config_path.partition(":")
    return Path("runs") / (Path(path).stem + (f"-{variant}" if variant else ""))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    told = set()  # one that was raised again from what it had caused would go round for ever
    while cause is not None and id(cause) not in told:
        told.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def explain(error: BaseException, workdir: Path | None) -> str:
    """One line for any error: what, where, what to do."""
    for cause in _causes(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in _FULL:
            place = _shown(cause.filename) if cause.filename else workdir
            return f"no space left on the device of {place}; free some and run the same command again, it resumes"
        # TensorStore, under orbax, reports a full disk in the text of a ValueError.
        if "No space left on device" in str(cause):
            return f"no space left on the device of {workdir}; free some and run the same command again, it resumes"
        if isinstance(cause, OSError) and cause.filename and cause.errno in _REMEDIES:
            name, remedy = _shown(cause.filename), _REMEDIES[cause.errno]
            return f"{name} cannot be written or read ({cause.strerror}); {remedy}"
    return f"{type(error).__name__}: {_message(error)} (not foreseen; the same command with --debug shows where)"


_FULL = (errno.ENOSPC, errno.EDQUOT)
_OTHER_FOLDER, _TRY_AGAIN = "choose another folder", "look at its device, and run the same command again"
_REMEDIES = {
    errno.EACCES: _OTHER_FOLDER,
    errno.EPERM: _OTHER_FOLDER,
    errno.EROFS: _OTHER_FOLDER,
    errno.EISDIR: "it is a folder where a file is wanted",
    errno.ENOTDIR: "a file stands in the place of one of its folders",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in circles",
    errno.EIO: _TRY_AGAIN,
    errno.ENODEV: _TRY_AGAIN,
    errno.ENXIO: _TRY_AGAIN,
    errno.EFBIG: "its file system takes no such large file; choose another folder",
    errno.EMFILE: "raise the number of files that may be open (ulimit -n)",
    errno.ENFILE: "end other programs, the system has too many files open",
}
_MAX_NAME = 300  # characters of a name that an error repeats


def _shown(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}..."


def _message(error: BaseException) -> str:
    """An error's own words on one line; ml_collections wraps them in quotes and escapes."""
    text = str(error)
    text = text[1:-1] if text[:1] in ("'", '"') and text[:1] == text[-1:] else text
    text = text.replace("\\n", " ").replace("\\'", "'").replace("\n", " ")
    return text.strip().rstrip(".") or type(error).__name__


def _config_paths(argv: Sequence[str]) -> list[str]:
    """What is given as --config; the last one counts."""
    paths = [argument.partition("=")[2] for argument in argv if argument.startswith(("--config=", "-config="))]
    return paths + [path for flag, path in itertools.pairwise(argv) if flag in ("--config", "-config")]


def _help(argv: Sequence[str]) -> str:
    """What the command takes, and what the config says of its job, if one is given; without loading anything."""
    flags_help = FLAGS.module_help(sys.modules[__name__])
    for path in (Path(given.partition(":")[0]) for given in reversed(_config_paths(argv))):
        if path.is_file():
            return f"{ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))}\n\n{flags_help}"
    return f"{__doc__}\n{flags_help}\n\nWhat a job does and takes: --config=configs/NAME.py --help"


def _parse(argv: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Reads the flags and loads the config; returns the run folder, and what stands after "--"."""
    end = argv.index("--") if "--" in argv else len(argv)
    argv, at_the_end = argv[:end], tuple(argv[end + 1 :])
    paths = _config_paths(argv)
    if not paths:
        for argument in argv[1:]:
            if argument.partition(":")[0].endswith(".py"):
                raise UserError(f"no config: write --config={argument}")
        raise UserError(
            "no config: give --config=configs/NAME.py[:variant], for example --config=configs/quickstart.py:tiny"
        )
    if not Path(paths[-1].partition(":")[0]).is_file():
        raise _no_config_file(paths[-1].partition(":")[0])
    try:
        rest = FLAGS(argv)[1:]
        _ = FLAGS.config
    except Exception as error:  # the config file's own errors reach us through the flag's parser, in many types
        for cause in _causes(error):
            if isinstance(cause, UserError):
                raise cause from error
        raise UserError(f"bad command line: {_fault(error, argv, paths[-1])}") from error
    if FLAGS.config.job not in JOBS:
        raise UserError(f"config.job is {FLAGS.config.job!r}, which each config file has its own of; leave it as it is")
    key = JOBS[FLAGS.config.job].at_the_end
    if rest:
        remedy = f"write --config.key=value, or {key} after --" if key else "write --config.key=value"
        raise UserError(f"bad command line: {rest[0]!r} is no flag; {remedy}")
    if at_the_end and not key:
        raise UserError(f"bad command line: {FLAGS.config.job} takes nothing after --; write --config.key=value")
    return Path(FLAGS.workdir) if FLAGS.workdir else default_workdir(paths[-1]), at_the_end


def _no_config_file(path: str) -> UserError:
    known = {file.stem: str(file) for file in sorted(Path("configs").glob("*.py"))}
    if near := difflib.get_close_matches(Path(path).stem, known, 1, config_keys.ALIKE):
        return UserError(f"no config file {path}; did you mean {known[near[0]]}?")
    return UserError(f"no config file {path}; choose from {', '.join(known.values()) or 'the folder configs/'}")


def _fault(error: Exception, argv: Sequence[str], path: str) -> str:
    """What is wrong with the flags and what may be meant; the error's own words where that cannot be told."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=[])
    try:
        values(["", f"--config={path}"])
        config: dict[str, Any] = values.config.to_dict()
    except Exception:  # the config file has a fault of its own, which `error` tells
        return _message(error)
    if faults := "; ".join(config_keys.faults(config, argv)):
        return faults
    if isinstance(error, flags.UnrecognizedFlagError):
        return config_keys.no_flag(config, error.flagname, _FLAGS)
    return _message(error)


def run(workdir: Path, at_the_end: Sequence[str] = ()) -> int:
    """Runs the job that the parsed command line asks for in `workdir`; returns the exit status, errors are raised."""
    config = FLAGS.config.to_dict()
    key = JOBS[config["job"]].at_the_end
    if key and at_the_end:
        config[key] = tuple(at_the_end)
    cache.keep_compiled()
    keep_memory()
    if FLAGS.coordinator:
        run_with_others(config, workdir)
        return 0
    with open_claimed(workdir, config):
        return job_module(config["job"]).run(config, workdir) or 0


def open_claimed(workdir: Path, config: Mapping[str, Any]) -> contextlib.AbstractContextManager[Path]:
    """The run folder, claimed for the config's job."""
    job = JOBS[config["job"]]
    return open_run(workdir, config, may_grow=job.may_grow(config), resumes=job.resumes)


def job_module(job: str) -> Any:
    """The module that does a job."""
    return importlib.import_module(f"ganfp_jax.jobs.{job}")


def run_with_others(config: dict[str, Any], workdir: Path) -> None:
    """Runs a job as one of several processes; the first of them claims the run folder."""
    if not JOBS[config["job"]].several:
        several = " and ".join(sorted((name for name, job in JOBS.items() if job.several), reverse=True))
        raise UserError(f"the job {config['job']} runs in one process; --coordinator is for {several}")
    from ganfp_jax.run import processes

    processes.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    processes.agree(config, workdir)
    with contextlib.ExitStack() as stack:
        refusal: Exception | None = None
        if processes.first():
            try:
                stack.enter_context(open_claimed(workdir, config))
            except Exception as error:  # whatever it is, the others must hear of it
                refusal = error
        if processes.anywhere(refusal is not None):
            if refusal:
                raise refusal
            processes.end_as_another_does()  # which says why
        processes.end_with_others()
        job_module(config["job"]).run(config, workdir)
        processes.anywhere(False)  # the others wait until the first one has written everything


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
    if status and _among_others():  # stopped as all of them are; they do not wait for each other's farewell
        os._exit(status)
    return status


def _among_others() -> bool:
    """Whether this is one of several processes, and has met the others."""
    return FLAGS.is_parsed() and bool(FLAGS.coordinator) and "ganfp_jax.run.processes" in sys.modules


def _run_and_tell(argv: Sequence[str]) -> int:
    """Runs the command; says what went wrong; returns the exit status."""
    workdir = None
    try:
        if any(argument in ("--help", "-h", "-help") for argument in itertools.takewhile("--".__ne__, argv)):
            print(_help(argv))
            return 0
        workdir, at_the_end = _parse(argv)
        return run(workdir, at_the_end)
    except KeyboardInterrupt as stop:
        if decoding := sys.modules.get("ganfp_jax.data.decoding.pool"):
            decoding.DECODERS.end()  # its processes, for which threads would be waited
        console.tell(f"stopped{f': {stop}' if str(stop) else ''}")
        return 130
    except Exception as error:
        if any(isinstance(cause, BrokenPipeError) for cause in _causes(error)) and not _among_others():
            raise BrokenPipeError from error
        if "--debug" in argv:
            traceback.print_exc()
        status = 2 if any(isinstance(cause, UserError) for cause in _causes(error)) else 1
        if _among_others():
            sys.modules["ganfp_jax.run.processes"].end(status, explain(error, workdir))
        console.tell(f"error: {explain(error, workdir)}")
        return status


if __name__ == "__main__":
    sys.exit(main())
