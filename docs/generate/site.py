"""The Sphinx extension: it makes the built pages, puts the doors on the landing page, and knows the directive `run`."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.config import Config

from .built import PAGES, README
from .docstrings import laid_out
from .run_directive import Run
from .tree import BUILT, toctrees

TO_README = re.compile(r"\]\(((?:\.\./)+)README\.md")
"""A link that leaves docs/ for the README, which is a page of the site."""

SIGNS = re.compile(r"(?<!`)([*|])")
"""What reStructuredText would take for markup."""


def make_pages(app: Sphinx, config: Config) -> None:
    """Write the built pages before Sphinx looks for its sources."""
    folder = Path(app.srcdir) / BUILT
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = folder / f"{name}.md", make()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """What a page says on the site: the doors below the landing page, and the README as a page."""
    if name == "index":
        source[0] = f"{source[0]}\n{toctrees(Path(app.srcdir))}\n"
    source[0] = TO_README.sub(lambda found: f"]({found[1].removeprefix('../')}{BUILT}/{README}.md", source[0])


def plain(app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]) -> None:
    """Docstrings are no reStructuredText: a star is a product, a bar an absolute value. Parameters become a list."""
    has_parameters = inspect.isfunction(found) or (isinstance(found, type) and is_dataclass(found))
    names = inspect.signature(found).parameters if callable(found) and has_parameters else ()
    prose = [line if line.lstrip().startswith(">>>") else SIGNS.sub(r"\\\1", line) for line in lines]
    lines[:] = laid_out(prose, tuple(names))


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("run", Run)
    app.add_lexer("mermaid", TextLexer)
    app.connect("config-inited", make_pages)
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", plain)
    return {"parallel_read_safe": True}
