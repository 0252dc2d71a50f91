"""The steps and the loop: devices, order of updates, resuming, stopping."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from configs import attribution, progan, sngan
from ganfp_jax.training import checkpoint, programs
from ganfp_jax.training.sharding import make_put, replicated

ROOT = Path(__file__).parent.parent


def mesh_of(devices: int) -> Mesh:
    return jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,))


@pytest.fixture(scope="module")
def labelled_root(tmp_path_factory):
    from ganfp_jax.data.decode import encode_png

    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.RandomState(0)
    for k, source in enumerate(("ProGAN", "real")):
        (root / "train" / source).mkdir(parents=True)
        for i in range(24):
            image = rng.randint(0, 128, (16, 16, 3)).astype(np.uint8) + np.uint8(100 * k)
            encode_png(root / "train" / source / f"{source}_{i:08d}.png", image)
    return root


def program_of(family, labelled_root):
    config = {"progan": progan, "sngan": sngan, "attribution": attribution}[family].get_config("tiny").to_dict()
    if family == "attribution":
        config["data"]["root"] = str(labelled_root)
    return programs.PROGRAMS[config["program"]](config, Path())


def one_step(program, phase, mesh):
    init = jax.jit(program.init, out_shardings=replicated(mesh))
    step = jax.jit(phase.step, out_shardings=replicated(mesh))
    state, metrics = step(init(jax.random.key(0)), make_put(mesh)(phase.batches[3]), jax.random.key(1))
    return jax.device_get(state), jax.device_get(metrics)


@pytest.mark.parametrize("family", ["progan", "sngan", "attribution"])
def test_two_devices_step_as_one(family, labelled_root):
    program = program_of(family, labelled_root)
    phase = program.phases[-1]
    one, metrics_one = one_step(program, phase, mesh_of(1))
    two, metrics_two = one_step(program, phase, mesh_of(2))
    for path, a in jax.tree.leaves_with_path(one):
        # Adam divides by the gradient's size, so where that is rounding noise the direction is too: compare what
        # the update was made of, and the parameters where the gradient was real.
        b = dict(jax.tree.leaves_with_path(two))[path]
        if ".mu" in jax.tree_util.keystr(path) or ".nu" in jax.tree_util.keystr(path) or "stats" in str(path):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=jax.tree_util.keystr(path))
    for name in metrics_one:
        np.testing.assert_allclose(metrics_one[name], metrics_two[name], rtol=1e-4, atol=1e-5, err_msg=name)


def run_main(workdir, config, *overrides, wait=True):
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config={config}", f"--workdir={workdir}", *overrides]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not wait:
        return process
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def logged_step(workdir):
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def saved_steps(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdigit())


def wait_until(condition, process, seconds=200):
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    pytest.fail("it never came so far")


def metrics_without_clock(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def assert_same_run(a, b):
    step_a, tree_a, _ = checkpoint.load(a)
    step_b, tree_b, _ = checkpoint.load(b)
    assert step_a == step_b
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(tree_a), jax.tree.leaves_with_path(tree_b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
    assert metrics_without_clock(a) == metrics_without_clock(b)


RUNS = {
    "progan": ("configs/progan.py:tiny", "--config.growing.total_kimg=6.4", "--config.growing.fade_kimg=4.8"),
    "sngan": ("configs/sngan.py:tiny", "--config.num_steps=400"),
    "attribution": ("configs/attribution.py:tiny", "--config.num_steps=400"),
}


@pytest.mark.parametrize("family", RUNS)
def test_a_killed_run_resumes_bit_for_bit(family, tmp_path, labelled_root):
    config, *overrides = RUNS[family]
    overrides += ["--config.checkpoint_every=50", "--config.log_every=10"]
    overrides += [f"--config.data.root={labelled_root}"] if family == "attribution" else ["--config.sample_every=100"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    status, _, err = run_main(undisturbed, config, *overrides)
    assert status == 0, err

    process = run_main(killed, config, *overrides, wait=False)
    # For ProGAN, step 120 lies inside the fade-in of its second resolution.
    wait_until(lambda: logged_step(killed) >= 120 and len(saved_steps(killed)) > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert saved_steps(killed)[-1] < saved_steps(undisturbed)[-1]

    status, _, err = run_main(killed, config, *overrides)
    assert status == 0, err
    assert_same_run(undisturbed, killed)
    for sample in (undisturbed / "samples").glob("*"):
        assert sample.read_bytes() == (killed / "samples" / sample.name).read_bytes()


def test_ctrl_c_saves_and_says_so(tmp_path):
    workdir = tmp_path / "run"
    overrides = ["--config.num_steps=100000", "--config.checkpoint_every=100000", "--config.log_every=5"]
    process = run_main(workdir, "configs/sngan.py:tiny", *overrides, wait=False)
    wait_until(lambda: logged_step(workdir) >= 20, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    [step] = saved_steps(workdir)
    assert f"saved at step {step} of 100000" in err
    assert "Traceback" not in err
    assert logged_step(workdir) == step


def test_nan_stops_with_the_last_good_step(tmp_path):
    workdir = tmp_path / "run"
    status, _, err = run_main(workdir, "configs/sngan.py:tiny", "--config.num_steps=8")
    assert status == 0, err
    # The same run goes on at a rate that throws the weights far away: the loss is not finite within a few steps.
    config = json.loads((workdir / "config.json").read_text())
    config["num_steps"], config["optimizer"]["learning_rate"] = 40, 1e38
    (workdir / "config.json").write_text(json.dumps(config))
    status, _, err = run_main(
        workdir, "configs/sngan.py:tiny", "--config.optimizer.learning_rate=1e38", "--config.num_steps=40"
    )
    assert status == 2
    assert "not finite at step" in err
    assert "the last good checkpoint is step 8" in err
    assert saved_steps(workdir) == [8]


def test_a_broken_checkpoint_is_named(tmp_path):
    workdir = tmp_path / "run"
    overrides = ["--config.num_steps=16", "--config.checkpoint_every=8"]
    status, _, err = run_main(workdir, "configs/sngan.py:tiny", *overrides)
    assert status == 0, err
    for path in (workdir / "checkpoints" / "16").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    status, _, err = run_main(tmp_path / "images", "configs/generate.py", f"--config.generator={workdir}")
    assert status == 2, err
    assert f"checkpoint {workdir / 'checkpoints' / '16'} cannot be read" in err
    assert "delete that folder to use step 8" in err
    assert len(err.strip().splitlines()) == 1


def test_the_critic_counts_its_own_updates():
    """SNGAN: five critic steps a generator step, each normalising by new batches, each one power iteration."""
    config = sngan.get_config("tiny").to_dict()
    config["step"]["critic_steps"] = 5
    program = programs.PROGRAMS["gan"](config, Path())
    state = program.init(jax.random.key(0))
    batch = program.phases[0].batches[0]
    assert batch["image"].shape == (5 * config["batch_size"], 16, 16, 3)
    after, _ = jax.jit(program.phases[0].step)(state, batch, jax.random.key(1))
    counts = {
        name: int(count)
        for name in ("generator", "critic")
        for path, count in jax.tree.leaves_with_path(getattr(after, name).opt_state)
        if jax.tree_util.keystr(path).endswith("[0].count")
    }
    assert counts == {"generator": 1, "critic": 5}


def test_the_running_average_lags_by_one_step():
    program = programs.PROGRAMS["gan"](progan.get_config("tiny").to_dict(), Path())
    phase = program.phases[-1]
    state = program.init(jax.random.key(0))
    step = jax.jit(phase.step)
    one, _ = step(state, phase.batches[0], jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, one.ema_params, state.ema_params)  # the average of equal weights
    two, _ = step(one, phase.batches[1], jax.random.key(2))
    expected = jax.tree.map(lambda old, new: old + (1 - 0.99) * (new - old), one.ema_params, one.generator.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), two.ema_params, expected)


def test_dither_and_plain_ranges():
    from ganfp_jax.training.gan_step import fade_real, to_unit_range

    images = jnp.array([[[[0, 128, 255]] * 2] * 2], jnp.uint8)
    plain = to_unit_range(images, jax.random.key(0), dither=False)
    np.testing.assert_allclose(plain[0, 0, 0], [-1, 128 / 127.5 - 1, 1], rtol=1e-6)
    dithered = to_unit_range(images, jax.random.key(0), dither=True)
    assert (dithered >= images / 128 - 1).all()
    assert (dithered < images / 128 - 1 + 1 / 128).all()
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    np.testing.assert_allclose(fade_real(x, jnp.float32(0)), x)
    halved = fade_real(x, jnp.float32(1))
    np.testing.assert_allclose(halved[:, ::2, ::2], x.reshape(2, 2, 2, 2, 2, 3).mean((2, 4)), rtol=1e-5, atol=1e-6)
