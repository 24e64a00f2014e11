import jax
import pytest

from experiments.tiny import train


@pytest.fixture(scope="package", autouse=True)
def quick_compilation():
    """These tests compile much and compute little."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """The folder of a run with the own filter, and what its command printed."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    result = train(folder)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture(scope="session")
def avf(tmp_path_factory):
    """The folder of a run with AVF, two iterations and two samples."""
    folder = tmp_path_factory.mktemp("runs") / "avf"
    result = train(folder, "--inference", "avf", "--samples", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    return folder, result.output
