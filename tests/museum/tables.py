"""What `benchmarks/museum.py` writes: the cases that must kill each fault, and those that come closest to an alarm.

kills.json: framework -> fault -> side -> the case that accuses it, or the law. closest.json: framework -> right
implementation -> cases, one for each dtype, in which most of a bound is used up.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

KILLS = "kills.json"
CLOSEST = "closest.json"


def read(name: str) -> dict[str, dict[str, Any]]:
    """One of the tables; empty if it is not there."""
    path = files(__package__).joinpath(name)
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def text_of(table: dict[str, dict[str, Any]]) -> str:
    """JSON with a line for each implementation, in order of name.

    >>> print(text_of({"numpy": {"b": {"value": "case"}, "a": {}}}), end="")
    {
    "numpy": {
    "a": {},
    "b": {"value": "case"}
    }
    }
    """
    parts = []
    for framework, rows in sorted(table.items()):
        lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items())]
        parts.append(f"{json.dumps(framework)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
