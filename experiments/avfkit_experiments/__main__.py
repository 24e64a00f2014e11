"""The command `avfkit`; `python -m avfkit_experiments` is the same."""

import sys


def main() -> None:
    """Runs the command line, or says what to install."""
    try:
        import click  # noqa: F401
    except ImportError:
        sys.exit("The command avfkit needs click: pip install 'avfkit[cli]'.")
    from ._commands import avfkit
    from ._compiled import keep_compiled

    keep_compiled()
    avfkit(prog_name="avfkit")


if __name__ == "__main__":
    main()
