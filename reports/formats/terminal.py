"""What a run looks like on a terminal: a table per implementation, failures with their replay, and one verdict line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck.records.run import RunFile
from xentcheck.records.words import decimal, printable, several, ulps_text
from xentcheck.reports.analysis.causes.found import Cause, where
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.reports.sections.section import short
from xentcheck.vocabulary import EXECUTED, FAILING

SHOWN = 5
FEW = 50
WIDTH = 80
CAPTION = "share: largest error / bound; apart: conventions, vacuous, trivial, unsupported"


def _plain(text: str, style: str = "") -> Text:
    """Text without control characters, whoever has named what is in it."""
    return Text(text if text.isprintable() else printable(text), style=style)


def print_summary(run: RunFile, console: Console, summary: Summary | None = None) -> None:
    """Print the run's tables, what is to be known beside them, and, on the last screen, its causes and its verdict.

    summary: that of the run, if it was made before.
    """
    summary = summary or summarize(run)
    remarks = summary.remarks
    console.print(_table(summary))
    for grade in summary.grades:
        console.print(_plain(f"grade of {' '.join(grade.place)}: {grade.contract} (judged by {grade.declared})"))
    for (adapter, text), times in remarks.warned.most_common(SHOWN):
        console.print(
            _plain(f"{adapter} warned in {times} comparisons: {printable(text)}", style="yellow"), soft_wrap=True
        )
    for text in summary.observations:
        console.print(_plain(text, style="yellow"), soft_wrap=True)
    for adapter, refused in remarks.refused.items():
        _print_wrapped(f"{adapter} is not asked for what it does not take:", console)
        for text in refused:
            _print_wrapped(f"   {text}", console)
    for text in summary.not_asked:
        _print_wrapped(text, console)
    for adapter, reason in remarks.unavailable.items():
        console.print(_plain(f"{adapter}: unavailable, {reason}", style="yellow"))
    for text in summary.reasons:
        console.print(_plain(text, style="red"), soft_wrap=True)
    for number, cause in enumerate(shown(summary.causes), 1):
        for line in told(cause, number, len(summary.failing)):
            style = "" if line.lstrip().startswith("again") else "red" if line[0] != " " else "default"
            console.print(_plain(line, style=style), soft_wrap=True)
    if text := others(summary.causes):
        console.print(_plain(text))
    for text in summary.weaker:
        console.print(_plain(text, style="yellow"), soft_wrap=True)
    if sentence := suspicion(summary.failing):
        console.print(_plain(sentence, style="red"), soft_wrap=True)
    style = "bold red" if not summary.ok else "bold yellow" if summary.undecided else "bold green"
    console.print(_plain(summary.verdict, style=style), soft_wrap=True)


def _print_wrapped(text: str, console: Console) -> None:
    """A remark in lines of 80 columns."""
    for line in textwrap.wrap(text, WIDTH, subsequent_indent="     ", break_long_words=False, break_on_hyphens=False):
        console.print(_plain(line, style="yellow"), soft_wrap=True)


def shown(causes: Sequence[Cause]) -> Sequence[Cause]:
    """The causes that are told: five at most; beside that of half of all failures, no mistake in fewer than one in 50.

    What one mistake makes of few cases looks like others by chance; a crash, an error or what is unknown does not.
    """
    failures = sum(len(cause.records) for cause in causes)
    if not causes or 2 * len(causes[0].records) <= failures:
        return causes[:SHOWN]
    often = [cause for cause in causes[1:] if not cause.code or FEW * len(cause.records) >= failures]
    return [causes[0], *often][:SHOWN]


def others(causes: Sequence[Cause]) -> str:
    """How many causes are not told, and of how many failures; empty if none."""
    here = shown(causes)
    if len(here) == len(causes):
        return ""
    failures = sum(len(cause.records) for cause in causes) - sum(len(cause.records) for cause in here)
    return f"... and {several(len(causes) - len(here), 'more cause')} of {several(failures, 'failure')}"


def told(cause: Cause, number: int, failures: int) -> list[str]:
    """A cause in few lines of 80 columns, but for the command: what, how many, where, the smallest case, what to do."""
    r = cause.smallest
    head = f"{number}. {cause.title}: {len(cause.records)} of {several(failures, 'failure')}"
    found = {"where": where(cause) + (f"; {cause.only}" if cause.only else ""), "case": f"{r.case} {r.quantity}"}
    if r.expected:
        at = f"at {list(r.index)} " if r.index else ""
        numbers = f"got {decimal(r.got)}, exact {decimal(r.expected)}, bound {decimal(r.bound)}"
        found["wrong"] = f"{at}{numbers}: {short(r.share)} of the bound"
    elif r.reason:
        found["said"] = printable(r.reason)
    if cause.mend:
        found["mend"] = cause.advice
    lines = textwrap.wrap(printable(head), WIDTH, subsequent_indent="   ")
    for name, text in found.items():
        lines += textwrap.wrap(
            printable(text),
            WIDTH,
            initial_indent=f"   {name:6}",
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*lines, f"   again {r.replay}"]


def _table(summary: Summary) -> Table:
    table = Table(
        "implementation",
        "quantity",
        "agree",
        "fail",
        "apart",
        "share",
        "ULP",
        caption=CAPTION,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns[1:]:
        column.no_wrap = True
    for row in summary.rows:
        if not {*EXECUTED, *FAILING, "convention"} & set(row.counts):
            continue
        agree = row.counts.get("agree", 0)
        apart = sum(row.counts.values()) - agree - row.failing
        share = short(row.worst.share if row.worst else None)
        ulp = "-" if row.worst is None else ulps_text(row.ulp, 2)
        cells = (" ".join(row.place), row.quantity, str(agree), str(row.failing), str(apart), share, ulp)
        table.add_row(*map(_plain, cells), style="red" if row.failing else "")
    return table
