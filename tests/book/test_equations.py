from collections.abc import Iterator

import jax
import numpy as np
import pytest

from avfkit_widgets.book import verify


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """Compute in float64, whatever the run's setting."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def claim(sign: float = 1.0, shift: int = 0) -> np.ndarray:
    """The logarithm turns a product into a sum."""
    x = np.array([0.5, 2.0, 3.0])
    return np.log(x * 2.0) - (np.log(x) + sign * np.log(2.0 + shift))


def test_an_equation_that_holds() -> None:
    shown = verify("eq-log-sum", claim, mutant={"sign": -1})
    assert shown.discrepancy < 1e-15
    assert shown.mutant_discrepancy == pytest.approx(2 * np.log(2))
    assert repr(shown).endswith("; mutant (sign=-1) caught: 1.4")
    assert repr(shown).startswith("eq-log-sum holds: ")
    html = shown._repr_mimebundle_()["text/html"]
    assert 'data-avf-equation="eq-log-sum"' in html
    assert 'href="#equation-eq-log-sum"' in html


def test_an_equation_that_does_not_hold() -> None:
    with pytest.raises(AssertionError) as error:
        verify("eq-log-sum", lambda sign=1: 0.5 * sign, mutant={"sign": -1})
    assert str(error.value) == "eq-log-sum does not hold: discrepancy 0.5, tolerance 1e-09"


def test_a_mutant_that_survives() -> None:
    with pytest.raises(AssertionError) as error:
        verify("eq-log-sum", lambda sign=1: 0.0 * sign, mutant={"sign": -1})
    assert str(error.value) == (
        "eq-log-sum: mutant (sign=-1) is not caught: discrepancy 0, expected more than 1e-06"
    )


def test_a_mutant_must_be_clearly_off() -> None:
    with pytest.raises(AssertionError, match="is not caught: discrepancy 5e-07"):
        verify("eq-near", lambda shift=0.0: shift, mutant={"shift": 5e-7})
    verify("eq-near", lambda shift=0.0: shift, mutant={"shift": 5e-7}, tolerance=1e-10)


@pytest.mark.parametrize(
    ("value", "broken", "message"),
    [(np.nan, 1.0, "does not hold"), (0.0, np.nan, "is not caught")],
)
def test_nan_counts_against_us(value: float, broken: float, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        verify("eq-nan", lambda wrong=False: broken if wrong else value, mutant={"wrong": True})


def test_the_largest_entry_counts() -> None:
    with pytest.raises(AssertionError, match="does not hold: discrepancy 2"):
        verify("eq-max", lambda k=1: np.array([[0.0, -2.0 * k]]), mutant={"k": 2})


def test_an_unknown_place_to_break() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        verify("eq-log-sum", claim, mutant={"other": 1})


def test_float32_is_refused() -> None:
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(RuntimeError) as error:
        verify("eq-log-sum", claim, mutant={"sign": -1})
    assert str(error.value) == (
        "verify needs float64, found float32; "
        "call jax.config.update('jax_enable_x64', True) in the chapter's first cell"
    )


def test_arguments() -> None:
    with pytest.raises(ValueError, match=r"^label must look like 'eq-kl-gaussian', found 'kl'$"):
        verify("kl", claim, mutant={"sign": -1})
    with pytest.raises(
        ValueError, match=r"^mutant must break eq-kl by at least one argument, found \{\}$"
    ):
        verify("eq-kl", claim, mutant={})
    with pytest.raises(ValueError, match="^claim must return at least one number, found an empty"):
        verify("eq-kl", lambda sign=1: np.zeros(0), mutant={"sign": -1})
