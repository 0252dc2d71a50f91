"""The flags, the config file that they name, and a one-line error for every fault in them."""

import ast
import difflib
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from absl import flags
from ml_collections import config_flags

from ganfp_jax.run import config_keys
from ganfp_jax.run.errors import UserError, causes, message

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


class Command(NamedTuple):
    """A parsed command line."""

    config: dict[str, Any]
    workdir: Path
    others: Mapping[str, Any] | None
    """The arguments of `processes.start` where several processes share the job."""


def default_workdir(config_path: str) -> Path:
    """`configs/progan.py:tiny` -> `runs/progan-tiny`."""
    path, _, variant = config_path.partition(":")
    return Path("runs") / (Path(path).stem + (f"-{variant}" if variant else ""))


def _config_paths(argv: Sequence[str]) -> list[str]:
    """Returns the values of --config; the last one counts."""
    paths = [argument.partition("=")[2] for argument in argv if argument.startswith(("--config=", "-config="))]
    return paths + [path for flag, path in itertools.pairwise(argv) if flag in ("--config", "-config")]


def wants_help(argv: Sequence[str]) -> bool:
    """Whether a command line asks for help."""
    return any(argument in ("--help", "-h", "-help") for argument in itertools.takewhile("--".__ne__, argv))


def help_text(argv: Sequence[str], general: str) -> str:
    """Returns the docstring of the given config and the flags; no config is loaded.

    Args:
        general: the text that replaces the docstring where no config is given.
    """
    flags_help = FLAGS.module_help(sys.modules[__name__])
    for path in (Path(given.partition(":")[0]) for given in reversed(_config_paths(argv))):
        if path.is_file():
            return f"{ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))}\n\n{flags_help}"
    return f"{general}\n{flags_help}\n\nWhat a job does and takes: --config=configs/NAME.py --help"


def parse(argv: Sequence[str], at_the_end: Mapping[str, str]) -> Command:
    """Reads the flags and loads the config.

    Args:
        argv: the command line.
        at_the_end: name of every job -> the key of its config whose values may stand after "--", or "".

    Raises:
        UserError: the command line has a fault.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    argv, values = argv[:end], tuple(argv[end + 1 :])
    paths = _config_paths(argv)
    if not paths:
        raise _no_config(argv)
    if not Path(paths[-1].partition(":")[0]).is_file():
        raise _no_config_file(paths[-1].partition(":")[0])
    _know_neighbours(Path(paths[-1].partition(":")[0]))
    try:
        rest = FLAGS(argv)[1:]
        config = FLAGS.config.to_dict()
    except Exception as error:  # the flag's parser passes on the config file's errors, in many types
        for cause in causes(error):
            if isinstance(cause, UserError):
                raise cause from error
        raise UserError(f"bad command line: {_fault(error, argv, paths[-1])}") from error
    job = config["job"]
    if job not in at_the_end:
        raise UserError(f"config.job is {job!r}, which each config file has its own of; leave it as it is")
    key = at_the_end[job]
    if rest:
        remedy = f"write --config.key=value, or {key} after --" if key else "write --config.key=value"
        raise UserError(f"bad command line: {rest[0]!r} is no flag; {remedy}")
    if values and not key:
        raise UserError(f"bad command line: {job} takes nothing after --; write --config.key=value")
    workdir = Path(FLAGS.workdir) if FLAGS.workdir else default_workdir(paths[-1])
    others = {name: FLAGS[name].value for name in ("coordinator", "num_processes", "process_id")}
    return Command(config | ({key: values} if values else {}), workdir, others if FLAGS.coordinator else None)


def _know_neighbours(config: Path) -> None:
    """Lets a config import those beside it (`from configs import common`), where the package alone is installed.

    Only them: the folder that they lie in does not become a place for all modules, since data may lie there.
    """
    if "configs" not in sys.modules and importlib.util.find_spec("configs") is None:
        sys.modules["configs"] = neighbours = ModuleType("configs")
        neighbours.__path__ = [str(config.resolve().parent)]


def _no_config(argv: Sequence[str]) -> UserError:
    for argument in argv[1:]:
        if argument.partition(":")[0].endswith(".py"):
            return UserError(f"no config: write --config={argument}")
    return UserError(
        "no config: give --config=configs/NAME.py[:variant], for example --config=configs/quickstart.py:tiny"
    )


def _no_config_file(path: str) -> UserError:
    known = {file.stem: str(file) for file in sorted(Path("configs").glob("*.py"))}
    if near := difflib.get_close_matches(Path(path).stem, known, 1, config_keys.ALIKE):
        return UserError(f"no config file {path}; did you mean {known[near[0]]}?")
    return UserError(f"no config file {path}; choose from {', '.join(known.values()) or 'the folder configs/'}")


def _fault(error: Exception, argv: Sequence[str], path: str) -> str:
    """Says what is wrong with the flags and what may be meant, else repeats the error's message."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=[])
    try:
        values(["", f"--config={path}"])
        config: dict[str, Any] = values.config.to_dict()
    except Exception:  # the fault is in the config file, and `error` reports it
        return message(error)
    if faults := "; ".join(config_keys.faults(config, argv)):
        return faults
    if isinstance(error, flags.UnrecognizedFlagError):
        return config_keys.no_flag(config, error.flagname, _FLAGS)
    return message(error)
