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
"""One line of the metrics: `kind`, `step`, `seconds`, and numbers (`None` where not finite)."""

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
        yield lambda record: print(_line(record, num_steps), flush=True)


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
        with tqdm(total=num_steps, initial=start, unit="step", file=sys.stderr) as bar:

            def report(record: Record) -> None:
                bar.set_postfix_str(_numbers(record), refresh=False)
                bar.update(record["step"] - bar.n)

            yield report


def _line(record: Record, num_steps: int) -> str:
    step = str(record["step"]).rjust(len(str(num_steps)))
    return f"step {step}/{num_steps}  {record['kind']:<10}  {_numbers(record)}"


def _numbers(record: Record) -> str:
    shown = {k: v for k, v in record.items() if k not in ("kind", "step", "seconds")}
    return "  ".join(f"{name} {_number(value)}" for name, value in shown.items())


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
