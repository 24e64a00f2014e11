"""The documented command runs, and says how its numbers came about."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
needs_data = pytest.mark.skipif(
    not os.environ.get("AVFKIT_DATA"), reason="AVFKIT_DATA does not name a folder with music/"
)


@needs_data
def test_jsb_by_one_command(tmp_path):
    out, weights = tmp_path / "result.json", tmp_path / "weights.avfkit"
    flags = "--inference avf --steps 4 --validate-every 2 --width 8 --update-width 8".split()
    command = [sys.executable, "experiments/jsb.py", *flags, "--out", out, "--weights", weights]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    result = json.loads(out.read_text())
    energy = result["test"]["free_energy_per_step"]
    assert 0 < energy["all_steps"] < 62  # 88 coins cost 61 nats
    assert len(energy["per_iteration"]) == 2
    assert result["provenance"]["command"].startswith("python experiments/jsb.py --inference avf")
    assert weights.stat().st_size > 10_000


def test_committed_results_meet_their_target():
    """At most 7.2 with its own filter and 7.6 with AVF, nats per step over all steps."""
    files = sorted((ROOT / "results" / "jsb").glob("*.json"))
    found = {}
    for path in files:
        result = json.loads(path.read_text())
        name = path.stem.rsplit("-", 1)[0]
        energy = result["test"]["free_energy_per_step"]["all_steps"]
        found.setdefault(name, []).append((energy, result["provenance"]["seconds"]))
    for name, target in (("own-k0", 7.2), ("avf-k1", 7.6)):
        assert len(found[name]) == 3
        assert max(energy for energy, _ in found[name]) <= target
        assert max(seconds for _, seconds in found[name]) <= 600
