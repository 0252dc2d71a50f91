"""Batches are a function of seed and step, the parts of all processes are the batch, and reading ahead is safe."""

import threading
import time

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfp_jax.data.batches import make_batches, read_ahead
from ganfp_jax.run.errors import UserError


def examples(size):
    index = np.arange(size)
    return {"image": index.astype(np.uint8)[:, None, None, None].repeat(3, 3), "label": index.astype(np.int32)}


def labels(dataset, steps):
    return np.concatenate([dataset[step]["label"] for step in steps])


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 50), batch=st.integers(1, 70), seed=st.integers(0, 2**32 - 1), epochs=st.integers(1, 3))
def test_every_epoch_shows_every_example_once(size, batch, seed, epochs):
    dataset = make_batches(examples(size), batch_size=batch, seed=seed)
    steps = -(-size * epochs // batch)
    seen = labels(dataset, range(steps))
    for epoch in range(epochs):
        assert sorted(seen[epoch * size : (epoch + 1) * size]) == list(range(size))


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 50), part=st.integers(1, 12), processes=st.integers(1, 4), step=st.integers(0, 10**9),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_parts_of_all_processes_are_the_batch(size, part, processes, step, seed):
    arrays, batch = examples(size), part * processes
    whole = make_batches(arrays, batch_size=batch, seed=seed)[step]
    parts = [
        make_batches(arrays, batch_size=batch, seed=seed, process_index=index, process_count=processes)[step]
        for index in range(processes)
    ]
    for name in arrays:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])
    if (step * batch) // size == ((step + 1) * batch - 1) // size:  # within one epoch
        assert len(set(whole["label"])) == batch


def test_order_changes_with_epoch_and_seed_only():
    first = make_batches(examples(100), batch_size=10, seed=3)
    again = make_batches(examples(100), batch_size=10, seed=3)
    other = make_batches(examples(100), batch_size=10, seed=4)
    steps = [25, 3, 25, 0]  # random access, in any order
    np.testing.assert_array_equal(labels(first, steps), labels(again, steps))
    epochs = [labels(first, range(start, start + 10)) for start in (0, 10, 20)] + [
        labels(other, range(start, start + 10)) for start in (0, 10)
    ]
    for index, one in enumerate(epochs):
        assert all((one == two).mean() < 0.2 for two in epochs[:index])


def test_orders_do_not_change_between_versions():
    # A changed order would silently make a resumed run another one.
    assert labels(make_batches(examples(10), batch_size=5, seed=1), [0, 1, 2]).tolist() == [
        2, 9, 8, 3, 6,  7, 1, 4, 0, 5,  0, 6, 2, 7, 9,
    ]  # fmt: skip


def test_draws_do_not_change_between_versions():
    """Recorded with the `random_map` of Grain 0.2.18."""

    def draw(batch, rng, part):
        return {"drawn": np.concatenate([rng.random(2), rng.integers(1000, size=2), rng.standard_normal(1)])}

    dataset = make_batches(examples(9), batch_size=3, seed=7, transform=draw)
    assert [dataset[step]["drawn"].tolist() for step in (0, 1, 10**9)] == [
        [0.2973531582943302, 0.10316016017404728, 973.0, 780.0, -1.6306394885077475],
        [0.2553857806600863, 0.3253158028779567, 473.0, 217.0, 1.3361846056234394],
        [0.6715453252357555, 0.09454992285076413, 701.0, 384.0, 0.8587102580126834],
    ]


def test_elements_are_aligned_and_fresh():
    dataset = make_batches(examples(20), batch_size=8, seed=0)
    batch = dataset[4]
    assert batch["image"].shape == (8, 1, 1, 3) and batch["image"].dtype == np.uint8
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["label"])
    batch["image"][:] = 0
    np.testing.assert_array_equal(dataset[4]["image"][:, 0, 0, 0], dataset[4]["label"])


def test_transform_is_a_function_of_seed_and_step():
    """And of the place in the batch: what is drawn for all is the same in every process."""

    def jitter(batch, rng, part):
        return {**batch, "noise": rng.standard_normal(8)[part]}

    def noise(seed, step, process=0, of=1):
        dataset = make_batches(
            examples(20), batch_size=8, seed=seed, transform=jitter, process_index=process, process_count=of
        )
        return tuple(dataset[step]["noise"])

    assert noise(0, 5) == noise(0, 5) == noise(0, 5, 0, 2) + noise(0, 5, 1, 2)
    assert len({noise(0, 5), noise(0, 6), noise(1, 5)}) == 3


