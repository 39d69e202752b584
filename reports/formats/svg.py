"""A figure of matplotlib as an SVG element of a page: ids of its own, the page's text colour, no style sheet."""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1d2433"
"""Stands for the page's own text colour until the SVG is in the page."""

RASTER = 120
"""Dots per inch of what is drawn as a picture."""


def svg(name: str, title: str, text: str, figure: Figure) -> str:
    """The figure as an SVG element with a name and a description; name: what its ids begin with."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(out, format="svg", dpi=RASTER, metadata={"Date": None, "Creator": None}, transparent=True)
    found = out.getvalue().decode("utf-8")
    found = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", found[found.index("<svg") :], flags=re.DOTALL)
    # The policy of the page forbids styles inside it: attributes say the same.
    found = re.sub(r"<style.*?</style>", "", found, flags=re.DOTALL)
    found = re.sub(r' style="([^"]*)"', lambda m: _attributes(m[1]), found)
    found = re.sub(r'(?<=\s)id="', f'id="{name}-', found)
    found = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", found).replace(INK, "currentColor")
    names = f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-text">{html.escape(text)}</desc>'
    joins = 'stroke-linejoin="round" stroke-linecap="butt"'
    found = found.replace("<svg ", f'<svg {joins} role="img" aria-labelledby="{name}-title {name}-text" ', 1)
    return re.sub(r"(<svg [^>]*>)", lambda m: m[1] + names, found, count=1)


def _attributes(style: str) -> str:
    """A style as attributes of the element, which the page's policy allows.

    >>> _attributes("fill: none; stroke-width: 0.8; stroke-dasharray: 3.7,1.6")
    ' fill="none" stroke-width="0.8" stroke-dasharray="3.7,1.6"'
    """
    pairs = dict(part.split(": ", 1) for part in style.split("; ") if part)
    return "".join(f' {name}="{value}"' for name, value in pairs.items())
