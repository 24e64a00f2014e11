import json
import subprocess
import sys

import numpy as np
import pytest

from train.devices import on_these_devices
from train.regression import ROOT, environment

QUICK = "--xla_backend_optimization_level=0"  # to compile


def run(num_devices):
    flags = f"{QUICK} --xla_force_host_platform_device_count={num_devices}"
    command = [sys.executable, str(ROOT / "tests" / "train" / "devices.py")]
    settings = environment(XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    done = subprocess.run(command, env=settings, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def one():
    return on_these_devices()


UNEVEN = (
    "4 devices cannot share a batch of 6 evenly, so each of them computes all of it: make its size "
    "a multiple of 4, or use fewer devices."
)


@pytest.mark.parametrize(
    ("num_devices", "parts", "warnings"),
    [(2, [[3] * 2, [4] * 2], []), (4, [[6] * 4, [2] * 4], [UNEVEN])],
)
def test_many_devices_are_one_device(one, num_devices, parts, warnings):
    assert (one["devices"], one["parts"], one["warnings"]) == (1, [[6], [8]], [])
    many = run(num_devices)
    assert (many["devices"], many["parts"], many["warnings"]) == (num_devices, parts, warnings)
    assert many["traces"] == one["traces"] == [6, 8]
    assert_same_run(many, one)


def assert_same_run(found, expected):
    """Up to the order in which a mean is summed."""
    for row, other in zip(found["history"], expected["history"], strict=True):
        assert row.keys() == other.keys()
        for name in row:
            if isinstance(row[name], str):
                assert row[name] == other[name]
            else:
                np.testing.assert_allclose(row[name], other[name], rtol=1e-10)
    for leaf, other in zip(found["leaves"], expected["leaves"], strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-10, atol=1e-14)