def test_batches_refuse_mistakes():
    for arguments, message in [
        ({"batch_size": 0, "seed": 0}, "batch size 0"),
        ({"batch_size": 3, "seed": 0, "process_count": 2}, "multiple of the 2 process"),
        ({"batch_size": 4, "seed": -1}, "seed -1"),
    ]:
        with pytest.raises(UserError, match=message):
            make_batches(examples(9), **arguments)
    with pytest.raises(UserError, match="no examples"):
        make_batches(examples(0), batch_size=1, seed=0)
    with pytest.raises(ValueError, match="one length"):
        make_batches({"a": np.zeros(3), "b": np.zeros(4)}, batch_size=1, seed=0)
    with pytest.raises(ValueError, match="one length"):
        make_batches({}, batch_size=1, seed=0)
    with pytest.raises(ValueError, match="process 2"):
        make_batches(examples(9), batch_size=2, seed=0, process_index=2, process_count=2)


def test_a_batch_is_quick():
    arrays = {"image": np.zeros((5000, 32, 32, 3), np.uint8), "label": np.zeros(5000, np.int32)}
    dataset = make_batches(arrays, batch_size=32, seed=0)
    times = []
    for step in range(100):
        start = time.perf_counter()
        dataset[step]
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.003


# --- reading ahead ---------------------------------------------------------------------------------------------------


class Recording:
    """A data set that remembers what was read, and where."""

    def __init__(self, broken=None):
        self.steps, self.threads, self.broken = [], set(), broken

    def __getitem__(self, step):
        self.steps.append(step)
        self.threads.add(threading.current_thread().name)
        if step == self.broken:
            raise OSError(f"step {step} is broken")
        return {"label": np.array([step])}


def put(batch):
    return int(batch["label"][0]) * 10


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read_ahead")]


def test_read_ahead_yields_every_step_in_order():
    dataset = Recording()
    assert list(read_ahead(dataset, 3, 9, put)) == [30, 40, 50, 60, 70, 80]
    assert dataset.steps == list(range(3, 9))
    assert len(dataset.threads) == 1 and threading.current_thread().name not in dataset.threads
    assert list(read_ahead(dataset, 5, 5, put)) == []
    assert list(read_ahead(dataset, 5, 6, put)) == [50]
    assert not reading_threads()


def test_read_ahead_holds_a_small_buffer():
    dataset = Recording()
    batches = read_ahead(dataset, 0, 1000, put)
    for taken in range(1, 5):
        next(batches)
        deadline = time.monotonic() + 10
        while len(dataset.steps) < taken + 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(dataset.steps) == taken + 2
    batches.close()
    assert not reading_threads()


def test_read_ahead_raises_at_the_step():
    batches = read_ahead(Recording(broken=2), 0, 9, put)
    assert [next(batches), next(batches)] == [0, 10]
    with pytest.raises(OSError, match="step 2 is broken"):
        next(batches)
    assert not reading_threads()

    def fails(batch):
        raise ValueError("no room on the device")

    with pytest.raises(ValueError, match="no room"):
        next(read_ahead(Recording(), 0, 9, fails))


def test_read_ahead_ends_with_the_loop_that_breaks():
    def train():
        for batch in read_ahead(Recording(), 0, 1000, put):
            if batch == 50:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert not reading_threads()


def test_read_ahead_reads_batches():
    dataset = make_batches(examples(20), batch_size=4, seed=0)
    taken = list(read_ahead(dataset, 7, 12, lambda batch: batch["label"]))
    np.testing.assert_array_equal(np.concatenate(taken), labels(dataset, range(7, 12)))


@pytest.mark.two_devices
def test_batches_reach_two_devices_ahead_of_their_step():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    dataset = make_batches(examples(20), batch_size=4, seed=0)
    for step, batch in enumerate(read_ahead(dataset, 0, 6, lambda batch: jax.device_put(batch, sharding))):
        assert batch["image"].sharding == sharding
        np.testing.assert_array_equal(batch["label"], dataset[step]["label"])
