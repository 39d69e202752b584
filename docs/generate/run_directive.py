"""The directive `run`: a build runs the command, and shows what it printed; a forge shows the command alone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

WIDTH = "80"


class Run(SphinxDirective):
    """One command a line, each `xentcheck ...`; `exits` is the exit code that is due, 0 by default.

    Commands run in the folder of the site, so that a page that one of them writes is part of it, and is shown.
    """

    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], object]]] = {"exits": directives.nonnegative_int}

    def run(self) -> list[nodes.Node]:
        """The session as a console shows it, and the pages that were written."""
        folder = Path(self.env.app.outdir) / Path(self.env.docname).parent
        folder.mkdir(parents=True, exist_ok=True)
        shown: list[str] = []
        pages: list[nodes.Node] = []
        for line in filter(None, self.content):
            name, *arguments = shlex.split(line)
            if name != "xentcheck":
                raise self.error(f"{line!r} is no command of xentcheck")
            done = printed_by(arguments, folder)
            if done.returncode != self.options.get("exits", 0):
                raise self.error(f"{line!r} ended with {done.returncode}: {done.stdout}")
            shown += [f"$ {line}", done.stdout.rstrip()]
            pages += [_frame(word) for word in arguments if word.endswith(".html")]
        text = "\n".join(shown)
        return [nodes.literal_block(text, text, language="console"), *pages]


def printed_by(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of xentcheck, run in a folder as on a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "xentcheck", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True, check=False)


def _frame(name: str) -> nodes.Node:
    """A page in the page, and a link to it."""
    frame = f'<iframe src="{name}" title="{name}" width="100%" height="900" loading="lazy"></iframe>'
    return nodes.raw("", f'{frame}<p><a href="{name}">Open it by itself</a></p>', format="html")
