"""Data parallelism is placement: replicate the state, shard the batch, and let XLA do the rest.

The mesh has the devices of every process. A process holds the whole of a batch and of the state,
and places what belongs on its own devices.
"""

import warnings
from typing import Any, TypeAlias

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

Devices: TypeAlias = Mesh | None
"""All devices as a mesh with the one axis `batch`; `None` if there is only one device."""


def all_devices() -> Devices:
    """The mesh of all devices, or `None` where there is nothing to divide."""
    return Mesh(np.array(jax.devices()), ("batch",)) if jax.device_count() > 1 else None


def replicate(tree: PyTree, devices: Devices) -> PyTree:
    """Gives every device its own copy of every array; inside `jit`, demands it."""
    if devices is None:
        return tree
    return eqx.filter_shard(tree, NamedSharding(devices, PartitionSpec()))


def spread(tree: PyTree, devices: Devices) -> PyTree:
    """Gives every device of every process its own copy; outside `jit`."""
    if jax.process_count() == 1:
        return replicate(tree, devices)
    return eqx.filter_jit(replicate)(tree, devices)  # which, unlike device_put, compares nothing


def shard(batch: PyTree, devices: Devices) -> PyTree:
    """Divides the leading axis of a batch among the devices, or replicates it if that fails.

    Warns:
        UserWarning: if there is a common leading axis, and it cannot be divided evenly.
    """
    if devices is None:
        return jax.device_put(batch)
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    divisible = all(size and size[0] % devices.size == 0 for size in sizes)
    if not divisible and len(sizes) == 1 and () not in sizes:
        [(size,)], count = sizes, devices.size
        warnings.warn(
            f"{count} devices cannot share a batch of {size} evenly, so each of them computes all "
            f"of it: make its size a multiple of {count}, or use fewer devices.",
            stacklevel=2,
        )
    spec = PartitionSpec("batch") if divisible else PartitionSpec()
    return _placed(batch, NamedSharding(devices, spec))


def _placed(batch: PyTree, sharding: NamedSharding) -> PyTree:
    if sharding.is_fully_addressable:
        return jax.device_put(batch, sharding)

    def place(leaf: Any) -> jax.Array:
        array = np.asarray(leaf)  # JAX would compare it with that of every other process
        return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)

    return jax.tree.map(place, batch)
