"""The attacks of the red team: what they may change, what they reach, and how it is counted."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.red_team import attacks, gradient, measure
from experiments.red_team.figure import draw_costs
from experiments.red_team.tables import table

CLASSES = 3


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).normal(size=(4 * 4 * 3, CLASSES)).astype(np.float32)


def linear(weights, images):
    """A network of one layer: logits, and no distances."""
    return images.reshape(len(images), -1) @ weights, None


def loss(weights, images, targets):
    logits = linear(weights, jnp.asarray(images, jnp.float32) / 127.5 - 1)[0]
    return float(gradient.target_loss(logits[None], targets, nobody=True).sum())


@pytest.mark.parametrize("budget", [1, 4])
def test_gradient_attack_stays_in_its_budget_and_comes_nearer_to_the_target(images, weights, budget):
    targets = np.array([0, 1, 2])
    attack = gradient.make_attack(linear, ["identity"], steps=5, nobody=True)
    changed = attack(weights, images, targets, budget)
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - images).max() == budget
    assert loss(weights, changed, targets) < loss(weights, images, targets)
    assert np.any(changed != attack(weights, images, np.array([1, 2, 0]), budget))


def test_gradient_attack_looks_at_all_views(weights):
    """In the view that is mirrored the gradient is mirrored: what both views want together is symmetric."""
    grey = np.full((1, 4, 4, 3), 128, np.uint8)
    attack = gradient.make_attack(linear, ["identity", "mirror"], steps=1, nobody=False)
    changed = attack(weights, grey, np.array([1]), 2)
    np.testing.assert_array_equal(changed, changed[:, :, ::-1])


def test_target_loss_is_the_mean_over_views_and_counts_nobody():
    logits = jnp.log(jnp.array([[[1.0, 3.0]], [[2.0, 2.0]]]))  # two views of one image
    plain = gradient.target_loss(logits, jnp.array([0]), nobody=False)
    known = gradient.target_loss(logits, jnp.array([0]), nobody=True)
    assert plain[0] == pytest.approx((np.log(4 / 1) + np.log(4 / 2)) / 2)
    assert known[0] == pytest.approx((np.log(5 / 1) + np.log(5 / 2)) / 2)  # nobody's logit of 0 is one more exp(0)


def test_average_fingerprint_is_the_mean_residual_at_one_level():
    """A checkerboard under changing brightness is found again; brightness alone is not."""
    board = np.where(np.indices((8, 8)).sum(0) % 2, 1.0, -1.0)[..., None].repeat(3, -1)
    images = np.stack([np.full((8, 8, 3), base) + 4 * board for base in (60, 90, 200)]).astype(np.uint8)
    pattern = attacks.average_fingerprint(images)
    assert (pattern**2).mean() == pytest.approx(1)
    np.testing.assert_array_equal(np.sign(pattern), board)
    flat = attacks.add(images, board, -4)
    assert [np.unique(one).tolist() for one in flat] == [[60], [90], [200]]


def test_added_levels_are_rounded_and_clipped():
    white = np.full((1, 2, 2, 3), 254, np.uint8)
    assert attacks.add(white, np.ones((2, 2, 3)), 8).max() == 255
    assert np.unique(attacks.add(white, np.ones((2, 2, 3)), -1.4)).tolist() == [253]


def test_random_signs_use_the_whole_budget(images):
    grey = np.full_like(images, 128)
    assert np.unique(attacks.random_signs(grey, 4)).tolist() == [124, 132]


@pytest.mark.parametrize("clean", [attacks.wavelet, attacks.non_local_means])
def test_denoisers_take_noise_away(clean):
    rng = np.random.default_rng(2)
    noisy = attacks.whole(128 + rng.normal(scale=5, size=(2, 32, 32, 3)))
    assert clean(noisy, 5).shape == noisy.shape
    assert clean(noisy, 5).std() < 0.7 * noisy.std()


def test_blind_attacks_keep_the_size(images):
    larger = images.repeat(8, 1).repeat(8, 2)
    for blind in attacks.blind():
        if blind.attack in ("JPEG", "rescaled", "wavelet denoiser"):
            assert blind.change(larger).shape == larger.shape


def victims(units):
    grey = np.full((4, 2, 2, 3), 100, np.uint8)
    return measure.Victims("removal", grey, ["A", "A", "B", "B"], ["real"] * 4, np.array(units))


def test_outcomes_tell_the_aim_from_other_mistakes():
    counts = measure.outcomes(["A", "real", "A", "unknown"], victims(range(4)))
    assert counts == {"right": 1, "aim": 1, "another": 1, "unsure": 0, "unknown": 1}


def test_crops_of_one_photograph_count_as_one():
    alone, together = (measure.interval(2, np.array(units)) for units in ([0, 1, 2, 3], [0, 0, 1, 1]))
    assert together[0] < alone[0] < 0.5 < alone[1] < together[1]
    assert measure.interval(2, np.array([0, 0, 1, 1])) == measure.wilson_interval(1, 2)


def test_psnr_of_one_level_and_of_nothing():
    before = np.full((1, 2, 2, 3), 100, np.uint8)
    assert measure.psnr(before, before + 1) == pytest.approx(20 * np.log10(255))
    assert measure.psnr(before, before) is None


class Says:
    """A network that says the same of every set of images."""

    def attribute(self, images, min_luma_std):
        names = ("A", "real", "unsure", "unknown")
        return [type("Found", (), {"verdict": names[number]}) for number in range(len(images))]


def test_table_and_figure_have_every_attack_and_network():
    of = victims(range(4))
    forging = measure.Victims("forging", of.images, ["real"] * 4, ["A"] * 4, of.units)
    nets = {"shipped": Says(), "transfer": Says()}
    attack = {"attack": "random signs", "strength": "1"}
    found = [row for one in (of, forging) for row in measure.rows(attack, one, of.images + 1, nets)]
    lines = table(found).splitlines()
    assert sum(line.startswith("| random signs | 1 | 48.1 | 25 (5 to 70) | 25 (5 to 70) |") for line in lines) == 4
    assert sum("transfer" in line for line in lines) == 2
    panels = draw_costs({"rows": found}).axes
    assert [line.get_ydata().tolist() for panel in panels for line in panel.get_lines()] == [[25.0], [25.0]]
