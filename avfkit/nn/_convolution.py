"""Convolutions of pictures whose channels come last, and their gradients, fast on a CPU too.

A convolution is a bilinear map of a picture x and a kernel w. With its transposes, of x and of w,
it is one of three, and the derivatives of each are the other two:

    convolve   y = x * w     of a picture and a kernel, a picture
    spread     x = y *' w    of a picture and a kernel, the larger picture: transposed convolution
    weigh      w = x : y     of two pictures, a kernel: the gradient of the weights

XLA's CPU backend has fast code for `convolve` with channels last. The other two it gets as
convolutions of other layouts, and runs slowly, or one number at a time where they are inside a loop
over time. So on a CPU `spread` is a matrix product that gives what each pixel paints, of which what
falls on one pixel is added up; `weigh` is a product of patches and the pixels that saw them; and
all three take as many pictures at a time as a cache holds. Elsewhere they are XLA's.

They are primitives of JAX so that `jax.vmap`, however often, puts all pictures in one axis. Of
matrix products with several axes XLA would copy the patches before it adds over them.

Reference: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning".
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

Image = Float[Array, "_height _width _channels"]
Images = Float[Array, "_images _height _width _channels"]
Kernel = Float[Array, "_k _k _in _out"]

_CACHED = 2**19  # numbers in the patches of a few pictures


class _Geometry(NamedTuple):
    """Which pixels meet: tap (i, j) of place (h, w) is pixel stride (h, w) + (i, j) - before."""

    size: tuple[int, int]  # of the larger picture
    kernel: int
    stride: int
    before: int  # zeros above and to the left
    after: tuple[int, int]  # zeros below, and to the right

    @property
    def around(self) -> list[tuple[int, int]]:
        """Zeros before and after, of rows and of columns."""
        return [(self.before, after) for after in self.after]

    def places(self) -> tuple[int, int]:
        """Height and width of the smaller picture."""
        sides = zip(self.size, self.around, strict=True)
        height, width = ((n + sum(zeros) - self.kernel) // self.stride + 1 for n, zeros in sides)
        return height, width


def convolve(
    image: Image,
    weight: Float[Array, "_out _in _k _k"],
    *,
    stride: int = 1,
    before: int,
    after: int,
) -> Image:
    """The convolution of a picture, as `equinox.nn.Conv2d` but with channels last.

    Args:
        image: the picture.
        weight: of square kernels, in the order of `equinox.nn.Conv2d`.
        stride: pixels from one place to the next.
        before: rows and columns of zeros above and to the left.
        after: those below and to the right.
    """
    height, width, _ = image.shape
    at = _Geometry((height, width), weight.shape[-1], stride, before, (after, after))
    return _convolve.bind(image[None], weight.transpose(2, 3, 1, 0), at=at)[0]


def spread(
    image: Image,
    weight: Float[Array, "_out _in _k _k"],
    *,
    stride: int,
    before: int,
    size: tuple[int, int],
) -> Image:
    """The transposed convolution: tap (i, j) of pixel (h, w) is added to that at stride h + i.

    Args:
        image: the picture.
        weight: of square kernels.
        stride: pixels of the larger picture for each of the picture.
        before: rows and columns of the larger picture that are cut off above and to the left.
        size: height and width of the larger picture; what falls off its end is lost.
    """
    (height, width, _), kernel = image.shape, weight.shape[-1]
    last = kernel - stride - before
    below, right = height * stride + last - size[0], width * stride + last - size[1]
    at = _Geometry(size, kernel, stride, before, (max(below, 0), max(right, 0)))
    return _spread.bind(image[None], weight.transpose(2, 3, 0, 1), at=at)[0]


def plain_convolve(x: Images, w: Kernel, *, at: _Geometry) -> Images:
    """XLA's."""
    strides, order = (at.stride, at.stride), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, w, strides, at.around, dimension_numbers=order)


