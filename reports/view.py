"""What Markdown and HTML show alike: a run's summary as rows of strings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .record import Record
from .runfile import RunFile
from .summary import Summary, decimal, order_key, place_of, summarize

Table = tuple[list[str], list[list[str]]]
"""Column names and rows."""

FAILURES_SHOWN = 50


@dataclass(frozen=True)
class View:
    """The sections of a report, each a table of strings."""

    ok: bool
    verdict: str
    title: str
    reasons: tuple[str, ...]
    failures: Table
    agreement: Table
    grades: Table
    power: Table
    deviations: Table
    conventions: Table
    apart: Table
    environment: Table
    host: Table


def view_of(run: RunFile) -> View:
    """The view of a run, whatever the order of its records."""
    summary = summarize(run)
    header = run.header
    return View(
        ok=summary.ok,
        verdict=summary.verdict,
        title=f"xentcheck {header.version}, profile {header.profile}, seed {header.seed}",
        reasons=summary.reasons,
        failures=_failures(summary),
        agreement=_agreement(summary),
        grades=_grades(summary),
        power=_power(summary),
        deviations=_deviations(run),
        conventions=_conventions(run),
        apart=_apart(run),
        environment=(["setting", "value"], _flat(header.environment)),
        host=(["", ""], [*_flat(header.host), *([name, f"{s:.3f} s"] for name, s in run.timings)]),
    )


def _failures(summary: Summary) -> Table:
    columns = [
        "outcome",
        "implementation",
        "quantity",
        "case",
        "index",
        "got",
        "exact",
        "bound",
        "share",
        "ULP",
        "reason",
        "replay",
    ]
    rows = []
    for r in summary.failing[:FAILURES_SHOWN]:
        numbers = [decimal(x) for x in (r.got, r.expected, r.bound)]
        place = "/".join(place_of(r))
        index = str(list(r.index)) if r.index else "-"
        rows.append([r.outcome, place, r.quantity, r.case, index, *numbers, _g(r.share), _g(r.ulp), r.reason, r.replay])
    return columns, rows


def _agreement(summary: Summary) -> Table:
    columns = [
        "adapter",
        "device",
        "dtype",
        "quantity",
        "agree",
        "other",
        "worst share",
        "worst ULP",
        "worst case",
        "replay",
    ]
    rows = []
    for row in summary.rows:
        adapter, variant, device, dtype = row.place
        other = ", ".join(f"{n} {o}" for o, n in row.counts.items() if o != "agree") or "-"
        worst = row.worst
        share = _g(worst.share if worst else None)
        case, replay = (worst.case, worst.replay) if worst else ("-", "-")
        agree = str(row.counts.get("agree", 0))
        rows.append(
            [f"{adapter} {variant}", device, dtype, row.quantity, agree, other, share, _g(row.ulp), case, replay]
        )
    return columns, rows


def _grades(summary: Summary) -> Table:
    columns = ["implementation", "judged by", "grade", "excludes the contract before it"]
    rows = []
    for g in summary.grades:
        witness = f"{g.witness.quantity} of {g.witness.case}" if g.witness else "-"
        rows.append(["/".join(g.place), g.declared, g.contract, witness])
    return columns, rows


def _power(summary: Summary) -> Table:
    columns = ["group", "rejects", "blind to", "not exercised"]
    ordered = sorted(summary.groups, key=lambda g: (not g.blind, not g.not_exercised, g.name))
    return columns, [
        [g.name, str(len(g.rejected)), ", ".join(g.blind) or "-", ", ".join(g.not_exercised) or "-"] for g in ordered
    ]


def _deviations(run: RunFile) -> Table:
    records = sorted((r for r in run.records if r.outcome == "deviation"), key=order_key)
    rows = [["/".join(place_of(r)), r.quantity, r.case, r.reason, r.link] for r in records]
    return ["implementation", "quantity", "case", "reason", "link"], rows


def _conventions(run: RunFile) -> Table:
    found = Counter((r.reason, r.link, place_of(r)[0], r.quantity) for r in run.records if r.outcome == "convention")
    rows = []
    for (reason, link, adapter, quantity), n in sorted(found.items()):
        name, _, seen = reason.partition(": ")
        rows.append([name, adapter, quantity, seen, str(n), link])
    return ["convention", "adapter", "quantity", "returned here", "comparisons", "returned elsewhere"], rows


def _apart(run: RunFile) -> Table:
    """Comparisons that are no agreement: vacuous, trivial, unsupported, unavailable."""
    kinds = ("vacuous", "trivial", "unsupported", "unavailable")
    found: Counter[tuple[str, str, str]] = Counter(
        (r.outcome, r.adapter, r.reason) for r in run.records if r.outcome in kinds
    )
    return ["outcome", "adapter", "reason", "comparisons"], [[*key, str(n)] for key, n in sorted(found.items())]


def _flat(data: dict[str, Any], prefix: str = "") -> list[list[str]]:
    rows = []
    for key, value in sorted(data.items()):
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key} ")
        else:
            rows.append([f"{prefix}{key}", str(value)])
    return rows


def _g(x: float | None) -> str:
    return "-" if x is None else f"{x:.3g}"


def records_of(run: RunFile) -> list[Record]:
    """The records in canonical order."""
    return sorted(run.records, key=order_key)
