"""Arguments are checked at the door, by their annotations.

Arrays are compared by jaxtyping: kind, shape, and letters that stand for one number in all
arguments of a call. It is asked directly and not through a type checker, which would refuse NumPy's
arrays and numbers, and say in a paragraph what is said here in a line. Under `jax.jit` nothing is
checked after tracing.

What asks jaxtyping is marked `no_type_check`: its import hook, which the tests install, would give
every call of these functions letters of its own.
"""

import functools
import inspect
import types
from collections.abc import Callable
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    no_type_check,
)

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray, Key, jaxtyped

from ._arrays import said

_F = TypeVar("_F", bound=Callable[..., Any])
_WORDS: dict[Any, str] = {int: "an integer", float: "a number", types.NoneType: "None"}


class AtLeast(NamedTuple):
    """The smallest number that an argument may be: `Annotated[int, AtLeast(2)]`."""

    number: int

    def __str__(self) -> str:
        return f"at least {self.number}" if self.number else "0 or more"


Size: TypeAlias = Annotated[int, AtLeast(1)]
"""How many there are of something that cannot be missing."""

AtLeastTwo: TypeAlias = Annotated[int, AtLeast(2)]
"""How many draws there are to compare."""

Count: TypeAlias = Annotated[int, AtLeast(0)]
"""How many there are of something that can."""

Nonnegative: TypeAlias = Annotated[float, AtLeast(0)]
"""What is forgiven."""


def checked(function: _F) -> _F:
    """A function that refuses arguments which do not fit its annotations.

    NumPy's arrays become JAX's where these are asked for, NumPy's numbers become Python's; arrays
    of floating-point numbers become of one type, unless JAX promotes strictly. A NamedTuple is
    checked entry by entry. What is neither an array nor a class, such as `tuple[int, int]`, is left
    to the function.

    Raises:
        ValueError: an array has another kind or shape, or, under strict promotion, another type
            than those before; or a number is too small.
        TypeError: an argument is of another type.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__}: {error}") from None
        with jaxtyped("context"):
            for name, value in bound.arguments.items():
                hint = signature.parameters[name].annotation
                bound.arguments[name] = fitted(name, value, hint)
        _make_one_type(bound.arguments)
        return function(*bound.args, **bound.kwargs)

    return cast(_F, wrapper)


def check_fields(module: eqx.Module) -> None:
    """The same for the fields of a module, in its `__check_init__`."""
    with jaxtyped("context"):
        for name, hint in inspect.get_annotations(type(module)).items():
            fitted(name, getattr(module, name), hint)


@no_type_check
def fitted(name: str, value: Any, hint: Any) -> Any:
    """An argument that fits its annotation, or a refusal."""
    kinds, least = _asked(hint)
    value = _converted(value, kinds)
    if not any(_fits(value, kind) for kind in kinds):
        error = ValueError if isinstance(value, jax.Array | np.ndarray) else TypeError
        raise error(f"{name} is {said(value)}; expected {_expected(value, kinds)}.")
    if least is not None and value is not None and value < least.number:
        raise ValueError(f"{name} is {value}; expected {least}.")
    if type(value) not in kinds or not isinstance(value, tuple):
        return value
    entries = inspect.get_annotations(type(value))
    return type(value)(*(fitted(f"{name}.{n}", getattr(value, n), h) for n, h in entries.items()))


@functools.cache
def _asked(hint: Any) -> tuple[tuple[Any, ...], AtLeast | None]:
    """The classes of which an argument may be, and the smallest number."""
    union = isinstance(hint, types.UnionType) or get_origin(hint) is Union
    options = get_args(hint) if union else (hint,)
    parts = [get_args(o) if get_origin(o) is Annotated else (o, None) for o in options]
    return tuple(kind for kind, _ in parts), next((least for _, least in parts if least), None)


def _converted(value: Any, kinds: tuple[Any, ...]) -> Any:
    """NumPy's arrays as JAX's and NumPy's numbers as Python's, where these are asked for."""
    if isinstance(value, np.number) and {int, float} & {*kinds}:
        return value.item()
    arrays = {kind.array_type for kind in kinds if _is_array(kind)}
    if isinstance(value, np.ndarray) and arrays == {jax.Array} and value.dtype.isnative:
        return jnp.asarray(value) if value.dtype.kind in "biufV" else value
    return value


@no_type_check
def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a class; what is none, and arrays of any shape, are left alone."""
    if kind in (Any, inspect.Parameter.empty) or not isinstance(kind, type):
        return True
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind) or (_is_array(kind) and kind.dim_str == "...")


@no_type_check
def _expected(value: Any, kinds: tuple[Any, ...]) -> str:
    """The classes in words; and why, if a shape is wrong only beside the arguments before it."""
    words = " or ".join(map(_word, kinds))
    for kind in filter(_is_array, kinds):
        with jaxtyped("context"):
            alone = isinstance(value, kind)
        if alone:
            return f"{words}: {kind.__instancecheck_str__(value)}"
    return words


def _word(kind: Any) -> str:
    if not _is_array(kind):
        return _WORDS.get(kind) or kind.__name__
    if kind.dtype is Key:
        return "a typed key, jr.key(seed)"
    array = "Array" if kind.array_type is jax.Array else "np.ndarray"
    return f"{kind.dtype.__name__}[{array}, {kind.dim_str!r}]"


def _make_one_type(arguments: dict[str, Any]) -> None:
    """Arrays of the widest type among the arguments; a refusal where JAX promotes strictly."""
    arrays = {name: value for name, value in arguments.items() if _holds_arrays(value)}
    kinds = {name: [leaf.dtype for leaf in _floats(value)] for name, value in arrays.items()}
    every = [kind for name in kinds for kind in kinds[name]]
    if len({*every}) < 2:
        return
    if jax.config.jax_numpy_dtype_promotion == "strict":  # pyright: ignore[reportAttributeAccessIssue]
        name, found = next((n, k) for n in kinds for k in kinds[n] if k != every[0])
        raise ValueError(
            f"{name} holds {found} numbers; expected {every[0]}, as in the arguments before."
        )
    widest = jnp.result_type(*every)
    for name, value in arrays.items():
        arguments[name] = jax.tree.map(
            lambda leaf: leaf.astype(widest) if _is_float(leaf) else leaf, value
        )


def _holds_arrays(value: Any) -> bool:
    return isinstance(value, jax.Array | tuple)


def _floats(value: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(value) if _is_float(leaf)]


def _is_float(leaf: Any) -> bool:
    return eqx.is_inexact_array(leaf) and leaf.ndim > 0


def _is_array(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, AbstractArray)
