"""What every explorer does on a kernel: answer its views with the arrays of the picture."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import anywidget
import numpy as np
import traitlets


class AbstractLiveExplorer(anywidget.AnyWidget):
    """A widget whose traits are its state and whose views ask for pictures.

    A view sends `eval` with the values that the reader moved; the answer is `result` with the
    values of all of them and one float32 buffer per array, or `error` with what went wrong. A trait
    that Python moves sends a result nobody asked for.
    """

    def __init__(self, **traits: Any) -> None:
        """Set any of the traits by name."""
        self._answering = False
        super().__init__(**traits)
        self.on_msg(AbstractLiveExplorer._receive)
        self.observe(self._moved, names=list(self._values()))

    @abstractmethod
    def _values(self) -> dict[str, Any]:
        """The state: the names of the traits that a reader can move, and their values."""

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """The numbers behind the picture of the state."""

    def _receive(self, message: Mapping[str, Any], buffers: object) -> None:
        """Answer a view's request; whatever goes wrong is shown to the reader."""
        del buffers
        if message.get("type") == "eval":
            self._answer(message.get("seq"), message.get("moved", {}))

    def _moved(self, change: object) -> None:
        """Python moved a trait: send the views a picture they did not ask for."""
        del change
        if not self._answering:
            self._answer(None, {})

    def _answer(self, seq: str | None, moved: Mapping[str, Any]) -> None:
        try:
            self._answering = True
            self._adopt(moved)
            arrays = self._arrays()
        except Exception as error:
            self.log.exception("The explorer could not answer %r", moved)
            text = f"{type(error).__name__}: {error}"
            self.send({"type": "error", "seq": seq, "message": text})
        else:
            buffers = [np.asarray(array, "<f4").tobytes() for array in arrays.values()]
            fields, values = list(arrays), self._values()
            message = {"type": "result", "seq": seq, "values": values, "fields": fields}
            self.send(message, buffers)
        finally:
            self._answering = False

    def _adopt(self, moved: Mapping[str, Any]) -> None:
        names = list(self._values())
        unknown = sorted(set(moved) - set(names))
        if unknown:
            raise traitlets.TraitError(
                f"moved must name some of {', '.join(names)}, found {', '.join(unknown)}"
            )
        with self.hold_sync():
            for name, value in moved.items():
                setattr(self, name, value)
