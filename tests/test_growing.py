import jax.numpy as jnp
import pytest

from configs import progan
from ganfp_jax.errors import UserError
from ganfp_jax.training.growing import make_fade, plan_stages


def published(**changes):
    config = progan.get_config("celeba").to_dict()["growing"] | changes
    repeats = config.pop("repeats")
    return plan_stages(resolution=128, **config), repeats


def test_published_schedule():
    stages, _ = published()
    # (level, minibatch, learning rate) and thousands of images, as the published table has them
    assert [(s.level, s.batch_size, s.learning_rate) for s in stages] == [
        (5, 512, 1e-3), (4, 256, 1e-3), (3, 128, 1e-3), (2, 64, 1e-3), (1, 32, 1e-3), (0, 32, 1.5e-3),
    ]  # fmt: skip
    kimg = [(s.last - s.first) * s.batch_size / 1000 for s in stages]
    assert kimg == pytest.approx([600, 1200, 1200, 1200, 1200, 6600], rel=1e-3)
    assert stages[-1].last == pytest.approx(277_700, rel=1e-3)  # critic steps in all
    assert [a.last for a in stages[:-1]] == [b.first for b in stages[1:]]


def test_fade_falls_from_one_to_zero_and_stays():
    stages, repeats = published()
    stage = stages[2]
    fade = make_fade(stage, repeats)
    assert float(fade(jnp.int32(stage.first))) == 1
    middle = (stage.first + stage.fade_until) // 2
    assert float(fade(jnp.int32(middle))) == pytest.approx(0.5, abs=1e-3)
    assert float(fade(jnp.int32(stage.fade_until + repeats))) == 0
    assert float(fade(jnp.int32(stage.last - 1))) == 0
    steps = [float(fade(jnp.int32(stage.first + i))) for i in range(2 * repeats)]
    assert len(set(steps)) == 2  # renewed every `repeats` steps


def test_the_first_resolution_does_not_fade():
    stages, repeats = published()
    assert float(make_fade(stages[0], repeats)(jnp.int32(0))) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": {"4": 8}}, "entry for resolution 8"),
        ({"total_kimg": 100.0}, "ends before the growing does"),
        ({"first_resolution": 256}, "not between 4 and"),
    ],
)
def test_schedules_that_make_no_sense(change, message):
    with pytest.raises(UserError, match=message):
        published(**change)
