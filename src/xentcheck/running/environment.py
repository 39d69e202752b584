"""What a run was made with: versions and numerics settings, and apart from them the machine and the time."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from xentcheck.errors import declaring

from .subjects import Subject

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter

GENERATOR = 2
"""Version of the laws that draw inputs: the same case id gives the same bits under the same generator."""


def environment(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Versions and settings: equal for equal installations, whatever the machine's load."""
    adapters = {s.adapter.name: s.adapter for s in subjects if not s.missing}
    missing = {s.adapter.name: s.missing for s in subjects if s.missing}
    return {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "adapters": {name: _about(adapter) for name, adapter in adapters.items()},
        "unavailable": missing,
    }


def _about(adapter: Adapter) -> dict[str, str]:
    with declaring(adapter.name):
        return {"version": adapter.version(), **adapter.settings()}


def host(jobs: int) -> dict[str, Any]:
    """The machine and the moment: two equal runs may differ here."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "workers": jobs,
    }
