"""A table as a file: JSON, to keep in git, and to make the page of it anew."""

from __future__ import annotations

import json
from pathlib import Path

from xentcheck.errors import RunFileError
from xentcheck.records.paths import data

from .largest import Cell, Source, Table

SCHEMA = 1
TOOL = "xentcheck"
SUFFIX = ".json"
TABLE = data("table", "table")


def to_json(table: Table) -> str:
    """The text of its file: one line for each run and each cell."""
    parts = {"runs": table.sources, "cells": table.cells}
    lines = {
        name: ",\n".join(json.dumps(item.to_json(), sort_keys=True) for item in items) for name, items in parts.items()
    }
    head = f'"tool": "{TOOL}", "kind": "table", "schema": {SCHEMA}'
    return f'{{{head},\n"runs": [\n{lines["runs"]}\n],\n"cells": [\n{lines["cells"]}\n]}}\n'


def load(path: Path) -> Table:
    """The table of a file. Raises RunFileError with one line."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"table {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):  # what is no UTF-8 is a ValueError, too
        raise RunFileError(f"table {path} is not JSON: truncated, or no table of {TOOL}") from None
    if not isinstance(found, dict) or (found.get("tool"), found.get("kind")) != (TOOL, "table"):
        raise RunFileError(
            f"{path} is no table; allowed: a file of `xentcheck table --out NAME{SUFFIX}`, or a run file"
        )
    if found.get("schema") != SCHEMA:
        told = f"schema {found.get('schema')!r}; allowed: {SCHEMA} (written by another version)"
        raise RunFileError(f"table {path} has {told}")
    try:
        return Table(tuple(map(Source.from_json, found["runs"])), tuple(map(Cell.from_json, found["cells"])))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunFileError(f"table {path} is malformed: {error}") from error
