"""Whose a run folder is: the same config resumes, a longer one goes on, another is refused or replaces."""

import json
import re

import pytest

from configs import attribution, course_project, generate, quickstart
from ganfp_jax.run import longer
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import ADDED, RENAMED, WATCHING, differences, open_run, read_config

TRAINING = {
    "job": "train",
    "num_steps": 100,
    "growing": {"total_kimg": 8.0},
    "optimizer": {"schedule": "constant", "learning_rate": 0.1},
    "start_from": "",
}


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def begun(workdir, config, *, result="metrics.jsonl", resumes=True):
    with open_run(workdir, config, resumes=resumes):
        (workdir / result).write_text("a result")


def refused(workdir, config, **settings):
    with pytest.raises(UserError) as error:
        open_run(workdir, config, **settings).__enter__()
    return str(error.value)


@pytest.mark.parametrize("left", ["rejected.csv", "notes.csv", ".lock", "checkpoints/"])
def test_a_first_try_that_left_no_results_blocks_nothing(tmp_path, left):
    with pytest.raises(UserError), open_run(tmp_path, TRAINING):
        (tmp_path / left).mkdir() if left.endswith("/") else (tmp_path / left).touch()
        raise UserError("no such folder")
    with open_run(tmp_path, TRAINING | {"num_steps": 7, "job": "audit"}):
        assert config_of(tmp_path)["num_steps"] == 7


@pytest.mark.parametrize("result", ["metrics.jsonl", "images/real/real_0.png"])
def test_results_belong_to_their_config(tmp_path, result):
    (tmp_path / result).parent.mkdir(parents=True, exist_ok=True)
    begun(tmp_path, TRAINING, result=result)
    assert "another config: num_steps (100 there, 7 now)" in refused(tmp_path, TRAINING | {"num_steps": 7})
    assert config_of(tmp_path) == TRAINING


def test_results_that_were_replaced_before_the_end_have_their_config(tmp_path):
    first, second = {"job": "evaluate", "checkpoint": "a"}, {"job": "evaluate", "checkpoint": "b"}
    begun(tmp_path, first, result="metrics.json", resumes=False)
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path, second, resumes=False):
        (tmp_path / "predictions.csv").write_text("of b")
        raise KeyboardInterrupt
    assert config_of(tmp_path) == second


def test_a_job_that_has_nothing_to_resume_replaces_its_results_when_it_is_done(tmp_path):
    first, second = {"job": "evaluate", "checkpoint": "a"}, {"job": "evaluate", "checkpoint": "b"}
    begun(tmp_path, first, result="metrics.json", resumes=False)
    with pytest.raises(UserError), open_run(tmp_path, second, resumes=False):
        raise UserError("there is no b")
    assert config_of(tmp_path) == first
    begun(tmp_path, second, result="metrics.json", resumes=False)
    assert config_of(tmp_path) == second
    other = {"job": "audit", "checkpoint": "b"}
    assert "job ('evaluate' there, 'audit' now)" in refused(tmp_path, other, resumes=False)


def test_a_first_try_that_failed_has_no_config(tmp_path):
    with pytest.raises(UserError), open_run(tmp_path, {"job": "evaluate"}, resumes=False):
        raise UserError("no images")
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize("key", ["num_steps", "growing.total_kimg"])
def test_a_training_may_become_longer_and_not_shorter(tmp_path, key):
    def config(length):
        section = {"growing": {"total_kimg": length}} if key != "num_steps" else {"num_steps": length}
        return TRAINING | section

    begun(tmp_path, config(100))
    told = refused(tmp_path, config(99), may_grow=longer.may_grow(TRAINING))
    assert f"config.{key} is 99, the run there was begun with 100" in told
    assert config_of(tmp_path) == config(100)
    with open_run(tmp_path, config(101), may_grow=longer.may_grow(TRAINING)):
        assert config_of(tmp_path) == config(101)
    other = config(102) | {"job": "other"}
    assert "another config: job" in refused(tmp_path, other, may_grow=longer.may_grow(TRAINING))


@pytest.mark.parametrize("schedule", ["cosine", "linear_decay"])
def test_a_training_whose_rate_depends_on_its_end_may_not(tmp_path, schedule):
    config = TRAINING | {"optimizer": {"schedule": schedule}}
    begun(tmp_path, config)
    told = refused(tmp_path, config | {"num_steps": 200}, may_grow=longer.may_grow(config))
    assert f"the learning rate ({schedule}) of every step depends on it" in told
    assert "--config.start_from" in told


def reopened(folder, before, now):
    with open_run(folder, before):
        (folder / "metrics.jsonl").touch()
    with open_run(folder, now):
        return read_config(folder)


@pytest.mark.parametrize("watching", WATCHING)
def test_when_to_give_up_may_change_and_may_be_new(watching, tmp_path):
    for before, now in (({}, {watching: 5}), ({watching: 5}, {watching: 0})):
        assert reopened(tmp_path, {"job": "train"} | before, {"job": "train"} | now) == {"job": "train"} | now
    study = {"job": "quickstart", "progan": {"seed": 0}}
    newer = {"job": "quickstart", "progan": {"seed": 0, watching: 5}}
    assert reopened(tmp_path / "study", study, newer) == newer


@pytest.mark.parametrize(("key", "value"), ADDED.items())
def test_a_run_older_than_a_key_goes_on_as_it_began(key, value, tmp_path):
    *sections, name = f"network.{key}".split(".")

    def config(settings):
        for section in reversed(sections):
            settings = {section: settings}
        return settings

    older, newer, other = map(config, ({"ch": 1}, {"ch": 1, name: value}, {"ch": 1, name: 9}))
    assert reopened(tmp_path, older, newer) == newer
    assert reopened(tmp_path / "still older", {"job": "train"}, {"job": "train"}) == {"job": "train"}
    for folder, before in (("", newer), ("other", older)):
        with pytest.raises(UserError, match=re.escape(f"another config: network.{key} ({value!r} there, 9 now)")):
            reopened(tmp_path / folder, before, other)


def test_images_generated_before_photographs_of_a_folder_could_be_are_completed(tmp_path):
    now = generate.get_config("real").to_dict()
    later = ("folder", "photographs", "source_name", "restore", "network")
    before = {key: value for key, value in now.items() if key not in later}
    assert reopened(tmp_path, before, now) == now


@pytest.mark.parametrize(("then", "module"), [("course_test", course_project), ("study", quickstart)])
def test_a_job_of_another_name_then_is_resumed(then, module, tmp_path):
    now = json.loads(json.dumps(module.get_config("tiny").to_dict()))
    assert now["job"] == RENAMED[then]
    assert reopened(tmp_path, now | {"job": then}, now) == now


def test_attribution_runs_older_than_pseudo_unknowns_and_logit_norm_go_on():
    new = json.loads(attribution.get_config("tiny").to_json())
    old = {key: value for key, value in new.items() if key not in ("logit_norm", "pseudo_unknown")}
    assert differences(old, new) == []
