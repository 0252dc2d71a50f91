"""The loop as a user meets it: stopping, broken numbers, broken checkpoints (resuming is in test_resume)."""

import json
import signal

import pytest
from command_line import logged_step, run_main, saved_steps, wait_until
from running import run_job

from configs import attribution, sngan
from ganfp_jax.interop.load import load
from ganfp_jax.jobs import train
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.checkpoint_choice import scores


def test_loop_saves_at_ctrl_c_and_says_so(tmp_path, labelled_root):
    workdir = tmp_path / "run"
    overrides = ["--config.num_steps=100000", "--config.checkpoint_every=100000", "--config.log_every=5"]
    overrides += [f"--config.data.root={labelled_root}", "--config.eval_every=100000"]
    process = run_main(workdir, "configs/attribution.py:tiny", *overrides, wait=False)
    wait_until(lambda: logged_step(workdir) >= 20, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    [step] = saved_steps(workdir)
    assert f"saved at step {step} of 100000" in err
    assert "Traceback" not in err
    assert logged_step(workdir) == step


def test_loop_stops_at_nan_with_the_last_good_step(tmp_path, labelled_root):
    workdir, settings = tmp_path / "run", {"data.root": labelled_root, "optimizer.schedule": "constant"}
    settings["optimizer.schedule_args"] = {}
    run_job("attribution:tiny", workdir, settings | {"num_steps": 8})
    # The same run goes on at a rate that throws the weights far away: the loss is not finite within a few steps.
    config = json.loads((workdir / "config.json").read_text())
    config["num_steps"], config["optimizer"]["learning_rate"] = 40, 1e38
    (workdir / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"not finite at step .*the last good checkpoint is step 8"):
        run_job("attribution:tiny", workdir, settings | {"num_steps": 40, "optimizer.learning_rate": 1e38})
    assert saved_steps(workdir) == [8]


def test_a_broken_checkpoint_is_named(tmp_path):
    workdir = tmp_path / "run"
    run_job("cramergan:tiny", workdir, {"num_steps": 2, "checkpoint_every": 1, "eval_images": 0})
    for path in (workdir / "checkpoints" / "2").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    status, _, err = run_main(tmp_path / "images", "configs/generate.py", f"--config.generator={workdir}")
    assert status == 2, err
    assert f"checkpoint {workdir / 'checkpoints' / '2'} cannot be read" in err
    assert "delete that folder to use step 1" in err
    assert len(err.strip().splitlines()) == 1


def test_every_checkpoint_is_measured_where_one_is_chosen(tmp_path):
    settings = {"checkpoint_choice": "best_swd", "step.ema_decay": 0.5, "generator.upsampling": "nearest"}
    settings |= {"num_steps": 6, "checkpoint_every": 1, "eval_every": 100, "keep_checkpoints": 1, "log_every": 100}
    printed = run_job("cramergan:tiny", tmp_path / "run", settings)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = {row["step"]: row["eval/swd32_mean"] for row in rows}
    assert sorted(measured) == [1, 2, 3, 4, 5, 6]
    best = min(measured, key=measured.__getitem__)
    assert scores(tmp_path / "run") == {step: measured[step] for step in {best, 6}}
    assert f"6 steps, step {best} is used (its distance is the lowest)" in printed
    assert load(tmp_path / "run").origin["step"] == best


@pytest.mark.parametrize("steps", [0, -1])
@pytest.mark.parametrize("module", [attribution, sngan])
def test_no_steps_are_no_training(module, steps, tmp_path):
    with pytest.raises(UserError, match=f"config.num_steps is {steps}; give 1 or more"):
        train.run(module.get_config("tiny").to_dict() | {"num_steps": steps}, tmp_path)
    assert not list(tmp_path.iterdir())
