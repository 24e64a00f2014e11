"""Arguments at the door: what is let through, and what a refusal says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array, Float, Key, config

import avfkit
from avfkit import kalman
from avfkit._checked import AtLeastTwo, Count, Size, checked

EYE, ZERO = np.eye(2), np.zeros(2)
CHAIN = kalman.Chain(ZERO, EYE, EYE, ZERO, EYE)


@checked
def door(
    mean: Float[Array, "time latent"],
    scale: Float[Array, " latent"] | float = 1.0,
    *,
    key: Key[Array, ""] | None = None,
    size: Size = 1,
    depth: Count = 0,
    draws: AtLeastTwo | None = None,
    chain: kalman.Chain | None = None,
    name: str | kalman.Chain = "",
    shape: tuple[int, int] = (1, 1),
    anything=None,
):
    return mean, scale, key, size, depth, draws, chain


MEAN = jnp.ones((3, 2))
ARRAY = "Float[Array, 'time latent']"
OTHER = "the size of dimension latent is {} which does not equal the existing value of 2."
REFUSED = {
    "list": ("", [1.0], TypeError, f"mean is list; expected {ARRAY}."),
    "word": ("", "three", TypeError, f"mean is 'three'; expected {ARRAY}."),
    "axis": ("", MEAN[0], ValueError, f"mean is float64 of shape (2,); expected {ARRAY}."),
    "kind": ("", MEAN > 0, ValueError, f"mean is bool of shape (3, 2); expected {ARRAY}."),
    "order": (
        *("", np.ones((3, 2), ">f8"), ValueError),
        f"mean is >f8 of shape (3, 2); expected {ARRAY}.",
    ),
    "letters": (
        *("scale", np.ones(3), ValueError),
        "scale is float64 of shape (3,); expected Float[Array, 'latent'] or a number: "
        + OTHER.format(3),
    ),
    "single": (
        *("scale", jnp.ones(2, "float32"), ValueError),
        "scale holds float32 numbers; expected float64, as in the arguments before.",
    ),
    "raw key": (
        *("key", jr.PRNGKey(0), ValueError),
        "key is uint32 of shape (2,); expected a typed key, jr.key(seed) or None.",
    ),
    "size": ("size", 0, ValueError, "size is 0; expected at least 1."),
    "depth": ("depth", -1, ValueError, "depth is -1; expected 0 or more."),
    "draws": ("draws", 1, ValueError, "draws is 1; expected at least 2."),
    "fraction": ("size", 2.5, TypeError, "size is 2.5; expected an integer."),
    "truth": ("size", True, TypeError, "size is True; expected an integer."),
    "class": ("name", 3, TypeError, "name is 3; expected str or Chain."),
    "entry": (
        *("chain", CHAIN._replace(noise_cov=np.eye(3)), ValueError),
        "chain.noise_cov is float64 of shape (3, 3); expected Float[Array, 'latent latent']: "
        + OTHER.format(3),
    ),
    "no entry": (
        *("chain", CHAIN._replace(bias=None), TypeError),
        "chain.bias is None; expected Float[Array, 'latent'].",
    ),
    "unknown": ("nothing", 1, TypeError, "door: got an unexpected keyword argument 'nothing'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_argument_found_and_expected(case):
    name, value, error, message = REFUSED[case]
    arguments = {"mean": MEAN, name: value} if name else {"mean": value}
    with pytest.raises(error) as caught:
        door(**arguments)
    assert str(caught.value) == message


def test_what_fits_comes_through_as_arrays_of_jax_and_numbers_of_python():
    found = door(np.ones((3, 2)), 2, key=jr.key(0), size=np.int64(3), draws=np.int8(2), chain=CHAIN)
    assert isinstance(found[0], jax.Array) and type(found[3]) is type(found[5]) is int
    assert found[1] == 2 and all(isinstance(array, jax.Array) for array in found[6])
    assert door(MEAN, shape=[1, 2], anything="x")[1] == 1.0  # left to the function


def test_where_types_are_promoted_the_widest_is_taken():
    with jax.numpy_dtype_promotion("standard"):
        chain = kalman.unrolled(CHAIN._replace(bias=jnp.zeros(2, jnp.float32)), 3)
    assert {leaf.dtype for leaf in chain} == {jnp.dtype(float)}
    with pytest.raises(ValueError) as error:
        kalman.unrolled(CHAIN._replace(bias=jnp.zeros(2, jnp.float32)), 3)
    expected = "chain holds float32 numbers; expected float64, as in the arguments before."
    assert str(error.value) == expected


def test_a_traced_call_is_checked_too():
    def second(mean):
        return door(mean, jnp.ones(3))[1]

    with pytest.raises(ValueError, match="^scale is float64 of shape"):
        jax.jit(second)(MEAN)
    assert jax.jit(lambda mean: door(mean)[0])(MEAN).shape == (3, 2)


def test_fields_are_checked_when_a_module_is_made(monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(ValueError) as caught:
        avfkit.DiagonalGaussian(ZERO, np.zeros(3))
    assert str(caught.value) == (
        "log_var is float64 of shape (3,); expected Float[Array, 'size']: the size of dimension "
        "size is 3 which does not equal the existing value of 2."
    )
    with pytest.raises(TypeError, match="^num_samples is 1.5; expected an integer.$"):
        avfkit.MonteCarlo(1.5)
    assert eqx.is_array(avfkit.FullGaussian(ZERO, ZERO, EYE).covariance)
