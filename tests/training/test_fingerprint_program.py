"""The fingerprint network's program: what it refuses, what it shows, what it measures."""

import jax
import numpy as np
import pytest
from golden_files import jit

from configs import fingerprint
from ganfp_jax.models import create
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.fingerprint_program import fingerprint_program
from ganfp_jax.training.labelled_images import decode_training, open_training


def tiny(root, **changes):
    config = fingerprint.get_config("tiny").to_dict()
    config["data"]["root"] = str(root)
    return config | changes


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_steps", 0, "config.num_steps is 0; give 1 or more"),
        ("batch_size", 6, "config.batch_size is 6; give a multiple of critic.minibatch_stddev_group, 4"),
        ("num_samples", 0, "config.num_samples is 0; give 1 or more"),
        ("ema_decay", 1.0, "config.ema_decay is 1.0; give 0 or more, below 1"),
        ("objective", {"penalty_target": 0.0}, "config.objective.penalty_target is 0; give a length above 0"),
    ],
)
def test_program_refuses_settings_that_make_no_training(key, value, message, labelled_root, tmp_path):
    with pytest.raises(UserError) as error:
        fingerprint_program(tiny(labelled_root, **{key: value}), tmp_path)
    assert str(error.value) == message


@pytest.fixture(scope="module")
def program_and_state(labelled_root, tmp_path_factory):
    """A program that watches its own training images, and a state whose average is not its network."""
    root = tmp_path_factory.mktemp("split")
    for split in ("train", "test"):
        (root / split).symlink_to(labelled_root / "train")
    config = tiny(root, num_samples=5, eval_images=20, batch_size=8)
    program = fingerprint_program(config, root)
    state = jit(program.init)(jax.random.key(0))
    average = jax.tree.map(lambda leaf: 0.5 * leaf, state.network.params)
    train = decode_training(config, open_training(config), root)
    network = create(**config["model"], resolution=16, num_classes=2)
    return program, state.replace(ema_params=average), train, jit(network.apply)


def test_the_picture_shows_images_reconstructions_and_fingerprints_of_the_average(program_and_state):
    program, state, train, apply = program_and_state
    [phase] = program.phases
    picture = phase.sample(state)
    assert (picture.shape, picture.dtype, phase.sample_columns) == ((15, 16, 16, 3), np.uint8, 5)
    by_class = [np.flatnonzero(train.labels == label) for label in (0, 1)]
    shown = train.images[[by_class[i % 2][i // 2] for i in range(5)]]  # the classes in turn
    np.testing.assert_array_equal(picture[:5], shown)
    outputs = apply({"params": state.ema_params}, shown / np.float32(127.5) - 1)
    for row, values in ((picture[5:10], outputs.reconstructions), (picture[10:], outputs.fingerprints)):
        expected = np.clip(127.5 * np.asarray(values) + 127.5, 0, 255)  # 0 is a middle grey
        assert np.abs(row - expected).max() <= 0.51
    np.testing.assert_array_equal(phase.sample(state), picture)


def test_program_measures_accuracy_and_reconstruction_error_of_the_average(program_and_state):
    program, state, train, apply = program_and_state
    [phase] = program.phases
    chosen = np.random.RandomState(0).permutation(48)[:20]
    images = train.images[chosen] / np.float32(127.5) - 1
    outputs = apply({"params": state.ema_params}, images)
    measured = phase.evaluate(state)
    assert measured.keys() == {"accuracy", "reconstruction_error"}
    right = (np.asarray(outputs.logits).argmax(1) == train.labels[chosen]).mean()
    assert measured["accuracy"] == pytest.approx(right)
    assert measured["reconstruction_error"] == pytest.approx(np.abs(images - outputs.reconstructions).mean(), rel=1e-4)
    assert program.metadata == {"classes": ["ProGAN", "real"], "resolution": 16}


def test_without_test_images_nothing_is_measured(labelled_root, tmp_path):
    [phase] = fingerprint_program(tiny(labelled_root), tmp_path).phases
    assert phase.evaluate is None
    assert phase.batch_size == 16
    assert phase.batches()[0]["image"].shape == (32, 16, 16, 3)  # the critic reads as many as the autoencoder
