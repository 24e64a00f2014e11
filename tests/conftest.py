"""Float64, strict promotion, and shapes checked at run time."""

import gc
import os
from pathlib import Path

# The first two: see avfkit_widgets.book.calm_kernels. The others: the tests compile much and run
# little, so LLVM need not optimise, and the older way to emit loops takes half the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false --xla_cpu_enable_concurrency_optimized_scheduler=false "
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", os.environ.get("AVFKIT_TEST_X64", "1") == "1")
jax.config.update("jax_numpy_dtype_promotion", "strict")
install_import_hook("avfkit", "beartype.beartype")

MAPS, MOST_MAPS = Path("/proc/self/maps"), 40_000  # Linux allows a process 65,530
DONE: list[int] = []


def pytest_collection_modifyitems(items):
    """Brings the tests of one `pair` of a file together: they share what was compiled for it."""
    places = {}

    def place(item):
        pair = getattr(item, "callspec", None) and item.callspec.params.get("pair")
        return places.setdefault((item.path, pair) if pair else item.nodeid, len(places))

    items.sort(key=place)


def pytest_runtest_teardown(item, nextitem):
    """Forgets compiled functions before their memory maps run out and the compiler aborts."""
    del item, nextitem
    DONE.append(1)
    if len(DONE) % 20 == 0 and MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
