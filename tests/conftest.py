"""Float64, strict promotion, shapes checked at run time, and a fresh key for every request."""

import os

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", os.environ.get("AVFKIT_TEST_X64", "1") == "1")
jax.config.update("jax_numpy_dtype_promotion", "strict")
install_import_hook("avfkit", "beartype.beartype")

import jax.random as jr  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def getkey(request):
    """A function that returns a new typed key at each call; the seed is the test's own."""
    seed = int.from_bytes(request.node.name.encode()[:8], "little") % 2**31
    print(f"seed {seed}")
    count = iter(range(10**6))
    return lambda: jr.fold_in(jr.key(seed), next(count))
