"""Coverage: which pairs of option levels an implementation really met in the comparisons that were executed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

COLUMNS = ["implementation", "pairs met", "of", "share", "not met"]
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Pairs of levels of two factors, as "target u8 x rank 3": how many there are, how many were met, and the others.

    >>> found = Coverage(adapter="torch", variant="eager", device="cpu", possible=3, met=2, gaps=("rank 3 x dtype f",))
    >>> Coverage.from_json(found.to_json()) == found
    True
    """

    adapter: str
    variant: str
    device: str
    possible: int
    met: int
    gaps: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return asdict(self) | {"gaps": list(self.gaps)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Coverage:
        """What `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(data) ^ known):
            raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
        for name in known:
            allowed = {"possible": int, "met": int, "gaps": list}.get(name, str)
            if not isinstance(data[name], allowed):
                raise TypeError(f"{name} is of type {type(data[name]).__name__}; allowed: {allowed.__name__}")
        if not all(isinstance(gap, str) for gap in data["gaps"]) or data["met"] + len(data["gaps"]) != data["possible"]:
            raise ValueError(f"{data['met']} pairs met of {data['possible']}, and {len(data['gaps'])} gaps")
        return cls(**{**data, "gaps": tuple(data["gaps"])})


def coverage_table(found: Iterable[Coverage]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows; of many gaps the first are named."""
    rows = []
    for c in sorted(found, key=lambda c: (c.adapter, c.variant, c.device)):
        gaps = ", ".join(c.gaps[:SHOWN]) + (f" and {len(c.gaps) - SHOWN} more" if len(c.gaps) > SHOWN else "")
        share = f"{c.met / c.possible:.1%}" if c.possible else "-"
        rows.append([f"{c.adapter} {c.variant} {c.device}", str(c.met), str(c.possible), share, gaps or "-"])
    return COLUMNS, rows
