"""The folder of a run: `checkpoint.avfkit` and `metrics.jsonl`, and whose they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from jaxtyping import PyTree

from avfkit.train._checkpoint import CheckpointError, as_json, read_verified, restore, write
from avfkit.train._lock import lock


class Folder:
    """Where a run lives; with `path=None` it lives nowhere, and nothing is read or written.

    Use it in a `with` statement, whose end lets go of the folder.

    Attributes:
        metrics: the file of the metrics, or `None`.
    """

    metrics: Path | None

    def __init__(self, path: str | Path | None, hyperparameters: Mapping, run: Mapping) -> None:
        """Notes what tells this run from any other.

        Args:
            path: the folder; made if it does not exist.
            hyperparameters: given by the user.
            run: what `fit` itself knows: key, initial arrays, intervals.
        """
        self._path = None if path is None else Path(path)
        self._hyperparameters = as_json("hyperparameters", hyperparameters)
        self._run = dict(run)
        self._lock: TextIO | None = None
        self._saved = 0
        self.metrics = None if self._path is None else self._path / "metrics.jsonl"

    def __enter__(self) -> "Folder":
        """Nothing yet: `resume` locks the folder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the folder."""
        if self._lock is not None:
            self._lock.close()

    def resume(self, carry: PyTree) -> PyTree:
        """The state in the folder; in a new folder the given one, which becomes its checkpoint.

        From now on no other run may use the folder.

        Args:
            carry: (state, best), of which `state.step` says how many steps are done.

        Raises:
            CheckpointError: if the folder belongs to another run or is in use by one, or its
                checkpoint is damaged.
        """
        if self._path is None:
            return carry
        self._lock = lock(self._path)
        if not self._checkpoint.exists():
            self._found(carry)
            return carry
        header, content = read_verified(self._checkpoint)
        there, here = header["hyperparameters"], self._hyperparameters
        self._compare("hyperparameter ", there, here)
        carry = restore(self._checkpoint, (header, content), carry)
        self._compare("", header["run"], self._run)
        self._saved = int(carry[0].step)
        return carry

    def save(self, carry: PyTree) -> None:
        """Replaces the checkpoint."""
        if self._path is not None:
            write(self._checkpoint, carry, hyperparameters=self._hyperparameters, run=self._run)
            self._saved = int(carry[0].step)

    @property
    def kept(self) -> str:
        """What a message about a bad step ends with: which checkpoint is the last good one."""
        if self._path is None:
            return ""
        return f" The last good checkpoint is {self._checkpoint}, after {self._saved} steps."

    @property
    def _checkpoint(self) -> Path:
        assert self._path is not None
        return self._path / "checkpoint.avfkit"

    def _found(self, carry: PyTree) -> None:
        assert self._path is not None and self.metrics is not None
        if self.metrics.exists():
            raise CheckpointError(
                f"{self._path} holds metrics.jsonl but no checkpoint.avfkit, so it is not known "
                "whose they are; give each run its own folder."
            )
        self._path.mkdir(parents=True, exist_ok=True)
        self.save(carry)

    def _compare(self, kind: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        for name in sorted(there.keys() | here.keys()):
            found, expected = there.get(name, "not given"), here.get(name, "not given")
            if found != expected:
                raise CheckpointError(
                    f"{self._path} holds another run: {kind}{name} is {found!r} there, expected "
                    f"{expected!r}; give each run its own folder."
                )
