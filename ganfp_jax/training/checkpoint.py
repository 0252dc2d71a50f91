"""Checkpoints in `<workdir>/checkpoints/<step>/`, written by orbax, which only this module imports."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import SingleDeviceSharding
from jaxtyping import PyTree
from orbax.checkpoint import checkpoint_managers

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.checkpoint_choice import SCORE, best, scores
from ganfp_jax.training.stored import FOLDER, Arrays, Stored, unreadable

MARGIN = 2**20  # bytes for metadata and blocks that are not full


def _quiet() -> None:
    # absl logs every save and restore, and errors before they are raised, which we report in one line.
    logging.getLogger("absl").setLevel(logging.CRITICAL)


class _Best:
    """orbax's policy that keeps the checkpoint with the lowest score, or none where none has one."""

    def __init__(self, scored: Mapping[int, float]) -> None:
        self._scored = scored

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Whether to keep each checkpoint, in the order of their steps."""
        del context
        scored = {info.step: self._scored[info.step] for info in checkpoints if info.step in self._scored}
        return [bool(scored) and info.step == best(scored) for info in checkpoints]


class Checkpoints:
    """The checkpoints of one run folder. Saves run in the background; a killed save leaves no partial checkpoint."""

    def __init__(self, workdir: Path, keep: int) -> None:
        """Opens the folder, made if need be.

        Args:
            workdir: run folder.
            keep: how many of the newest checkpoints are kept; the one with the lowest score is kept beside them.

        Raises:
            UserError: a file is in the way.
        """
        _quiet()
        self._scored = scores(workdir)
        keeping = [checkpoint_managers.LatestN(keep), _Best(self._scored)]
        policy = checkpoint_managers.AnyPreservationPolicy(keeping)
        options = ocp.CheckpointManagerOptions(preservation_policy=policy, create=True)
        self.folder = workdir.resolve() / FOLDER
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder of checkpoints; remove it, or choose another --workdir")
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def latest_step(self) -> int | None:
        """The step of the newest complete checkpoint, None where there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: PyTree, metadata: dict[str, Any], score: float | None = None) -> None:
        """Starts to save `state` and the JSON-able `metadata` under `step`; a step that exists stays as it is.

        Args:
            step: number of steps done.
            state: the whole state.
            metadata: saved beside it, with the score.
            score: how good the network is, lower is better; None where it was not measured.

        Raises:
            UserError: the disk has no room for it.
        """
        if step in self._manager.all_steps():
            return
        # Checked first, since a disk that fills up during a save makes orbax's threads print their errors.
        needed = MARGIN + int(1.2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            last = self._manager.latest_step()
            raise UserError(
                f"no space left for the checkpoint of step {step} in {self.folder} ({needed / 2**20:.1f} MiB needed, "
                f"{free / 2**20:.1f} free); free some and run the same command again, it goes on from "
                + ("the start" if last is None else f"step {last}")
            )
        if score is not None:
            self._scored[step] = score
            metadata = metadata | {SCORE: score}
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), metadata=ocp.args.JsonSave(metadata))
        self._manager.save(step, args=args, force=True)

    def restore(self, step: int, like: PyTree) -> PyTree:
        """The state of `step`, shaped and sharded like the abstract tree `like`.

        Raises:
            UserError: it cannot be read, declares more memory than its files can hold, or does not fit `like`.
        """
        try:
            arrays = Arrays(self.folder / str(step))
            arrays.open(arrays.names)
            args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
            return self._manager.restore(step, args=args)["state"]
        except Exception as error:
            others = [s for s in self._manager.all_steps() if s != step]
            remedy = f"go on from step {max(others)}" if others else "start again"
            raise unreadable(self.folder / str(step), error, f"delete that folder to {remedy}") from error

    def close(self) -> None:
        """Waits for unfinished saves."""
        self._manager.wait_until_finished()
        self._manager.close()


def load(workdir: Path) -> tuple[int, PyTree, dict[str, Any]]:
    """The newest checkpoint of a run folder: (step, tree of arrays on one device, metadata), wherever it was trained.

    It includes the optimiser's moments; `ganfp_jax.interop.load.load` reads a network alone.

    Raises:
        UserError: there is no checkpoint, or it cannot be read.
    """
    _quiet()
    stored = Stored(workdir)
    arrays = stored.arrays()
    sharding = SingleDeviceSharding(jax.local_devices()[0])
    with stored.refusals():
        arrays.open(arrays.names)
        # Without named handlers the manager knows no shapes and restores to the devices of the saved run.
        handlers = {"state": ocp.StandardCheckpointHandler(), "metadata": ocp.JsonCheckpointHandler()}
        with ocp.CheckpointManager(stored.folder.parent, item_handlers=handlers) as manager:
            saved = manager.item_metadata(stored.step)["state"]
            like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), saved)
            args = ocp.args.Composite(state=ocp.args.StandardRestore(like), metadata=ocp.args.JsonRestore())
            item = manager.restore(stored.step, args=args)
            return stored.step, item["state"], item["metadata"]
