"""A run that was killed and goes on is bit for bit the run that was never stopped, for every family."""

import json
import signal

import jax
import numpy as np
import pytest
from command_line import logged_step, run_main, saved_steps, wait_until

from configs import progan
from ganfp_jax.training import checkpoint, growing


def metrics_without_clock(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("images_per_second", "input_wait")} for row in rows]


def assert_same_run(a, b):
    step_a, tree_a, _ = checkpoint.load(a)
    step_b, tree_b, _ = checkpoint.load(b)
    assert step_a == step_b
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(tree_a), jax.tree.leaves_with_path(tree_b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
    assert metrics_without_clock(a) == metrics_without_clock(b)


RUNS = {
    "progan": ("configs/progan.py:tiny", "--config.growing.total_kimg=3.2", "--config.growing.fade_kimg=2.4"),
    "sngan": ("configs/sngan.py:tiny", "--config.num_steps=200"),
    "cramergan": ("configs/cramergan.py:tiny", "--config.num_steps=200"),
    "mmdgan": ("configs/mmdgan.py:tiny", "--config.num_steps=200"),
    "attribution": ("configs/attribution.py:tiny", "--config.num_steps=200"),
    "fingerprint": ("configs/fingerprint.py:tiny", "--config.num_steps=120"),
}
LABELLED = ("attribution", "fingerprint")
KILL_AT = 50


def fade_in():
    """The second resolution of ProGAN's run here."""
    config = progan.get_config("tiny")
    for override in RUNS["progan"][1:]:
        key, value = override.removeprefix("--config.growing.").split("=")
        config.growing[key] = float(value)
    schedule = {key: value for key, value in config.growing.to_dict().items() if key != "repeats"}
    return growing.plan_stages(resolution=config.resolution, **schedule)[1]


@pytest.mark.parametrize("family", RUNS)
def test_a_killed_run_resumes_bit_for_bit(family, tmp_path, labelled_root):
    config, *overrides = RUNS[family]
    overrides += ["--config.checkpoint_every=40", "--config.log_every=5"]
    overrides += [f"--config.data.root={labelled_root}"] if family in LABELLED else []
    overrides += ["--config.sample_every=60"] if family != "attribution" else []
    # Compiled once for the three processes, but for two families, where every process compiles for itself.
    cache = None if family in ("sngan", "attribution") else tmp_path / "compiled"
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    status, _, err = run_main(undisturbed, config, *overrides, cache=cache)
    assert status == 0, err

    process = run_main(killed, config, *overrides, wait=False, cache=cache)
    wait_until(lambda: logged_step(killed) >= KILL_AT and len(saved_steps(killed)) > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    resumed = saved_steps(killed)[-1]
    assert resumed < saved_steps(undisturbed)[-1]
    if family == "progan":  # both where it was stopped and where it goes on
        stage = fade_in()
        assert stage.first < resumed <= logged_step(killed) < stage.fade_until < stage.last
    samples = sorted(path.name for path in (undisturbed / "samples").glob("*"))
    assert bool(samples) == (family != "attribution")

    status, _, err = run_main(killed, config, *overrides, cache=cache)
    assert status == 0, err
    assert_same_run(undisturbed, killed)
    for name in samples:
        assert (undisturbed / "samples" / name).read_bytes() == (killed / "samples" / name).read_bytes()
