"""The 10,000 test digits of MNIST, from a prepared file or from the published one.

References:
    LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE.
"""

import gzip
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from ._cache import part_folder
from ._download import download
from ._original import ADVICE, Arrays, Original
from ._recordings import Prepared

_SHAPE = (10_000, 28, 28)
_HEADER = 16  # bytes: four big-endian integers, a magic number and the shape

PREPARED = Prepared(
    "the MNIST test digits",
    "mnist_t10k",
    "mnist_t10k.npz",
    "c09c2c24fb2127638213b97af25732ffde603487b9f64878ac2c59a7a1c30dc0",
)


def original(address: str, digest: str, shape: tuple[int, int, int]) -> Original:
    """Pictures in a gzipped IDX file of this shape."""
    pictures = partial(_fetched, address, shape)
    return Original(address, "2 MB", pictures, ("image",), digest)


def _fetched(address: str, shape: tuple[int, int, int], path: Path) -> Arrays:
    size = _HEADER + int(np.prod(shape))
    with part_folder(path) as folder:
        file = folder / "digits.gz"
        download("MNIST", address, file, advice=ADVICE)
        try:
            with gzip.open(file) as content:
                data = content.read(size + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{address} delivered no gzip file ({error}). Nothing was kept: try again later."
            ) from error
    if len(data) != size:
        raise ValueError(
            f"{address} delivered more or fewer than the {size:,} bytes of the digits. Nothing was "
            "kept: try again later."
        )
    return {"image": np.frombuffer(data, np.uint8, offset=_HEADER).reshape(shape)}


PUBLIC = original(
    "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
    "ee9f04234091fe20b90e911c3d2e1576b423c908fe23eb15b0dbc8c0ab25b0c9",
    _SHAPE,
)
