"""What the command line compiles is kept for the next command."""

import os

import jax

from avfkit.data import cache_folder


def keep_compiled() -> None:
    """Keeps what takes a second to compile or longer in the user's cache folder.

    A run that is taken up again, and an evaluation of another, then compile little. What is kept
    computes the same bits. JAX's own variables win: another folder in `JAX_COMPILATION_CACHE_DIR`,
    or none with `JAX_ENABLE_COMPILATION_CACHE=0`.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
