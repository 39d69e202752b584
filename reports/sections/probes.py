"""Probe results: what implementations answer to degenerate inputs, side by side."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import ProbeResult


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
