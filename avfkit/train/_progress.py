"""How a run tells that it is alive: nothing, lines of text, or a bar.

A progress object opens a display and hands out one function; `fit` calls it with each record that
it also writes to the metrics.
"""

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import equinox as eqx

Record: TypeAlias = dict[str, Any]
"""One line of the metrics: `kind`, `step`, `seconds`, and what was logged (`None`: not finite)."""

NORM = "gradient_norm"
"""The name of the norm of a gradient; that of a part has the path of the part behind it."""

Report: TypeAlias = Callable[[Record], None]


class AbstractProgress(eqx.Module):
    """Shows the records of a run while it goes on."""

    @abstractmethod
    def open(self, start: int, num_steps: int) -> AbstractContextManager[Report]:
        """Opens the display.

        Args:
            start: the number of steps done already (not 0 when a run resumes).
            num_steps: the number of steps of the whole run.

        Returns:
            A context manager that gives the function to call with each record.
        """


class NoProgress(AbstractProgress):
    """Shows nothing."""

    @contextmanager
    def open(self, start: int, num_steps: int) -> Iterator[Report]:
        """Opens nothing."""
        del start, num_steps
        yield lambda record: None


class TextProgress(AbstractProgress):
    """Prints one line per record to standard output: made for logs and for book pages."""

    @contextmanager
    def open(self, start: int, num_steps: int) -> Iterator[Report]:
        """Prints from which step a resumed run goes on, then one line per record."""
        if start > 0:
            print(f"resumed at step {start} of {num_steps}")
        warned = _Warned()

        def report(record: Record) -> None:
            print(*[_line(record, num_steps), *warned(record)], sep="\n", flush=True)

        yield report


class TqdmProgress(AbstractProgress):
    """Draws a bar on standard error; needs `tqdm`."""

    @contextmanager
    def open(self, start: int, num_steps: int) -> Iterator[Report]:
        """Draws the bar.

        Raises:
            ImportError: if `tqdm` is not installed.
        """
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise ImportError(
                "TqdmProgress needs tqdm, which is not installed: run "
                "`pip install 'avfkit[progress]'`, or use TextProgress() or NoProgress()."
            ) from error
        warned = _Warned()
        with tqdm(total=num_steps, initial=start, unit="step", file=sys.stderr) as bar:

            def report(record: Record) -> None:
                bar.set_postfix_str(_numbers(record), refresh=False)
                bar.update(record["step"] - bar.n)
                for line in warned(record):
                    bar.write(line, file=sys.stderr)

            yield report


def _line(record: Record, num_steps: int) -> str:
    step = str(record["step"]).rjust(len(str(num_steps)))
    return f"step {step}/{num_steps}  {record['kind']:<10}  {_numbers(record)}"


def _numbers(record: Record) -> str:
    """The scalars of a record; gradient norms are for the file."""
    shown = {
        name: value
        for name, value in record.items()
        if name not in ("kind", "step", "seconds", "warning")
        and not isinstance(value, list)
        and not name.startswith(NORM)
    }
    return "  ".join(f"{name} {_number(value)}" for name, value in shown.items())


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


class _Warned:
    """The line of a warning, unless it is the one that was shown last."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, record: Record) -> list[str]:
        if record["kind"] != "validation":
            return []
        last, self._last = self._last, record.get("warning", "")
        return [f"warning: {self._last}"] if self._last not in ("", last) else []
