"""The run file and what people look at: terminal, Markdown, HTML and plots. Knows nothing else of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Header": "runfile",
    "Record": "record",
    "RunFile": "runfile",
    "RunWriter": "runfile",
    "Summary": "summary",
    "print_summary": "terminal",
    "summarize": "summary",
    "write_report": "report",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
