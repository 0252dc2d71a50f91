"""Nothing is wasted around the compiled programs, and they do not grow unseen.

The golden file has the floating-point operations and the bytes that XLA counts for one step of each family's `:tiny`
config, and how often it is compiled, by jax's version. After a change that is meant to change them, write them anew
with each version at hand:

    WRITE_GOLDEN=1 python -m pytest tests/training/test_compiled_steps.py -k golden
"""

import contextlib
import functools
import json
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from configs import attribution, cramergan, fingerprint, mmdgan, progan, sngan
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.voting import make_vote, unmeasured, vote_in_batches
from ganfp_jax.data import labelled
from ganfp_jax.models.cpu import convolution
from ganfp_jax.training import loop
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.programs import PROGRAMS
from ganfp_jax.training.sharding import make_mesh, make_put, replicated

GOLDEN = Path(__file__).parents[1] / "golden" / "compiled_steps.json"
TOLERANCE = {"flops": 0.02, "bytes accessed": 0.05, "compilations": 0}
VERSION = ".".join(jax.__version__.split(".")[:2])
CONFIGS = {
    "progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan,
    "attribution": attribution, "fingerprint": fingerprint,
}  # fmt: skip
LABELLED = ("attribution", "fingerprint")
COMPILED = "/jax/core/compile/backend_compile_duration"  # also where the persistent cache has it


class Compilations:
    """Counts what is compiled, by name, wherever in the process."""

    def __init__(self):
        self.names = []
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, seconds, **about):
        if event == COMPILED:
            self.names.append(about.get("fun_name", "").removeprefix("jit(").removesuffix(")"))

    @contextlib.contextmanager
    def counted(self):
        """A counter by function, filled when the block ends."""
        before, counter = len(self.names), Counter()
        yield counter
        counter.update(self.names[before:])


COMPILATIONS = Compilations()


def program_of(family, labelled_root, **overrides):
    config = CONFIGS[family].get_config("tiny").to_dict() | overrides
    if family in LABELLED:
        config["data"]["root"] = str(labelled_root)
    return PROGRAMS[config["program"]](config, Path()), config


class Trained(NamedTuple):
    """A step that was run three times."""

    step: object
    states: list  # handed to it, and the last one that it returned
    batch: dict
    key: jax.Array
    first: Counter
    later: Counter


@functools.cache
def trained(family, labelled_root):
    """Runs the last phase's step as the loop does, and lets nothing cross between host and devices meanwhile."""
    program, _ = program_of(family, labelled_root)
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1], axis_types=(AxisType.Auto,))
    phase = program.phases[-1]
    shapes = jax.eval_shape(program.init, jax.random.key(0))
    state = jax.device_put(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes), replicated(mesh))
    step = jax.jit(phase.step, donate_argnums=0, out_shardings=replicated(mesh))
    batch, key = make_put(mesh)(phase.batches()[0]), jax.device_put(jax.random.key(1), replicated(mesh))
    states = [state]
    # With XLA's convolutions, whose operations it counts.
    with jax.transfer_guard("disallow"), convolution.use_xla_convolutions():
        with COMPILATIONS.counted() as first:
            states.append(step(states[-1], batch, key)[0])
        with COMPILATIONS.counted() as later:
            for _ in range(2):
                states.append(step(states[-1], batch, key)[0])
    return Trained(step, states, batch, key, first, later)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_step_is_compiled_once(family, labelled_root):
    run = trained(family, labelled_root)
    assert run.first == {"step": 1}
    assert not run.later


@pytest.mark.parametrize("family", CONFIGS)
def test_a_step_writes_its_new_state_over_the_old(family, labelled_root):
    run = trained(family, labelled_root)
    *old, last = run.states
    assert all(leaf.is_deleted() for state in old for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves([last, run.batch, run.key]))
    memory = compiled_step(run).memory_analysis()
    assert memory.alias_size_in_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(last))


def compiled_step(run):
    """The program of the step; made from the same arguments, it is not compiled again."""
    with COMPILATIONS.counted() as again:
        compiled = run.step.lower(run.states[-1], run.batch, run.key).compile()
    assert not again
    return compiled


@pytest.mark.parametrize("family", CONFIGS)
def test_a_steps_cost_is_the_golden_one(family, labelled_root):
    run = trained(family, labelled_root)
    costs = compiled_step(run).cost_analysis()
    found = {name: float(costs[name]) for name in ("flops", "bytes accessed")} | {"compilations": run.first.total()}
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("WRITE_GOLDEN"):
        golden.setdefault(VERSION, {})[family] = found
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    # A version of its own has none at first: the next older one's then.
    version = max(known for known in golden if number_of(known) <= number_of(VERSION))
    for name, value in golden[version][family].items():
        assert found[name] == pytest.approx(value, rel=TOLERANCE[name]), f"{name}, beside jax {version}'s"


