"""Where a run was made: versions and settings, the host, and how long each part took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section


def environment(run: RunFile, summary: Summary) -> Section:
    """Versions and settings."""
    columns = (Column("setting"), Column("value"))
    return Section("Environment", columns, tuple(_flat(run.header.environment)), opened=False)


def host(run: RunFile, summary: Summary) -> Section:
    """The host, and the seconds that each part took."""
    rows = (*_flat(run.header.host), *((name, f"{seconds:.3f} s") for name, seconds in run.timings))
    prose = "What belongs to the machine and the moment. Everything else of two equal runs is the same."
    return Section("Host and timings", (Column("what"), Column("value")), rows, prose, opened=False)


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in sorted(data.items()):
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", str(value)
