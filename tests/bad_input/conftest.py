"""As for a user: types are not checked by the tests' hook, and dtypes are promoted."""

import jax
import pytest
from jaxtyping import config


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch, tmp_path):
    config.update("jaxtyping_disable", True)
    monkeypatch.chdir(tmp_path)
    with jax.numpy_dtype_promotion("standard"):
        yield
    config.update("jaxtyping_disable", False)
