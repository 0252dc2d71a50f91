"""The one training loop, for every family."""

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from ganfp_jax.data.batches import read_ahead
from ganfp_jax.run import processes
from ganfp_jax.run.compiler import LOW_EFFORT, known
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import aside, compiles, progress
from ganfp_jax.training.checkpoint import Checkpoints
from ganfp_jax.training.dead_gradients import DeadGradients
from ganfp_jax.training.logs import Logs
from ganfp_jax.training.program import Begin, Program
from ganfp_jax.training.sharding import check_batch_size, make_mesh, make_put, replicated

T = TypeVar("T")


ASK_EVERY = 10  # steps between two exchanges of stop requests among processes

# Streams of random keys, all derived from the config's seed.
INIT, STEP = 0, 1


class Waited(Iterator[T]):
    """An iterator that counts the seconds its consumer waits for it."""

    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator
        self.seconds = 0.0

    def __next__(self) -> T:
        clock = time.perf_counter()
        try:
            return next(self._iterator)
        finally:
            self.seconds += time.perf_counter() - clock


class Reporter:
    """Logs the metrics of steps and the rate since the last report. A report waits for its step to end."""

    def __init__(self, logs: Logs | None, bar: Any, dead: DeadGradients, workdir: Path, start: int) -> None:
        self._logs, self._bar, self._dead, self._workdir = logs, bar, dead, workdir
        self.begin(start)

    def begin(self, step: int) -> None:
        """Restarts the clock at `step`, so that earlier time, such as compilation, does not count in the next rate."""
        self._step, self._clock = step, time.perf_counter()

    def report(
        self,
        step: int,
        metrics: dict[str, Array],
        *,
        batch_size: int,
        batches: Waited,
        good: int,
        evaluate: Callable[[], dict[str, float]] = dict,
    ) -> dict[str, float]:
        """Writes the metrics of `step` and of `evaluate`, and returns these; `good` is the last step that was saved.

        Raises:
            UserError: a metric is not finite, or a gradient has been 0 for too long.
        """
        fetched = {f"train/{name}": float(value) for name, value in jax.device_get(metrics).items()}
        values = _finite(fetched, step, good, self._workdir)
        seconds = time.perf_counter() - self._clock
        rate = (step - self._step) * batch_size / seconds
        losses = {name.removeprefix("train/"): f"{value:.3g}" for name, value in values.items() if "loss" in name}
        self._bar.set_postfix({"images/s": f"{rate:.0f}"} | losses, refresh=False)
        values |= {"images_per_second": rate, "input_wait": batches.seconds / seconds}
        measured = evaluate()
        values |= {f"eval/{name}": value for name, value in measured.items()}
        if self._logs:
            self._logs.scalars(step, values)
        self._dead.look(step, fetched)
        self.begin(step)
        batches.seconds = 0.0
        return measured


class StopRequest:
    """Turns the first Ctrl-C (or SIGTERM) into a request that the loop honours between two steps."""

    def __init__(self) -> None:
        self.asked = False

    def honoured_at(self, step: int) -> bool:
        """Whether to stop at this step; several processes agree every `ASK_EVERY` steps and stop at the same one."""
        if not processes.several():
            return self.asked
        return step % ASK_EVERY == 0 and processes.anywhere(self.asked)

    def __enter__(self) -> "StopRequest":
        self._old = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:  # a second request stops at once
            raise KeyboardInterrupt
        self.asked = True


