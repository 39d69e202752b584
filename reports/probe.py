"""Probe results: what implementations answer to degenerate inputs, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """One answer: the value and the gradient as text, or the name of an exception for both.

    >>> place = dict(adapter="torch", variant="eager", device="cpu")
    >>> answer = ProbeResult(**place, probe="all-ignored", text="every row ignored", value="nan", gradient="0 0 0")
    >>> ProbeResult.from_json(answer.to_json()) == answer
    True
    """

    adapter: str
    variant: str
    device: str
    probe: str
    text: str
    value: str
    gradient: str

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ProbeResult:
        """What `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(data) ^ known):
            raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
        for name, value in data.items():
            if not isinstance(value, str):
                raise TypeError(f"{name} is of type {type(value).__name__}; allowed: str")
        return cls(**data)


def probe_table(found: Iterable[ProbeResult]) -> tuple[list[str], list[list[str]]]:
    """A row per probe, a column per implementation: value, then gradient; whether all answer the same."""
    results = list(found)
    places = sorted({(r.adapter, r.variant, r.device) for r in results})
    texts = {r.probe: r.text for r in results}
    answers = {(r.probe, (r.adapter, r.variant, r.device)): f"{r.value}; {r.gradient}" for r in results}
    rows = []
    for name, text in texts.items():
        told = [answers.get((name, place), "-") for place in places]
        rows.append([name, text, "yes" if len(set(told)) == 1 else "no", *told])
    return ["probe", "what", "all alike", *(" ".join(place) for place in places)], rows
