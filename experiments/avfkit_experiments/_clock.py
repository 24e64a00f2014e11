"""What a training step costs the processor, whatever else the machine does meanwhile."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax


class Clock:
    """Counts the processor's seconds between validations; the first step, which compiles, is out.

    Attributes:
        spans: processor seconds from the end of each validation to the start of the next.
    """

    def __init__(self) -> None:
        self.spans: list[float] = []
        self._began: float | None = None

    def around(self, validate: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same validation, with the clock stopped while it runs."""

        def timed(tree: Any) -> Any:
            jax.block_until_ready(tree)
            if self._began is not None:
                self.spans.append(time.process_time() - self._began)
            found = validate(tree)
            self._began = time.process_time()
            return found

        return timed

    def seconds_per_step(self, every: int) -> float | None:
        """The median, of training steps with a validation `every` so many; None without a span."""
        return round(median(self.spans) / every, 5) if self.spans else None
