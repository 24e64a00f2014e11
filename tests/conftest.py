"""Float64, strict promotion, and shapes checked at run time."""

import os

# See avfkit_widgets.book.calm_kernels: a run on two cores was seen to stand still without this.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", os.environ.get("AVFKIT_TEST_X64", "1") == "1")
jax.config.update("jax_numpy_dtype_promotion", "strict")
install_import_hook("avfkit", "beartype.beartype")
