"""A real JupyterLab on a free loopback port, and notebooks run in it by a browser."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
RUN_CELL = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.jupyterapp.commands.execute("notebook:run-cell");
}"""


class Lab:
    """A running server: its folder and where its notebooks are opened."""

    def __init__(self, folder: Path, address: str, token: str) -> None:
        self.folder = folder
        self._address = address
        self._token = token

    def write(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook; return the address that opens it alone."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.metadata["kernelspec"] = kernel
        nbformat.write(notebook, self.folder / f"{name}.ipynb")
        return f"{self._address}/doc/tree/{name}.ipynb?token={self._token}"


@contextmanager
def jupyter_lab(folder: Path, *, patience: float = 60) -> Iterator[Lab]:
    """Start JupyterLab with settings of its own; end it with everything it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    notebooks, log = folder / "notebooks", folder / "lab.log"
    notebooks.mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *("--expose-app-in-browser", f"--ServerApp.root_dir={notebooks}"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=_environment(folder, token),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/api/status?token={token}", server, log, patience)
        yield Lab(notebooks, address, token)
    finally:
        _end(server)


def open_notebook(page: Page, address: str) -> None:
    """Open a notebook and wait until its kernel rests."""
    page.goto(address)
    page.wait_for_function(
        "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
        " === 'idle'",
        timeout=60_000,
    )


def run_cell(page: Page, index: int) -> None:
    """Run one cell of the open notebook."""
    page.evaluate(RUN_CELL, index)


def wait_for_output(page: Page, selector: str, *, patience: float = 60) -> None:
    """Wait until a cell shows `selector`; an AssertionError with what it says if it fails."""
    failed = ".jp-OutputArea-output[data-mime-type*=error]"
    page.wait_for_selector(f"{selector}, {failed}", state="attached", timeout=1000 * patience)
    assert page.locator(failed).count() == 0, page.locator(failed).all_inner_texts()


def end_kernel(page: Page) -> None:
    """Shut the open notebook's kernel down."""
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def _environment(folder: Path, token: str) -> dict[str, str]:
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    folders = {name: str(folder / name.lower()) for name in own}
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    folders["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    paths = [str(ROOT), str(ROOT / "widgets"), os.environ.get("PYTHONPATH", "")]
    search = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return {**os.environ, **folders, **search, "JUPYTER_TOKEN": token}


def _wait(address: str, server: subprocess.Popen, log: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urlopen(address, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _end(server: subprocess.Popen) -> None:
    """Interrupt twice, as a person would: the server then shuts its kernels down."""
    for sign, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        if server.poll() is None:
            os.killpg(server.pid, sign)
            try:
                server.wait(patience)
            except subprocess.TimeoutExpired:
                continue
