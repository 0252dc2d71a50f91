"""Batches of arrays or of images on disk, as a function of the seed and the step, for one or several processes."""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from ganfp_jax.run.errors import UserError
from ganfp_jax.run.threads import result

Batch = dict[str, np.ndarray]

T = TypeVar("T")


@runtime_checkable
class Rows(Protocol):
    """An array, or an object that is indexed like one, such as `data.on_disk.ImagesOnDisk`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@runtime_checkable
class BatchByStep(Protocol):
    """Random access to batches by step."""

    def __getitem__(self, step: int, /) -> Batch: ...


def make_batches(
    arrays: Mapping[str, Rows],
    *,
    batch_size: int,
    seed: int,
    transform: Callable[[Batch, np.random.Generator, slice], Batch] | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchByStep:
    """Makes an endless data set of batches: `dataset[step]` depends on the arguments and the step only.

    A resumed run therefore reads on at its step and needs no state. Every epoch shows each example once, in a new
    order. Epochs follow each other without a gap, so a batch may span two, and may be larger than the set. Process p
    gets the p-th part of each batch. The parts in the order of the processes make up the batch that one process would
    get, and they are disjoint (unless the batch spans epochs).

    Args:
        arrays: name -> examples along the first axis, all of one length.
        batch_size: examples a step over all processes.
        seed: 0 to 2**32 - 1.
        transform: a function of a process's part, a generator that depends on `seed` and the step, and the place of
            the part in the whole batch. Its draws should not depend on the number of processes.
        process_index: `jax.process_index()`.
        process_count: `jax.process_count()`.

    Returns:
        A data set whose elements are {name: array (batch_size // process_count, ...)}, made anew at each access.

    Raises:
        UserError: there are no examples, the batch size is no multiple of the number of processes, or the seed is out
            of range.
        ValueError: the arrays have different lengths, or there is no such process.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"arrays need one length, got {lengths}")
    if not 0 <= process_index < process_count:
        raise ValueError(f"there is no process {process_index} among {process_count}")
    (size,) = set(lengths.values())
    if size == 0:
        raise UserError("there are no examples to make batches of")
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"batch size {batch_size} must be a positive multiple of the {process_count} process(es)")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed {seed} must lie between 0 and 2**32 - 1")
    part_size = batch_size // process_count

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.RandomState([seed, epoch]).permutation(size)

    own = slice(process_index * part_size, (process_index + 1) * part_size)

    def gather(step: int) -> Batch:
        epochs, places = np.divmod(step * batch_size + np.arange(own.start, own.stop), size)
        rows = np.concatenate([order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])
        return {name: array[rows] for name, array in arrays.items()}

    # The generators are those of `grain.MapDataset.random_map`, so that older runs resume with the same draws.
    key = np.random.SeedSequence([seed, 2]).generate_state(1, np.uint32)[0]

    def read(step: int) -> Batch:
        batch = gather(step)
        if transform is None:
            return batch
        return transform(batch, np.random.Generator(np.random.Philox(key, counter=[0, 0, 0, step])), own)

    return _ByStep(read)


class _ByStep:
    def __init__(self, read: Callable[[int], Batch]) -> None:
        self._read = read

    def __getitem__(self, step: int, /) -> Batch:
        return self._read(step)


def read_ahead(
    dataset: BatchByStep, first_step: int, last_step: int, put: Callable[[Batch], T], buffer_size: int = 2
) -> Iterator[T]:
    """Yields `put(dataset[step])` for the steps from `first_step` up to, not including, `last_step`.

    A background thread reads and puts up to `buffer_size` batches ahead, so that the device does not wait for them.
    An error of the data set or of `put` is raised at its step. The thread ends with the iterator: when the steps are
    done, on an exception, on `close()`, or when the iterator is dropped.

    Args:
        dataset: random access to batches, such as the result of `make_batches`.
        first_step: the step at which a new or resumed run starts.
        last_step: the first step that is not read.
        put: a function of a batch that, say, places it on the devices with a sharding. The background thread calls it,
            and context managers of the calling thread, such as `jax.set_mesh`, do not hold there.
        buffer_size: batches that are ready beside the one in use.
    """

    def read(step: int) -> T:
        return put(dataset[step])

    pool = ThreadPoolExecutor(1, thread_name_prefix="read_ahead")
    pending: deque[Future[T]] = deque()
    try:
        for step in range(first_step, last_step):
            pending.append(pool.submit(read, step))
            if len(pending) > buffer_size:
                yield result(pending.popleft())
        while pending:
            yield result(pending.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
