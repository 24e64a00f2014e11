"""How a front end becomes part of a page: scripts joined into one, each element marked."""

import hashlib
from pathlib import Path

STATIC = Path(__file__).parent / "static"


def bundle(*names: str) -> str:
    """Files of the front end, one after another.

    Args:
        *names: files of the folder `static`.

    Returns:
        Their text.
    """
    return "\n".join((STATIC / name).read_text("utf-8") for name in names)


def once(tag: str, content: str) -> str:
    """An element marked with the hash of its content, so that a page can keep one of each.

    Args:
        tag: `"style"` or `"script"`.
        content: what it holds.

    Returns:
        HTML.
    """
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f'<{tag} data-once="{digest}">\n{content}\n</{tag}>'