def plain_spread(y: Images, w: Kernel, *, at: _Geometry) -> Images:
    """XLA's gradient of the picture."""
    x = jax.ShapeDtypeStruct((len(y), *at.size, w.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: plain_convolve(x, w, at=at), x)(y)[0]


def plain_weigh(x: Images, y: Images, *, at: _Geometry) -> Kernel:
    """XLA's gradient of the kernel."""
    w = jax.ShapeDtypeStruct((at.kernel, at.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: plain_convolve(x, w, at=at), w)(y)[0]


def fast_convolve(x: Images, w: Kernel, *, at: _Geometry) -> Images:
    """XLA's, of a few pictures at a time."""
    entries = math.prod(x.shape[1:]) + math.prod(at.places()) * w.shape[3]
    return _by_parts(lambda x: plain_convolve(x, w, at=at), x, entries)


def fast_spread(y: Images, w: Kernel, *, at: _Geometry) -> Images:
    """A product gives what each pixel paints; what falls on one pixel is added up."""
    (k, _, i, o), (_, height, width, _) = w.shape, y.shape
    weights, zero = w.transpose(3, 0, 1, 2).reshape(o, -1), jnp.zeros((), y.dtype)

    def ends(tap: int, places: int, size: int) -> tuple[int, int, int]:
        start = tap - at.before
        return start, size - start - (places - 1) * at.stride - 1, at.stride - 1

    def some(y: Images) -> Images:
        paint = (y.reshape(-1, o) @ weights).reshape(-1, height, width, k, k, i)
        total = jnp.zeros((), y.dtype)
        for a, b in _taps(k):
            sides = ends(a, height, at.size[0]), ends(b, width, at.size[1])
            none = (0, 0, 0)
            total = total + jax.lax.pad(paint[:, :, :, a, b], zero, (none, *sides, none))
        return total

    return _by_parts(some, y, height * width * k * k * i)


def fast_weigh(x: Images, y: Images, *, at: _Geometry) -> Kernel:
    """A product of the patches that the pixels of y saw, and those pixels."""
    i, o, k, s, (height, width) = x.shape[3], y.shape[3], at.kernel, at.stride, at.places()
    if s == 1 and i > o:  # patches of the picture with fewer channels: the other way round
        below, right = (m - n + at.before for m, n in zip(at.size, at.places(), strict=True))
        back = _Geometry((height, width), k, 1, k - 1 - at.before, (below, right))
        return fast_weigh(y, x, at=back)[::-1, ::-1].swapaxes(2, 3)
    rows, columns, entries = (height - 1) * s + 1, (width - 1) * s + 1, height * width * k * k * i

    def some(total: Array, pair: tuple[Images, Images]) -> tuple[Array, None]:
        padded = jnp.pad(pair[0], ((0, 0), *at.around, (0, 0)))
        seen = [padded[:, a : a + rows : s, b : b + columns : s] for a, b in _taps(k)]
        patches = jnp.concatenate(seen, -1).reshape(-1, k * k * i)
        return total + patches.T @ pair[1].reshape(-1, o), None

    zero = jnp.zeros((k * k * i, o), x.dtype)
    return jax.lax.scan(some, zero, (_parts(x, entries), _parts(y, entries)))[0].reshape(k, k, i, o)


def _taps(kernel: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(kernel) for b in range(kernel)]


def _parts(images: Images, entries: int) -> Float[Array, "_parts _few _h _w _c"]:
    """As many pictures at a time as divide them all, and keep `entries` of each in the cache."""
    n = len(images)
    few = max(m for m in range(1, n + 1) if n % m == 0 and (m == 1 or m * entries <= _CACHED))
    return images.reshape(-1, few, *images.shape[1:])


def _by_parts(function: Callable[[Images], Images], images: Images, entries: int) -> Images:
    parts = _parts(images, entries)
    if len(parts) == 1:
        return function(images)
    found = jax.lax.map(function, parts)
    return found.reshape(-1, *found.shape[2:])


def _primitive(name: str, plain: Callable[..., Array], fast: Callable[..., Array]) -> Primitive:
    """A bilinear map with one axis for all pictures; `fast` is for the CPU."""
    primitive = Primitive(name)

    def batch(operands: Any, axes: Any, *, at: _Geometry) -> tuple[Array, int]:
        (pictures, other), (axis, others) = operands, axes
        if others is not None or plain is plain_weigh:
            return jax.vmap(partial(fast, at=at), axes)(pictures, other), 0
        pictures = jnp.moveaxis(pictures, axis, 0)
        found = primitive.bind(pictures.reshape(-1, *pictures.shape[2:]), other, at=at)
        return found.reshape(*pictures.shape[:2], *found.shape[1:]), 0

    def abstract(x: Any, other: Any, *, at: _Geometry) -> Any:
        found = jax.eval_shape(partial(plain, at=at), x, other)
        return ShapedArray(found.shape, found.dtype)

    primitive.def_impl(jax.jit(primitive.bind, static_argnames="at"))
    primitive.def_abstract_eval(abstract)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(fast, multiple_results=False), platform="cpu")
    return primitive


_convolve = _primitive("convolve", plain_convolve, fast_convolve)
_spread = _primitive("spread", plain_spread, fast_spread)
_weigh = _primitive("weigh", plain_weigh, fast_weigh)
ad.defbilinear(
    _convolve,
    lambda g, x, w, at: _spread.bind(g, w, at=at),
    lambda g, x, w, at: _weigh.bind(x, g, at=at),
)
ad.defbilinear(
    _spread,
    lambda g, y, w, at: _convolve.bind(g, w, at=at),
    lambda g, y, w, at: _weigh.bind(g, y, at=at),
)
ad.defbilinear(
    _weigh,
    lambda g, x, y, at: _spread.bind(y, g, at=at),
    lambda g, x, y, at: _convolve.bind(x, g, at=at),
)
