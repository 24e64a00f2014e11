"""How long `import avfkit` takes, against `import jax, equinox`.

Claim: less than 1.5 times as long, once Python has compiled the files and the disk cache is warm.
Run from the repository's root:

    python benchmarks/start_up.py

Each import is timed in a process of its own, from before its first line to its end; the processes
take turns. Also: `import jax, equinox, optax`, which whoever trains imports anyway, and which
modules of those that avfkit adds take longest (`-X importtime`, without what they import in turn
and without the garbage collector, which strikes anywhere).

Writes `benchmarks/results/start_up.json`.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import provenance, ratio, summary, write

ROOT = Path(__file__).parents[1]
IMPORTS = {
    "jax, equinox": "import jax, equinox",
    "jax, equinox, optax": "import jax, equinox, optax",
    "avfkit": "import avfkit",
}
COMPILED = str(ROOT / "_build" / "compiled")
CLOCK = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{line}
print(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu))
"""


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds avfkit in this tree, and keeps what it compiled."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": COMPILED}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def milliseconds(line: str) -> tuple[float, float]:
    """Wall time and processor time of one import."""
    wall, cpu = python("-c", CLOCK.format(line=line)).stdout.split()
    return float(wall), float(cpu)


def added(most: int) -> dict[str, float]:
    """The longest modules, in milliseconds, of those that avfkit imports after jax and equinox."""
    line = "import gc; gc.disable(); import jax, equinox; import this; import avfkit"
    said = python("-X", "importtime", "-c", line).stderr
    lines = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", said.partition("| this\n")[2])
    own = sorted(((int(micro) / 1e3, name) for micro, name in lines), reverse=True)
    return {name: round(milli, 1) for milli, name in own[:most]}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each import")
    rounds = parser.parse_args().rounds
    facts = provenance("optax")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in IMPORTS}
    for turn in range(rounds + 1):
        for name, line in IMPORTS.items():
            found = milliseconds(line)
            times[name] += [found] if turn else []  # the first one compiles and fills the cache
    result: dict[str, Any] = {"claim": {"avfkit_over_jax_equinox": 1.5}, "rounds": rounds}
    for index, clock in enumerate(("wall", "cpu")):
        each = {name: [time[index] for time in found] for name, found in times.items()}
        result[clock] = {name: summary(found) for name, found in each.items()} | {
            "avfkit_over_jax_equinox": ratio(each["avfkit"], each["jax, equinox"]),
            "avfkit_over_jax_equinox_optax": ratio(each["avfkit"], each["jax, equinox, optax"]),
        }
    result["longest_modules_ms"] = added(12)
    write("start_up", result | {"provenance": facts})


if __name__ == "__main__":
    main()
