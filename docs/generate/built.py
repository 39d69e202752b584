"""The pages that each build makes anew: the README as a page, the commands, and what Python can import."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from xentcheck import adapters, reference, reports
from xentcheck.cli.main import COMMANDS, command_named

from .markdown import page
from .tree import BUILT, DOCS, ROOT

MADE = "Made from the code at each build of the site."

README = "check-my-loss"

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
"""A relative link: the file that it leads to."""

SHOWN = ("check", "assert_agrees", "assert_values_agree", "check_projection", "replay", "build")


def readme() -> str:
    """The README, whose relative links lead on from the folder of built pages."""
    text = (ROOT / "README.md").read_text("utf-8").replace("# xentcheck\n", "# Check my loss\n", 1)
    here = DOCS / BUILT
    return LINK.sub(lambda found: f"]({Path(os.path.relpath(ROOT / found[1], here)).as_posix()}", text)


def commands() -> str:
    """The help of every command, as a terminal of 80 columns shows it."""
    parts = ["Exit codes: 0 if everything agreed, 1 if something did not, 2 for bad input."]
    for name in COMMANDS:
        context = click.Context(command_named(name), info_name=f"xentcheck {name}", terminal_width=80)
        parts += [f"## {name}", f"```text\n{context.get_help()}\n```"]
    return page("Commands", *parts, note=MADE)


def python() -> str:
    """What can be imported, with the docstrings that autodoc finds."""
    parts = [_documented("xentcheck", [f"autofunction:: xentcheck.{name}" for name in SHOWN])]
    classes = [f"autoclass:: xentcheck.{name}\n   :members:" for name in ("Run", "Case")]
    errors = [f"autoexception:: xentcheck.{name}" for name in ("Disagreement", "Undecided", "XentcheckError")]
    parts.append(_documented("Results, cases and errors", classes + errors))
    for package in (adapters, reference, reports):
        named = [name for name in package.__all__ if callable(getattr(package, name))]
        parts.append(_documented(package.__name__, [_kind(package, name) for name in named]))
    parts.append(_documented("xentcheck.strategies", ["autofunction:: xentcheck.strategies.problems"]))
    return page("Python", *parts, note=MADE)


def _kind(package: object, name: str) -> str:
    found = getattr(package, name)
    where = getattr(package, "__name__", "")
    return f"autoclass:: {where}.{name}" if isinstance(found, type) else f"autofunction:: {where}.{name}"


def _documented(title: str, directives: list[str]) -> str:
    return "\n\n".join((f"## {title}", *(f"```{{eval-rst}}\n.. {text}\n```" for text in directives)))


PAGES = {README: readme, "commands": commands, "python": python}
"""Name of a page, and what makes it."""
