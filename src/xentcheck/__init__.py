"""xentcheck: is a softmax cross-entropy right, is its gradient right, and how right, for its dtype?

The public names are loaded on first use (PEP 562), so that `import xentcheck` imports no framework and no NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "check": "xentcheck.api",
    "assert_agrees": "xentcheck.api",
    "Run": "xentcheck.api",
    "check_large": "xentcheck.large",
    "assert_values_agree": "xentcheck.testing.given",
    "check_projection": "xentcheck.studies.projection.check",
    "replay": "xentcheck.reproduce.replay",
    "Case": "xentcheck.cases.case",
    "build": "xentcheck.cases.build",
    "Disagreement": "xentcheck.errors",
    "Undecided": "xentcheck.errors",
    "XentcheckError": "xentcheck.errors",
}
_MODULES = ("reference", "adapters", "reports", "strategies")

__all__ = [*_EXPORTS, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    if name in _MODULES:
        return import_module(f"xentcheck.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("xentcheck")
    raise AttributeError(f"module 'xentcheck' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
