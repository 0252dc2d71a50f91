"""What is said of keys that a config does not have."""

import pytest

from ganfp_jax.run.config_keys import NEEDED, faults, likely, no_flag, require
from ganfp_jax.run.errors import UserError

CONFIG = {
    "num_steps": 8,
    "seed": 0,
    "data": {"root": "", "resize": "crop"},
    "generator": {"width": 4},
    "critic": {"width": 4},
    "networks": {},
}


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--config.steps=5", "there is no config.steps; did you mean config.num_steps?"),
        ("-config.sede=5", "there is no config.sede; did you mean config.seed?"),
        ("--config.root=DIR", "there is no config.root; did you mean config.data.root?"),
        (
            "--config.widths=3",
            "there is no config.widths; did you mean config.generator.width or config.critic.width?",
        ),
        ("--config.data.colour=3", "there is no config.data.colour; config.data has root, resize"),
        ("--config.lr", "there is no config.lr; config has num_steps, seed, data, generator, critic, networks"),
        ("--config.data=DIR", "config.data is a section; set one of its keys: config.data.root, config.data.resize"),
        ("--config.seed.x=3", "config.seed is a value and has no keys, so there is no config.seed.x"),
        ("--config.networks.mine=a", "config.networks takes keys of your own, all together: "),
        ("--config.networks=a", "config.networks takes keys of your own, all together: "),
    ],
)
def test_what_is_meant_by_a_wrong_key(argument, words):
    (fault,) = faults(CONFIG, ["main", argument, "--config=x.py:tiny"])
    assert fault.startswith(words)


def test_right_keys_and_other_flags_have_no_fault():
    right = [
        "main",
        "--config=x.py",
        "--config.seed=steps",
        "--config.networks={'a': 'b'}",
        "--config.seed[0]=1",
        "--steps",
    ]
    assert not list(faults(CONFIG, right))


def test_every_wrong_key_is_said():
    assert len(list(faults(CONFIG, ["--config.steps=1", "--config.seed=2", "--config.data=3"]))) == 2


def test_a_flag_that_wants_the_config_before_it():
    assert no_flag(CONFIG, "data.root", ["workdir"]) == "--data.root is no flag; did you mean --config.data.root?"
    assert no_flag(CONFIG, "wrkdir", ["workdir"]) == "--wrkdir is no flag; did you mean --workdir?"
    assert no_flag(CONFIG, "colour", ["workdir"]) == "--colour is no flag; write --config.key=value"
    assert likely(CONFIG, "colour") == []


def test_what_is_only_a_little_alike_is_not_meant():
    assert likely({"num_samples": 4, "growing": {"total_kimg": 1}}, "num_steps") == []


@pytest.mark.parametrize("key", NEEDED)
def test_require_names_the_first_key_that_is_empty(key):
    given = {"data": {"root": "x"}} | dict.fromkeys([key for key in NEEDED if "." not in key], "x")
    require(given, *NEEDED)
    section, _, leaf = key.rpartition(".")
    empty = {**given, section: {leaf: ""}} if section else {**given, key: ""}
    with pytest.raises(UserError, match=rf"^config\.{key} is empty; give .*: --config\.{key}="):
        require(empty, *NEEDED)