def train(program: Program, config: dict[str, Any], workdir: Path, begin: Begin | None = None) -> None:
    """Trains from the newest checkpoint of `workdir` (or from the start) to the program's end.

    Keys and batches depend on the step alone, so a resumed run is bit for bit the run that was never stopped. `begin`
    gives a new state its first weights.

    Raises:
        UserError: a batch does not split over the devices, a checkpoint is unreadable, a loss is not finite, or a
            gradient has been 0 for `program.dead_after` steps.
        KeyboardInterrupt: the user stopped the training; the state is saved.
    """
    for name in ("log_every", "checkpoint_every", "eval_every", "sample_every"):
        if name in config and config[name] < 1:
            raise UserError(f"config.{name} is {config[name]}; give 1 or more steps")
    mesh = make_mesh()
    for phase in program.phases:
        check_batch_size(phase.batch_size, mesh)
    key = jax.random.key(config["seed"])
    # It runs once, so XLA's optimisations would take longer than they save.
    init = jax.jit(program.init, out_shardings=replicated(mesh), compiler_options=_compiler_options("low", program))
    checkpoints = Checkpoints(workdir, keep=config["keep_checkpoints"])
    start = checkpoints.latest_step() or 0
    if start >= program.num_steps:
        checkpoints.close()
        return
    put, step_root, good = make_put(mesh), jax.random.fold_in(key, STEP), start

    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(checkpoints))
        leads = processes.first()
        bar = stack.enter_context(progress(program.num_steps, workdir.name, "step", start, disable=not leads))
        with aside("reading the checkpoint" if start else "making the first weights"):
            state = _restore(checkpoints, start, program, mesh, key) if start else init(jax.random.fold_in(key, INIT))
        if begin and not start:
            state = jax.device_put(begin(jax.device_get(state), program.metadata), replicated(mesh))
        logs = stack.enter_context(Logs(workdir, start)) if leads else None
        stop = stack.enter_context(StopRequest())
        dead = DeadGradients(program.dead_after, workdir, start)
        reporter, stopping = Reporter(logs, bar, dead, workdir, start), False
        for phase in program.phases:
            if phase.last <= start or stopping:
                continue
            train_step = compiles(
                jax.jit(
                    phase.step,
                    donate_argnums=0,
                    out_shardings=replicated(mesh),
                    compiler_options=_compiler_options(config["compile_effort"], program),
                )
            )
            first = max(start, phase.first)
            # `done` is the number of steps after this one has run.
            batches = Waited(read_ahead(phase.batches(), first, phase.last, put))
            late: Callable[[], object] | None = None
            for done, batch in enumerate(batches, start=first + 1):
                if phase.reset and done - 1 in phase.reset_at:
                    state = phase.reset(state)
                state, metrics = train_step(state, batch, jax.random.fold_in(step_root, done - 1))
                if done == first + 1:
                    reporter.begin(first)  # the first step has compiled
                    batches.seconds = 0.0
                if late:  # the devices work on this step while the host reads the one before
                    late()
                    late = None
                bar.update()
                stopping = stop.honoured_at(done)  # once a step, so that the whole step sees one answer
                last = stopping or done == program.num_steps
                if phase.adapt and done % phase.adapt_every == 0:
                    state = jax.device_put(phase.adapt(state), replicated(mesh))
                scheduled = done == program.num_steps or done % config["checkpoint_every"] == 0
                save = scheduled or stopping
                # Only checkpoints of the schedule can be chosen, so that a stop does not change what is.
                scored = bool(phase.score) and scheduled and done >= phase.score_from
                evaluate = phase.evaluate and (last or scored or done % config["eval_every"] == 0)
                measured: dict[str, float] = {}
                if save or evaluate or done % config["log_every"] == 0:
                    report = functools.partial(
                        reporter.report, done, metrics, batch_size=phase.batch_size, batches=batches, good=good
                    )
                    if phase.evaluate and evaluate:
                        measured = report(evaluate=functools.partial(phase.evaluate, state))
                    elif save or done == phase.last:  # checks before saving and before the next phase compiles
                        report()
                    else:
                        late = report
                if phase.sample and (last or done % config["sample_every"] == 0):
                    images = phase.sample(state)
                    if logs:
                        logs.samples(done, images, phase.sample_columns)
                if save:
                    checkpoints.save(done, state, program.metadata, measured[phase.score] if scored else None)
                    good = done
                if stopping:
                    break
    if good < program.num_steps:
        raise KeyboardInterrupt(
            f"saved at step {good} of {program.num_steps} in {workdir}; the same command goes on from there"
        )


def _restore(checkpoints: Checkpoints, step: int, program: Program, mesh: Mesh, key: jax.Array) -> PyTree:
    """The state of `step` on all devices."""
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)),
        jax.eval_shape(program.init, key),
    )
    return checkpoints.restore(step, like)


def _compiler_options(effort: str, program: Program) -> dict[str, Any] | None:
    """XLA's compiler options on CPU for "full" or "low" effort; None elsewhere."""
    if effort not in ("full", "low"):
        raise UserError(f"unknown compile_effort {effort!r}; choose full or low")
    if jax.default_backend() != "cpu":
        return None
    return known(LOW_EFFORT if effort == "low" else program.cpu_options)


def _finite(values: dict[str, float], step: int, good: int, workdir: Path) -> dict[str, float]:
    """Returns `values` if all are finite, and raises UserError otherwise."""
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    if bad:
        saved = f"the last good checkpoint is step {good}" if good else "no checkpoint was saved before it"
        raise UserError(
            f"{', '.join(bad)} not finite at step {step} of {workdir}; {saved}; "
            "lower optimizer.learning_rate or change the seed, in another --workdir"
        )
    return values
