"""One run in several processes, on one machine or on many."""

import re
from typing import Any

import jax

EXPECTED = "auto, or I/N@HOST:PORT: process I of N (from 0), and where process 0 listens"


def join(processes: str) -> None:
    """Connects this process with the others of its run; before JAX computes anything.

    Args:
        processes: "auto" where a launcher that JAX knows (Slurm, Open MPI, Kubernetes, Cloud TPU)
            has started all processes; else for instance "0/2@10.0.0.7:1234".

    Raises:
        ValueError: the text cannot be read, or there is no such launcher.
    """
    chosen = place(processes)
    try:
        jax.distributed.initialize(**chosen)
    except ValueError as error:
        raise ValueError(f"processes is {processes!r}: {error} Expected {EXPECTED}.") from error


def place(processes: str) -> dict[str, Any]:
    """What `jax.distributed.initialize` wants to know.

    Raises:
        ValueError: the text cannot be read.
    """
    if processes == "auto":
        return {}
    found = re.fullmatch(r"(\d+)/(\d+)@([^@\s]+:\d+)", processes)
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(f"processes is {processes!r}; expected {EXPECTED}.")
    index, count, address = int(found[1]), int(found[2]), found[3]
    return {"coordinator_address": address, "num_processes": count, "process_id": index}


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return jax.process_index() == 0
