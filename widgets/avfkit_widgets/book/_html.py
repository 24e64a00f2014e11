"""What a cell of a chapter shows: HTML in the page, plain text wherever there is none."""

from html import escape


class Html:
    """A displayed piece of HTML with a plain-text equivalent.

    Example:
        >>> Html("<b>holds</b>", plain="holds")
        holds
    """

    def __init__(self, html: str, *, plain: str) -> None:
        """Keep both forms.

        Args:
            html: what JupyterLab and the built page show.
            plain: what a terminal shows.
        """
        self.html = html
        self.plain = plain

    def __repr__(self) -> str:
        """Return the plain text."""
        return self.plain

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"text/html": self.html, "text/plain": self.plain}


def tag(name: str, content: str = "", /, **attributes: str) -> str:
    """Write one HTML element.

    Args:
        name: the element, for example `td`.
        content: its inner HTML, already escaped.
        **attributes: its attributes; values are escaped, a trailing underscore is dropped
            (`class_`) and an underscore becomes a hyphen (`aria_label`).

    Returns:
        The element as a string.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>"
