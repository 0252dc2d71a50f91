"""`ganfp JOB [FILES] [--key=value ...]` is `--config=configs/JOB.py [--config.key=value ...] [-- FILES]`."""

import pytest

from ganfp_jax.run import config_files
from ganfp_jax.run.command_line import FLAG_NAMES, load
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.short_form import spelled_out


def long(*arguments):
    return spelled_out(["ganfp", *arguments], FLAG_NAMES)[1:]


@pytest.mark.parametrize(
    ("short", "spelled"),
    [
        ("attribute", "--config=configs/attribute.py"),
        ("attribute:tiny a.png dir", "--config=configs/attribute.py:tiny a.png dir"),
        ("--json attribute -", "--config=configs/attribute.py --json -"),
        ("audit --data.root=D --seed 1", "--config=configs/audit.py --config.data.root=D --config.seed 1"),
        ("sngan --workdir=W --config.seed=1", "--config=configs/sngan.py --workdir=W --config.seed=1"),
        ("attribute --help", "--config=configs/attribute.py --help"),
        ("attribute -- --tiles=3 attribute", "--config=configs/attribute.py -- --tiles=3 attribute"),
        ("attribute --wrkdir=x", "--config=configs/attribute.py --wrkdir=x"),  # a misspelt flag, not a key
    ],
)  # fmt: skip
def test_the_long_form(short, spelled):
    assert long(*short.split()) == spelled.split()


@pytest.mark.parametrize(
    "line", ["", "--help", "--config=configs/progan.py --config.seed=1", "--config x.py a.png", "x.py", "-- attribute"]
)
def test_what_stays_as_it_is(line):
    assert long(*line.split()) == line.split()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("atribute", "did you mean attribute"),
        ("x.png", "did you mean: ganfp attribute x.png"),
        ("dance", "choose from"),
    ],
)
def test_no_such_job(line, meant):
    with pytest.raises(UserError, match=f"there is no job {line}; {meant}"):
        long(line)


def test_no_key_is_taken_for_a_flag():
    for name, file in config_files.known().items():
        for key in load(file):
            assert long(name, f"--{key}=1")[1] == f"--config.{key}=1"
