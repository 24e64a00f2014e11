"""What the command line compiles is kept, where one can say, and computes the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from avfkit_experiments._compiled import keep_compiled

KINDS = {"dir": "jax_compilation_cache_dir"} | {
    short: f"jax_persistent_cache_min_{long}"
    for short, long in [("seconds", "compile_time_secs"), ("bytes", "entry_size_bytes")]
}


@pytest.fixture(autouse=True)
def settings():
    """Sets back what a test sets."""
    before = {name: getattr(jax.config, name) for name in KINDS.values()}
    jax.config.update(KINDS["dir"], None)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def run(x):
    """Compiled anew: each call jits another function with the same code."""
    return np.asarray(jax.jit(lambda x: jnp.sin(x @ x).cumsum(0) / 3.0)(x))


def test_what_is_kept_is_read_again_and_computes_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    x = jnp.arange(16.0).reshape(4, 4) / 7.0
    events = []
    jax.monitoring.register_event_listener(listen := lambda event, **_: events.append(event))
    fresh = run(x)
    keep_compiled()
    jax.config.update(KINDS["seconds"], 0.0)  # so that a small function counts
    jax.config.update(KINDS["bytes"], -1)
    compilation_cache.reset_cache()
    written = run(x)
    kept = [path for path in (tmp_path / "compiled").iterdir() if "lambda" in path.name]
    assert kept and "/jax/compilation_cache/cache_hits" not in events
    read = run(x)
    assert "/jax/compilation_cache/cache_hits" in events
    jax.monitoring.unregister_event_listener(listen)
    np.testing.assert_array_equal(written, fresh)
    np.testing.assert_array_equal(read, fresh)


def test_a_folder_of_one_s_own_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    jax.config.update(KINDS["dir"], str(tmp_path))  # as JAX does when it starts
    keep_compiled()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path)
