"""Sharding over one mesh axis, `data`: every device has the whole state and a part of the batch."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ganfp_jax.run.errors import UserError


def make_mesh() -> Mesh:
    """All devices of all processes along the axis `data`."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def make_local_mesh() -> Mesh:
    """The devices of this process along the axis `data`, for work that each process does alone."""
    return jax.make_mesh(
        (jax.local_device_count(),), ("data",), axis_types=(AxisType.Auto,), devices=jax.local_devices()
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_first_axis(mesh: Mesh) -> NamedSharding:
    """The first axis (the batch) split into one part per device."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises UserError where a batch does not split evenly over the devices."""
    if batch_size % mesh.size:
        raise UserError(
            f"batch size {batch_size} does not split over {mesh.size} devices; choose a multiple of {mesh.size}"
        )


def make_put(mesh: Mesh) -> Callable[[Any], Any]:
    """put(batch) moves this process's part of a batch to its devices."""
    sharding = split_first_axis(mesh)

    def put(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        return {name: jax.make_array_from_process_local_data(sharding, array) for name, array in batch.items()}

    return put
