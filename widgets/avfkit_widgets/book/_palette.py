"""Two colour schemes, one name each: a chapter names a colour, page and figure pick the shade.

A chapter writes `LIGHT["blue"]`. Wherever the page is dark, that exact colour is replaced by
`DARK["blue"]`, in the interactive figure and in its static picture. Every colour of a line or a
letter has a contrast of at least 4.5 against the background of its scheme, and neighbours in the
order below differ in lightness or hue also for the common colour deficiencies.
"""

LIGHT: dict[str, str] = {
    "blue": "#0067a5",
    "orange": "#b64500",
    "green": "#007556",
    "purple": "#8a3ca0",
    "gold": "#7a5c00",
    "grey": "#5d6670",
    "ink": "#1f2730",
    "grid": "#d9dee4",
}
"""Colours on the light background, by name."""

DARK: dict[str, str] = {
    "blue": "#62b6f3",
    "orange": "#ff9a5a",
    "green": "#40cfa3",
    "purple": "#dd9df0",
    "gold": "#e3c149",
    "grey": "#a4aeb9",
    "ink": "#e7eaee",
    "grid": "#3b444f",
}
"""Colours on the dark background, by the same names."""

BACKGROUND: dict[str, str] = {"light": "#ffffff", "dark": "#121212"}
"""Page background of each scheme; figures themselves are transparent."""

SERIES: tuple[str, ...] = ("blue", "orange", "green", "purple", "gold", "grey")
"""Names in the order in which unnamed series take them."""


def fade(color: str, alpha: float) -> str:
    """Make a colour of the palette translucent, for a band around a line.

    Args:
        color: a colour as `#rrggbb`, for example `LIGHT["blue"]`.
        alpha: opacity between 0 and 1.

    Returns:
        The colour as `rgba(r,g,b,alpha)`, still recognised when the scheme changes.

    Raises:
        ValueError: if `color` is not `#rrggbb` or `alpha` is outside [0, 1].
    """
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f"color must be '#rrggbb', found {color!r}")
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be between 0 and 1, found {alpha!r}")
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, between 1 and 21.

    Args:
        first: a colour as `#rrggbb`.
        second: a colour as `#rrggbb`.

    Returns:
        The ratio of their relative luminances, lighter over darker.

    References:
        Web Content Accessibility Guidelines 2.1, definition of contrast ratio.
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
