"""The flags, the config file that they name, and a one-line error for every fault in them."""

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import config_flags

from ganfp_jax.run import config_files, config_keys, help_text
from ganfp_jax.run.errors import UserError, causes, message

FLAGS = flags.FLAGS
_ARGV: list[str] = []  # where ml_collections looks for the keys that a command line sets, in the place of `sys.argv`
config_flags.DEFINE_config_file(
    "config",
    None,
    "Config file of the job, with :variant if wanted: configs/progan.py:tiny.",
    lock_config=True,
    sys_argv=_ARGV,
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
flags.DEFINE_bool("json", False, "Print the results as JSON lines; all else that is said goes to standard error.")
flags.DEFINE_bool("quiet", False, "Say nothing but errors.")
flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
flags.DEFINE_string("completion", None, "Print the script that completes ganfp in a shell (bash, zsh, fish, ...).")
FLAG_NAMES = ("config", "workdir", "coordinator", "num_processes", "process_id", "json", "quiet", "debug", "completion")
FLAGS.set_gnu_getopt(True)  # images may stand between the flags


class Command(NamedTuple):
    """A parsed command line."""

    config: dict[str, Any]
    workdir: Path
    others: Mapping[str, Any] | None
    """The arguments of `processes.start` where several processes share the job."""
    json: bool
    """Whether the results are printed as JSON lines."""
    quiet: bool
    """Whether only errors are said."""


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
    return any(argument in ("--help", "-h", "-help") for argument in _flags_of(argv))


def wanted_completion(argv: Sequence[str]) -> str:
    """Returns the shell of `--completion=SHELL` in a command line, or ""."""
    flag = "--completion="
    return next((argument.removeprefix(flag) for argument in _flags_of(argv) if argument.startswith(flag)), "")


def _flags_of(argv: Sequence[str]) -> Iterator[str]:
    """Yields the arguments before "--"."""
    return itertools.takewhile("--".__ne__, argv)


def given_config(argv: Sequence[str]) -> tuple[Path, str] | None:
    """Returns the file of the config that a command line names, and ":variant" or ""; None where it names none.

    Raises:
        UserError: there is no such file.
    """
    paths = _config_paths(argv)
    if not paths:
        return None
    path, colon, variant = paths[-1].partition(":")
    file = config_files.locate(path)
    if file is None:
        raise _no_config_file(path)
    return file, colon + variant


def load(file: Path, variant: str = "") -> dict[str, Any]:
    """Returns the config of a file as it stands there.

    Args:
        file: the config file, which is run.
        variant: ":variant", or "" for the default.
    """
    config_files.know_neighbours(file)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=[])
    values(["", f"--config={file}{variant}"])
    config: dict[str, Any] = values.config.to_dict()
    return config


def flags_text() -> str:
    """Returns the flags that are no keys of a config, with their help."""
    return help_text.items({f"--{name}": FLAGS[name].help for name in FLAG_NAMES})


def parse(argv: Sequence[str], at_the_end: Mapping[str, str]) -> Command:
    """Reads the flags and loads the config.

    Args:
        argv: the command line, in its long form.
        at_the_end: name of every job -> the key of its config whose values may stand after "--", or "".

    Raises:
        UserError: the command line has a fault.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    argv, values = argv[:end], argv[end + 1 :]
    given = given_config(argv)
    if given is None:
        raise _no_config(argv)
    file, variant = given
    config_files.know_neighbours(file)
    try:
        _ARGV[:] = _with_config(argv, f"{file}{variant}")
        values = (*FLAGS(_ARGV)[1:], *values)
        config = FLAGS.config.to_dict()
    except Exception as error:  # the flag's parser passes on the config file's errors, in many types
        for cause in causes(error):
            if isinstance(cause, UserError):
                raise cause from error
        raise UserError(f"bad command line: {_fault(error, argv, file, variant)}") from error
    job = config["job"]
    if job not in at_the_end:
        raise UserError(f"config.job is {job!r}, which each config file has its own of; leave it as it is")
    key = at_the_end[job]
    if values and not key:
        raise UserError(f"bad command line: {job} takes no {values[0]!r}; write --config.key=value")
    workdir = Path(FLAGS.workdir) if FLAGS.workdir else default_workdir(_config_paths(argv)[-1])
    others = {name: FLAGS[name].value for name in ("coordinator", "num_processes", "process_id")}
    return Command(
        config | ({key: values} if values else {}),
        workdir,
        others if FLAGS.coordinator else None,
        json=FLAGS.json,
        quiet=FLAGS.quiet,
    )


def _with_config(argv: Sequence[str], path: str) -> list[str]:
    """Returns a command line with one --config, first of all, in the place of those that it has."""
    names = ("--config", "-config")
    others = [
        argument
        for before, argument in itertools.pairwise(argv)
        if before not in names and argument.partition("=")[0] not in names
    ]
    return [argv[0], f"--config={path}", *others]


def _no_config(argv: Sequence[str]) -> UserError:
    for argument in argv[1:]:
        if argument.partition(":")[0].endswith(".py"):
            return UserError(f"no config: write --config={argument}")
    return UserError(
        "no job: give --config=configs/NAME.py[:variant], or one by its name, as in `ganfp attribute photo.png`; "
        "--help lists them"
    )


def _no_config_file(path: str) -> UserError:
    known = {name: f"{config_files.FOLDER}/{name}.py" for name in config_files.known()}
    if near := difflib.get_close_matches(Path(path).stem, known, 1, config_keys.ALIKE):
        return UserError(f"no config file {path}; did you mean {known[near[0]]}?")
    return UserError(f"no config file {path}; choose from {', '.join(known.values())}")


def _fault(error: Exception, argv: Sequence[str], file: Path, variant: str) -> str:
    """Says what is wrong with the flags and what may be meant, else repeats the error's message."""
    try:
        config = load(file, variant)
    except Exception:  # the fault is in the config file, and `error` reports it
        return message(error)
    if faults := "; ".join(config_keys.faults(config, argv)):
        return faults
    if isinstance(error, flags.UnrecognizedFlagError):
        return config_keys.no_flag(config, error.flagname, FLAG_NAMES)
    return message(error)
