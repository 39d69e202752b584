"""What Markdown and HTML show alike: a run's summary as rows of strings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from xentcheck.records.record import Record, order_key, place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import decimal, printable
from xentcheck.reports.analysis.differences import differences
from xentcheck.reports.analysis.grades import EVERYTHING
from xentcheck.reports.analysis.power import Group
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.vocabulary import EXECUTED, FAILING

from .accuracy import accuracy_table
from .coverage import coverage_table
from .faults import fault_table, fault_text
from .laws import law_table
from .probes import probe_table

Table = tuple[list[str], list[list[str]]]
"""Column names and rows."""

FAILURES_SHOWN = 50


@dataclass(frozen=True)
class View:
    """The sections of a report, each a table of strings."""

    ok: bool
    verdict: str
    title: str
    facts: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]
    weaker: tuple[str, ...]
    observations: tuple[str, ...]
    failures: Table
    hidden: str
    agreement: Table
    grades: Table
    power: Table
    power_gaps: Table
    power_text: str
    accuracy: Table
    coverage: Table
    probes: Table
    laws: Table
    faults: Table
    faults_text: str
    differences: Table
    deviations: Table
    conventions: Table
    apart: Table
    environment: Table
    host: Table


def view_of(run: RunFile) -> View:
    """The view of a run, whatever the order of its records."""
    summary = summarize(run)
    header = run.header
    found: View = _readable(
        View(
            ok=summary.ok,
            verdict=summary.verdict,
            title=f"xentcheck {header.version}, profile {header.profile}, seed {header.seed}",
            facts=_facts(run, summary),
            reasons=summary.reasons,
            weaker=summary.weaker,
            observations=summary.observations,
            failures=_failures(summary),
            hidden=_hidden(summary),
            agreement=_agreement(summary),
            grades=_grades(summary),
            power=_power(summary.groups),
            power_gaps=_power([g for g in summary.groups if g.blind or g.undecided or g.not_exercised]),
            power_text=_power_text(summary),
            accuracy=accuracy_table(run.accuracies),
            coverage=coverage_table(run.coverages),
            probes=probe_table(run.probes),
            laws=law_table(run.laws),
            faults=fault_table(run.faults),
            faults_text=fault_text(run.faults),
            differences=_differences(run),
            deviations=_deviations(run),
            conventions=_conventions(run),
            apart=_apart(run),
            environment=(["setting", "value"], _flat(header.environment)),
            host=(["what", "value"], [*_flat(header.host), *([name, f"{s:.3f} s"] for name, s in run.timings)]),
        )
    )
    return found


def _readable(x: Any) -> Any:
    """A view, or a part of it, whose text is free of control characters and surrogates, whoever has named what."""
    if isinstance(x, str):
        return x if x.isprintable() else printable(x)
    if isinstance(x, View):
        return View(**{f.name: _readable(getattr(x, f.name)) for f in fields(x)})
    return type(x)(map(_readable, x)) if isinstance(x, (list, tuple)) else x


def _facts(run: RunFile, summary: Summary) -> tuple[tuple[str, str], ...]:
    """The run in a few numbers."""
    places = {(r.adapter, r.variant, r.device) for r in run.records if r.outcome in EXECUTED}
    return (
        ("comparisons executed", f"{summary.executed:,}"),
        ("agree", f"{summary.counts.get('agree', 0):,}"),
        ("fail", f"{len(summary.failing):,}"),
        ("elements compared", f"{summary.elements:,}"),
        ("implementations", str(len(places))),
        ("blind groups", f"{len(summary.blind)} of {len(summary.groups)}"),
        ("undecided sizes", str(sum(g.undecided for g in summary.groups))),
    )


def _hidden(summary: Summary) -> str:
    """What is not shown of the failures, in words."""
    n = len(summary.failing) - FAILURES_SHOWN
    return f"{FAILURES_SHOWN} of {len(summary.failing)} are shown; the run file has the rest." if n > 0 else ""


def _power_text(summary: Summary) -> str:
    """The power of all groups, in words."""
    blind = sum(len(g.blind) for g in summary.groups)
    unseen = sum(len(g.not_exercised) for g in summary.groups)
    rejected = sum(len(g.rejected) for g in summary.groups)
    return (
        f"{len(summary.groups)} groups of comparisons must reject {rejected + blind + unseen} standard wrong answers: "
        f"rejected {rejected}, blind (would have gone unnoticed) {blind}, not exercised {unseen}."
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
        rows.append(
            [
                r.outcome,
                place,
                r.quantity,
                r.case,
                index,
                *numbers,
                _g(r.share),
                _g(r.ulp),
                printable(r.reason),
                r.replay,
            ]
        )
    return columns, rows


def _agreement(summary: Summary) -> Table:
    columns = [
        "adapter",
        "device",
        "dtype",
        "quantity",
        "agree",
        "fail",
        "other",
        "median share",
        "p99 share",
        "worst share",
        "worst ULP",
        "worst case",
        "replay",
    ]
    rows = []
    for row in summary.rows:
        adapter, variant, device, dtype = row.place
        other = ", ".join(f"{n} {o}" for o, n in row.counts.items() if o not in ("agree", *FAILING)) or "-"
        worst = row.worst
        share = _g(worst.share if worst else None)
        case, replay = (worst.case, worst.replay) if worst else ("-", "-")
        agree = str(row.counts.get("agree", 0))
        place = [f"{adapter} {variant}", device, dtype, row.quantity]
        limits = [f"< {x:g}" if x is not None else "-" for x in (row.median, row.p99)]
        rows.append([*place, agree, str(row.failing), other, *limits, share, _g(row.ulp), case, replay])
    return columns, rows


def _grades(summary: Summary) -> Table:
    columns = ["implementation", "quantities", "judged by", "grade", "no stricter, because", "hint"]
    rows = [
        ["/".join(g.place), g.family, g.declared, g.contract, g.proof or "-", g.hint or "-"]
        for g in (*summary.grades, *summary.family_grades)
    ]
    return columns, sorted(rows, key=lambda row: (row[0], row[1] != EVERYTHING))


def _power(groups: Sequence[Group]) -> Table:
    columns = ["group", "rejects", "blind to", "not exercised"]
    ordered = sorted(groups, key=lambda g: (not (g.blind or g.undecided), not g.not_exercised, g.name))
    return columns, [
        [
            g.name,
            str(len(g.rejected)),
            "all: undecided" if g.undecided else ", ".join(g.blind) or "-",
            ", ".join(g.not_exercised) or "-",
        ]
        for g in ordered
    ]


def _differences(run: RunFile) -> Table:
    rows = [[d.kind, d.dtype, d.quantity, d.case, d.text, f"{d.condition:.3g}"] for d in differences(records_of(run))]
    return ["kind", "dtype", "quantity", "case", "who", "bound in ULP"], rows


def _deviations(run: RunFile) -> Table:
    found: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for r in sorted((r for r in run.records if r.outcome == "deviation"), key=order_key):
        found["/".join(place_of(r)), r.quantity, printable(r.reason), r.link].append(r)
    rows = [[*key, str(len(members)), members[0].case] for key, members in found.items()]
    return ["implementation", "quantity", "reason", "link", "comparisons", "first case"], rows


def _conventions(run: RunFile) -> Table:
    found = Counter(
        (r.convention, r.returned, r.link, r.adapter, r.quantity) for r in run.records if r.outcome == "convention"
    )
    rows = []
    for (name, seen, link, adapter, quantity), n in sorted(found.items()):
        rows.append([name, adapter, quantity, seen, str(n), link])
    return ["convention", "adapter", "quantity", "returned here", "comparisons", "returned elsewhere"], rows


def _apart(run: RunFile) -> Table:
    """Comparisons that are no agreement: vacuous, trivial, unsupported, unavailable."""
    kinds = ("vacuous", "trivial", "unsupported", "unavailable")
    found: Counter[tuple[str, str, str]] = Counter(
        (r.outcome, r.adapter, printable(r.reason)) for r in run.records if r.outcome in kinds
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
