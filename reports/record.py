"""Record: what one comparison found, as plain data that survives a round trip through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

ULP_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1024.0, 1048576.0)
"""Lower edges of the bins of `Record.ulp_counts`; the last bin has no upper end."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One comparison: adapter variant x device x dtype x quantity x case.

    share: largest observed error / bound. ulp: largest error in units in the last place of the exact value.
    got, expected, bound: the worst element, as hexadecimal floats ("inf", "nan" where they are). index: its position.
    applicable, rejected: the standard wrong answers that this comparison could have told from the right one, and those
    that its bound rejects. required: those that its group must reject. blind_fraction: share of the non-zero elements
    that could be zeroed unnoticed. shares: contract -> share, for every contract of the catalogue that was evaluated.
    elements: number of elements compared. ulp_counts: elements per bin of ULP_EDGES. margins: [margin of the target's
    logit, relative error of dC/dz at the target, its relative bound] per row, for the plot of error against margin.
    """

    adapter: str
    variant: str
    version: str = ""
    device: str
    dtype: str
    quantity: str
    case: str
    group: str
    contract: str
    outcome: str
    reason: str = ""
    link: str = ""
    digest: str = ""
    share: float | None = None
    ulp: float | None = None
    index: tuple[int, ...] = ()
    got: str = ""
    expected: str = ""
    bound: str = ""
    elements: int = 0
    applicable: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    blind_fraction: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    ulp_counts: tuple[int, ...] = ()
    margins: tuple[tuple[float, float, float], ...] = ()
    replay: str = ""

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; fields at their default are left out; infinities and nan become strings."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: _plain(value) for name, value in given.items() if not _left_out(value)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The record that `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name: f for f in fields(cls)}
        kwargs: dict[str, Any] = {}
        for name, value in data.items():
            if name not in known:
                raise ValueError(f"unknown field {name!r} in a record")
            kwargs[name] = _rich(name, value)
        return cls(**kwargs)


def _left_out(value: Any) -> bool:
    """Nothing known, or nothing in it; a number is never left out."""
    return value is None or (isinstance(value, (str, tuple, dict)) and not value)


def _plain(value: Any) -> Any:
    """JSON has no infinity and no nan: they travel as strings."""
    if isinstance(value, float) and not (value == value and abs(value) != float("inf")):
        return repr(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _rich(name: str, value: Any) -> Any:
    if name in ("share", "ulp", "blind_fraction"):
        return float(value)
    if name == "shares":
        return {k: float(v) for k, v in value.items()}
    if name == "margins":
        return tuple(tuple(float(x) for x in row) for row in value)
    return tuple(value) if isinstance(value, list) else value
