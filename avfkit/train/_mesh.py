"""Data parallelism is placement: replicate the state, shard the batch, and let XLA do the rest."""

from typing import TypeAlias

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


def shard(batch: PyTree, devices: Devices) -> PyTree:
    """Divides the leading axis of a batch among the devices, or replicates it if that fails."""
    if devices is None:
        return jax.device_put(batch)
    sizes = [np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)]
    divisible = all(size and size[0] % devices.size == 0 for size in sizes)
    spec = PartitionSpec("batch") if divisible else PartitionSpec()
    return jax.device_put(batch, NamedSharding(devices, spec))
