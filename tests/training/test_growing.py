import math
from pathlib import Path

import jax.numpy as jnp
import pytest

from configs import progan
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.growing import make_fade, plan_stages
from ganfp_jax.training.programs import PROGRAMS


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


# Thousands of images, and the lod there: the published table's rows, each entered at its start, middle and end.
LODS = [(0, 5), (300, 5), (600, 5), (900, 4.5), (1200, 4), (1500, 4), (1800, 4), (2100, 3.5), (2400, 3), (2700, 3),
        (3000, 3), (3300, 2.5), (3600, 2), (3900, 2), (4200, 2), (4500, 1.5), (4800, 1), (5100, 1), (5400, 1),
        (5700, 0.5), (6000, 0), (9000, 0), (12000, 0)]  # fmt: skip
MINIBATCHES = {5: (512, 1e-3), 4: (256, 1e-3), 3: (128, 1e-3), 2: (64, 1e-3), 1: (32, 1e-3), 0: (32, 1.5e-3)}


@pytest.mark.parametrize(("kimg", "lod"), LODS)
def test_the_whole_published_table(kimg, lod):
    """lod = level + fade, by the number of images shown; exactly at a boundary the old resolution still holds."""
    stages, repeats = published()
    shown = 0.0
    for stage in stages:
        here = shown + (stage.last - stage.first) * stage.batch_size / 1000
        if kimg <= here + 0.6 or stage is stages[-1]:
            break
        shown = here
    step = min(round(stage.first + (kimg - shown) * 1000 / stage.batch_size), stage.last - 1)
    fade = float(make_fade(stage, repeats)(jnp.int32(step)))
    # `repeats` steps of a minibatch are the resolution of the schedule, 2 kimg at most of 600.
    assert stage.level + fade == pytest.approx(lod, abs=0.005)
    assert (stage.batch_size, stage.learning_rate) == MINIBATCHES[stage.level]
    # The resolution that the minibatch, rate and data go by, 2^(7 - floor(lod)), and while fading the larger one.
    assert stage.level == math.floor(lod)


def test_the_optimisers_forget_when_a_fade_in_begins_and_ends():
    stages, _ = published()
    assert [stage.fade_until - stage.first for stage in stages] == [0, 2344, 4688, 9375, 18750, 18750]
    program = PROGRAMS["gan"](progan.get_config("tiny").to_dict(), Path())
    for phase in program.phases:
        assert phase.reset_at[0] == phase.first
        assert phase.first <= phase.reset_at[1] < phase.last


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
