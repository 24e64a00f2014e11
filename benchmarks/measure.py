"""What the speed benchmarks share: timing competitors in turn, and saying what was measured on."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

RESULTS = Path(os.environ.get("AVFKIT_BENCHMARKS", Path(__file__).parent / "results"))


def interleaved(
    competitors: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Time competitors in turn, so that a noisy machine is equally unkind to all of them.

    Args:
        competitors: functions that do one unit of work and wait for its end. Each is called once
            before the clock starts.
        rounds: number of turns.

    Returns:
        For each competitor the milliseconds of each turn: `wall`, and `cpu` of all threads.
    """
    times: dict[str, dict[str, list[float]]] = {}
    for name, work in competitors.items():
        work()
        times[name] = {"wall": [], "cpu": []}
    for _ in range(rounds):
        for name, work in competitors.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            times[name]["wall"].append(1e3 * (time.perf_counter() - wall))
            times[name]["cpu"].append(1e3 * (time.process_time() - cpu))
    return times


def compiled(work: Callable, *inputs: Any) -> tuple[Callable, float, float]:
    """A compiled call that waits for its end, the processor seconds it took to compile, and MiB.

    MiB are what XLA allocates besides inputs and outputs.
    """
    began = time.process_time()
    call = jax.jit(work).lower(*inputs).compile()
    seconds = time.process_time() - began
    mebi = call.memory_analysis().temp_size_in_bytes / 2**20
    return lambda *args: jax.block_until_ready(call(*args)), round(seconds, 1), round(mebi, 2)


def summary(times: list[float], digits: int = 1) -> dict[str, float]:
    """Median and range, in milliseconds."""
    return {
        "median_ms": round(statistics.median(times), digits),
        "min_ms": round(min(times), digits),
        "max_ms": round(max(times), digits),
    }


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Median and range of anything."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times longer `slow` takes than `fast`, turn by turn: median and range."""
    each = [a / b for a, b in zip(slow, fast, strict=True)]
    return {
        "median": round(statistics.median(each), 2),
        "min": round(min(each), 2),
        "max": round(max(each), 2),
    }


def provenance(*packages: str) -> dict[str, Any]:
    """What is measured on, and when: versions, processor, load before the run, date.

    Called before anything is timed, and printed.
    """
    names = ("avfkit", "jax", "jaxlib", "equinox", *packages)
    found = {
        "versions": {name: version(name) for name in names},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor(),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "threads_of_xla": os.environ.get("NPROC", "as many as cores"),
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(f"Measuring on {json.dumps(found)}", file=sys.stderr, flush=True)
    return found


def provenances(before: dict[str, Any], rows: Iterable[str], by_row: str) -> dict[str, Any]:
    """The provenance of each row of a file that a run adds to.

    Args:
        before: the file.
        rows: the names of its rows.
        by_row: the key of their provenances. A row that has none is of the file's run.

    Returns:
        For each row where it was measured, and when.
    """
    return dict.fromkeys(rows, before.get("provenance")) | before.get(by_row, {})


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def processor() -> str:
    """The processor's instruction set, as far as matrix products care."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return platform.processor()
    known = ("avx2", "avx512f", "avx512_bf16", "amx_tile")
    return " ".join([name for name in known if name in flags])


def write(name: str, result: dict[str, Any], *, quiet: bool = False) -> None:
    """Keep a result, in `benchmarks/results` or where AVFKIT_BENCHMARKS says, and print it."""
    text = json.dumps(result, indent=2)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    if not quiet:
        print(text)
