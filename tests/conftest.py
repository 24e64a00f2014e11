"""Float64, strict promotion, and shapes checked at run time."""

import gc
import os

# See avfkit_widgets.book.calm_kernels: a run on two cores was seen to stand still without this.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", os.environ.get("AVFKIT_TEST_X64", "1") == "1")
jax.config.update("jax_numpy_dtype_promotion", "strict")
install_import_hook("avfkit", "beartype.beartype")

DONE: list[int] = []


def pytest_runtest_teardown(item, nextitem):
    """Forget compiled functions now and then.

    A process that keeps thousands of them runs out of memory maps, and the compiler aborts.
    """
    del item, nextitem
    DONE.append(1)
    if len(DONE) % 40 == 0:
        jax.clear_caches()
        gc.collect()
