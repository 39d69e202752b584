"""What people look at: terminal, Markdown, HTML and plots, made from records. Knows nothing else of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Header": "xentcheck.records.file",
    "Record": "xentcheck.records.record",
    "RunFile": "xentcheck.records.run",
    "RunWriter": "xentcheck.records.file",
    "Summary": "xentcheck.reports.analysis.summary",
    "print_summary": "xentcheck.reports.formats.terminal",
    "summarize": "xentcheck.reports.analysis.summary",
    "write_report": "xentcheck.reports.formats.write",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
