"""Which config a run folder may be gone on with."""

import pytest

from ganfp_jax.errors import UserError
from ganfp_jax.run_folder import ADDED, WATCHING, open_run, read_config


def reopened(folder, before, now):
    with open_run(folder, before):
        pass
    with open_run(folder, now):
        return read_config(folder)


@pytest.mark.parametrize("watching", WATCHING)
def test_when_to_give_up_may_change_and_may_be_new(watching, tmp_path):
    for before, now in (({}, {watching: 5}), ({watching: 5}, {watching: 0})):
        assert reopened(tmp_path, {"job": "train"} | before, {"job": "train"} | now) == {"job": "train"} | now
    study = {"job": "study", "progan": {"seed": 0}}
    newer = {"job": "study", "progan": {"seed": 0, watching: 5}}
    assert reopened(tmp_path / "study", study, newer) == newer


@pytest.mark.parametrize(("key", "value"), ADDED.items())
def test_a_run_older_than_a_key_goes_on_as_it_began(key, value, tmp_path):
    section, _, name = key.rpartition(".")
    older, newer, other = ({section: settings} for settings in ({"ch": 1}, {"ch": 1, name: value}, {"ch": 1, name: 0}))
    assert reopened(tmp_path, older, newer) == newer
    assert reopened(tmp_path / "still older", {"job": "train"}, {"job": "train"}) == {"job": "train"}
    with pytest.raises(UserError, match=rf"another config: {key} \({value!r} there, 0 now\)"):
        reopened(tmp_path, newer, other)
    with pytest.raises(UserError, match=rf"another config: {key} \({value!r} there, 0 now\)"):
        reopened(tmp_path / "other", older, other)