def number_of(version):
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("family", ["progan", "attribution", "fingerprint"])
def test_what_watches_a_training_is_compiled_once(family, labelled_root, tmp_path):
    """Samples and evaluations, whose images do not fill the last batch."""
    (tmp_path / "train").symlink_to(labelled_root / "train")
    (tmp_path / "test").symlink_to(labelled_root / "train")
    program, _ = program_of(family, tmp_path, eval_images=23)
    phase, state = program.phases[-1], trained(family, labelled_root).states[-1]
    watched = {"progan": [phase.sample], "attribution": [phase.evaluate]}.get(family, [phase.sample, phase.evaluate])
    for watch in watched:
        with COMPILATIONS.counted() as first:
            watch(state)
        with COMPILATIONS.counted() as later:
            watch(jax.tree.map(jnp.copy, state))
        assert max(first.values()) == 1
        assert first.keys() & {"draw_batch", "accuracy", "rows", "measure"}
        assert later.keys() <= {"copy"}


def small_attributor(classes=("ProGAN", "real")):
    network = models.create(**attribution.get_config("tiny").model, resolution=16, num_classes=len(classes))
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    return Attributor(network, jax.device_put(variables), classes, 16), network, variables


def test_a_vote_is_compiled_once_whatever_is_left_for_its_last_batch():
    _, network, variables = small_attributor()
    mesh = make_mesh()
    voter = make_vote(unmeasured(network.apply), "mirror", mesh=mesh)
    images = np.random.default_rng(1).integers(0, 256, (9, 16, 16, 3), np.uint8)
    with COMPILATIONS.counted() as counter:
        for count in (4, 9, 1, 0):
            vote_in_batches(voter, variables, images[:count], batch_size=4)
    assert counter["vote"] == 1
    placed, batch = voter.place(variables), make_put(mesh)({"image": images[:4]})["image"]
    with jax.transfer_guard("disallow"), COMPILATIONS.counted() as counter:
        voter(placed, batch)
    assert not counter


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_evaluation_compiles_what_warming_up_does(early_stopping, labelled_root):
    attributor, _, _ = small_attributor()
    folder = labelled.open_labelled(labelled_root, split="train", classes=attributor.classes)
    options = {"views": "mirror", "rule": "majority", "batch_size": 10, "early_stopping": early_stopping}
    attributor.warm_up(**options)
    images = labelled.Images(folder, attributor.resolution)
    with COMPILATIONS.counted() as counter:
        for count in (10, 37):
            evaluate(attributor, images.part(range(count)), **options)
    assert not counter


def test_metrics_are_read_when_the_next_step_is_under_way(tmp_path, monkeypatch):
    """But for those that a checkpoint, an evaluation or the end of a phase waits for."""
    events = []

    def make_step():
        def step(state, batch, key):
            return {"step": state["step"] + 1}, {"loss": state["step"] * 1.0}

        return step

    def spying_jit(function, **options):
        jitted = jit(function, **options)

        def call(*args):
            events.append("step")
            return jitted(*args)

        return call if function in steps else jitted

    def spying_report(self, done, metrics, **about):
        events.append(f"report {done}")
        report(self, done, metrics, **about)

    jit, report = jax.jit, loop.Reporter.report
    monkeypatch.setattr(jax, "jit", spying_jit)
    monkeypatch.setattr(loop.Reporter, "report", spying_report)
    batches, steps = [{"image": np.zeros((2, 1), np.uint8)}] * 9, [make_step(), make_step()]
    program = Program(
        init=lambda key: {"step": jnp.int32(0)},
        phases=[
            Phase(first=0, last=4, step=steps[0], batch_size=2, batches=lambda: batches),
            Phase(first=4, last=9, step=steps[1], batch_size=2, batches=lambda: batches, evaluate=lambda state: {}),
        ],
        metadata={},
    )
    config = {"seed": 0, "keep_checkpoints": 1, "compile_effort": "low", "log_every": 2, "checkpoint_every": 7}
    with COMPILATIONS.counted() as counter:
        loop.train(program, config | {"eval_every": 6, "sample_every": 100}, tmp_path)
    assert counter["step"] == 2  # once a phase
    assert " ".join(events) == (
        "step step step report 2 step report 4 step step report 6 step report 7 step step report 8 report 9"
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["train/loss"]) for line in lines] == [(2, 1), (4, 3), (6, 5), (7, 6), (8, 7), (9, 8)]
