"""Probe results: what implementations answer to degenerate inputs, side by side."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import ProbeResult
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section

PROSE = (
    "Degenerate inputs on which libraries differ, in float32: the value, then the gradient row by row; recorded, not "
    "judged."
)


def probe_section(found: Iterable[ProbeResult]) -> Section:
    """A row for each probe, a column for each implementation: value, then gradient; whether all answer the same."""
    results = list(found)
    places = sorted({(r.adapter, r.variant, r.device) for r in results})
    texts = {r.probe: r.text for r in results}
    answers = {(r.probe, (r.adapter, r.variant, r.device)): f"{r.value}; {r.gradient}" for r in results}
    rows = []
    for name, text in texts.items():
        told = [answers.get((name, place), "-") for place in places]
        rows.append((name, text, "yes" if len(set(told)) == 1 else "no", *told))
    columns = (Column("probe"), Column("what"), Column("all alike"), *(Column(" ".join(place)) for place in places))
    return Section("Probes", columns, tuple(rows), PROSE, opened=False)


def probes(run: RunFile, summary: Summary) -> Section:
    """The section of a run."""
    return probe_section(run.probes)
