"""Long recordings without their floats: integers, wherever they lie, standardised when sliced."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import check_number, check_positive


@dataclass(frozen=True, eq=False)
class Levels:
    """A sequence `[time, obs]` of integer levels that reads as float32: (raw - offset) / scale.

    Slicing it makes an array of the slice and touches nothing else, so that hours of sound or film
    can stay on disk, memory-mapped. `np.asarray` makes the whole sequence.

    Attributes:
        raw: the integers, `[time, obs]`; a view or a memory map is kept as it is.
        offset: the level that reads as 0.
        scale: levels per unit.

    Raises:
        TypeError: if `raw` holds no integers, or a unit is no number.
        ValueError: if `scale` is not positive and finite or `offset` not finite.

    Example:
        >>> import numpy as np
        >>> film = Levels(np.full((1000, 4096), 51, np.uint8), offset=0, scale=255)
        >>> len(film), film[3:5].shape, float(film[0, 0])
        (1000, (2, 4096), 0.20000000298023224)
    """

    raw: np.ndarray
    offset: int | float
    scale: int | float

    def __post_init__(self) -> None:
        """Checks what is cheap to check: nothing is read."""
        if not isinstance(self.raw, np.ndarray) or self.raw.dtype.kind not in "iu":
            found = getattr(self.raw, "dtype", type(self.raw).__name__)
            raise TypeError(f"raw has dtype {found}, expected integers.")
        check_number("offset", self.offset)
        check_positive("scale", self.scale)

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.raw)

    @property
    def shape(self) -> tuple[int, ...]:
        """Steps and columns, as an array's."""
        return self.raw.shape

    @property
    def ndim(self) -> int:
        """Number of axes, 2 in a data set."""
        return self.raw.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.raw.size

    @property
    def dtype(self) -> np.dtype:
        """What slices have: float32."""
        return np.dtype(np.float32)

    def __getitem__(self, index: Any) -> Any:
        """The standardised entries at any NumPy index: an array, or a float32 scalar."""
        shifted = np.subtract(self.raw[index], np.float32(self.offset), dtype=np.float32)
        return shifted / np.float32(self.scale)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it as an array, always a new one."""
        if copy is False:
            raise ValueError("levels are standardised when read: no array of them without a copy.")
        return np.asarray(self[:], dtype)
