"""At most one process at a time writes to the folder of a run."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from avfkit.train._checkpoint import CheckpointError, written

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is guarded there
    fcntl = None


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # what is truncated must lie in the folder


def lock(folder: Path) -> TextIO:
    """Locks the file `.lock` of a folder, until what is returned is closed.

    The operating system lets go of it when the process ends, however it ends, so no lock is ever
    stale. The file itself stays: were it removed, two processes could lock two files of that name.

    Raises:
        CheckpointError: if another process, or another run in this one, holds it.
        OSError: if the folder cannot be made or written, or the file is a link.
    """
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644)
    file = os.fdopen(handle, "r+")
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with file:
            file.seek(0)
            raise CheckpointError(
                f"{folder} is in use by {file.read().strip()}; give each run its own folder."
            ) from error
    except OSError:  # a file system that cannot lock: nothing is guarded there
        return file
    with suppress(OSError):  # who it is, for others to read: a full disk may go without
        file.truncate(0)
        os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    return file
