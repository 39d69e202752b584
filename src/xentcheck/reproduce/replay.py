"""`xentcheck replay` and `xentcheck.replay`: one case on one implementation, all numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck import adapters as registry
from xentcheck.adapters.promises import Given, promised, promising
from xentcheck.adapters.spec import Spec
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.records.paths import prepare_file, write_whole
from xentcheck.records.record import Record, ulps_of
from xentcheck.records.sizes import decides
from xentcheck.records.words import in_ulps, passing, share_text, ulps_text
from xentcheck.reference.given import whole
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.running.attempts import attempt, given
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import Deviations, in_force, known_with
from xentcheck.running.executors.futures import wrapped_as
from xentcheck.running.subjects import Subject, contract_of, contracts_of, subject_on
from xentcheck.vocabulary import FAILING, VALUES

from .elements import Element, worst_elements

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter


WIDTH = 100
"""Columns that two numbers of 17 digits with their error and bound need."""

NOT_DECIDED = {
    "vacuous": "a result of zeros would pass as well",
    "trivial": "zero is right, or there are no elements",
    "convention": "a convention, which is not judged",
}
"""What outcomes mean that decide nothing."""


def replay(
    adapter: object,
    case_id: str,
    *,
    framework: str | None = None,
    device: str = "cpu",
    variant: str | None = None,
    show: int = 10,
    command: str = "",
    smallest: Spec | None = None,
    script: Path | None = None,
    contract: Given = None,
    deviations: str | Path | None = None,
) -> int:
    """Run one case and print its inputs, results, exact values and bounds; 1 if it does not agree, or decides nothing.

    adapter: one, its name, or a function, as for `check`; framework: what a function is written in. show: elements per
    quantity, the worst first. command: the options that name the adapter on the command line. smallest: the adapter's
    spec, to look for the smallest problem that fails as well and to print a script of it, or write it to `script`.
    contract, deviations: as for `check`; an entry that has expired excuses nothing. Raises CaseError, ProblemError,
    AdapterError, DeviationError or UnavailableError.

    >>> from xentcheck import adapters
    >>> replay(adapters.get("numpy"), "ties.2x3.f64.index.plain.mean.up-one.contig.s0")  # doctest: +ELLIPSIS
    ties.2x3...
    0
    """
    case = Case.parse(case_id)
    if script is not None:
        from .script import SCRIPT

        prepare_file(script, own=SCRIPT)
    whole("show", show, 1)
    known = Deviations(in_force(known_with(deviations)))
    named = _named(adapter, framework)
    found = subject_on(promising(named, promised(contract)), device, variant, command)
    subject = replace(found, always=True)
    problem = build(case)
    records = run_case(case, [subject.outcomes_only()], problem)
    if any(r.outcome in FAILING for r in records):  # then grades and causes are shown
        records = run_case(case, [subject], problem)
    wrong = [r for r in records if r.outcome in FAILING]  # a known one has a script, too
    records = [known.apply(r) for r in records]
    console = Console(width=max(Console().width, WIDTH))
    _print_problem(problem, str(case), console)
    for record in records:
        _print_record(record, console)
    _print_elements(case, problem, subject, {r.quantity for r in records if r.elements}, show, console)
    _print_steps(problem, show, console)
    failing = [r for r in records if r.outcome in FAILING]
    if smallest and wrong:
        _print_smallest(case, subject, wrong, smallest, script, console)
    elif smallest:
        console.print("nothing fails here: no script was written")
    if not failing and not any(map(decides, records)):
        console.print(Text(f"nothing was decided: {_undecided(records)}", style="bold red"), soft_wrap=True)
        return 1
    return int(bool(failing))


def _named(adapter: object, framework: str | None) -> Adapter:
    """The adapter itself, that of a name, or that of a function, as `check` asks it. Raises AdapterError."""
    if isinstance(adapter, str):
        return registry.get(adapter)
    if hasattr(adapter, "capabilities") or not callable(adapter):
        return cast("Adapter", adapter)
    found: Adapter = wrapped_as(adapter, {"framework": framework})
    return found


def _undecided(records: Sequence[Record]) -> str:
    """Why nothing could have failed: the outcomes in words, each with the quantities that have it."""
    found: dict[str, list[str]] = {}
    for r in records:
        found.setdefault(NOT_DECIDED.get(r.outcome, r.outcome), []).append(r.quantity)
    told = "; ".join(f"{', '.join(names)}: {why}" for why, names in found.items())
    return told or "the implementation computes nothing of this case"


def _print_smallest(
    case: Case, subject: Subject, failing: Sequence[Record], spec: Spec, script: Path | None, console: Console
) -> None:
    """The smallest failure found, and its script, which is run to see that it repeats it."""
    from .script import SCRIPT, repeats, script_of
    from .shrink import shrink

    problem = given(build(case), subject)
    with console.status("shrinking"):
        found = shrink(subject, problem, _told_by(failing))
    text = script_of(found, spec, subject, str(case))
    _print_problem(found.problem, f"smallest problem found whose {found.quantity} fails: {found.outcome}", console)
    if found.outcome in ("disagree", "error") and not repeats(text, found):
        console.print("the script does not repeat the failure in a fresh interpreter: it depends on what ran before")
    if script is None:
        console.print(Text(text), soft_wrap=True)
        return
    write_whole(script, text, own=SCRIPT)
    console.print(Text(f"wrote {script}"), soft_wrap=True)


def _told_by(failing: Sequence[Record]) -> str:
    """The quantity whose script shows the failure: a gradient, where the call itself fails, which may be backward."""
    first = failing[0]
    if first.outcome != "disagree" or first.changed:
        return next((r.quantity for r in failing if r.quantity not in ("a", "log_a", *VALUES)), first.quantity)
    return first.quantity


def _print_steps(problem: Problem, show: int, console: Console) -> None:
    """The exact steps of the first row: m, exp(z - m), S, a, log a and dC/dz, of the label and the largest classes."""
    if problem.logits is None or not problem.logits.size:
        return
    rows = to_rows(problem.logits)
    z = rows[0].astype(np.float64)
    label = int(problem.target.ravel()[0]) if not problem.probabilities else -1
    exact = Exact(problem, np.arange(len(rows)) == 0)
    with np.errstate(all="ignore"):
        parts = exact.walk(("a", "log_a", "dC/dz"), [exact])
        steps = {q.name: exact.backend.pair(number)[0][0] for q, _, (number,) in parts}
        m = z.max()
        terms = np.exp(z - m)
    order = sorted(range(len(z)), key=lambda k: (k != label, -z[k]))[:show]
    title = f"exact steps of the first row: m = {m:.6g}, S = sum of exp(z - m) = {terms.sum():.6g}"
    table = Table("class", "z", "exp(z - m)", *steps, title=title, title_justify="left")
    for k in order:
        name = f"{k} (label)" if k == label else str(k)
        table.add_row(name, *(f"{x:.9g}" for x in (z[k], terms[k], *(row[k] for row in steps.values()))))
    console.print(table)


def _print_problem(problem: Problem, title: str, console: Console) -> None:
    table = Table("input", "shape", "strides", "values", title=title, title_justify="left")
    for name, array in problem.arrays().items():
        values = np.array2string(array, threshold=12, edgeitems=3, max_line_width=60).replace("\n", " ")
        table.add_row(name, str(array.shape), str(array.strides), Text(values))
    console.print(table)


def _print_record(r: Record, console: Console) -> None:
    line = f"{r.quantity}: {r.outcome}"
    if r.share is not None:
        line += f", share {share_text(r.share, 4)} of the bound under {r.judged_by}, at most {in_ulps(r.ulp)}"
        line += f" at {list(r.farthest.index)}" if r.farthest else ""
    if r.reason:
        line += f" ({r.reason})"
    console.print(Text(line, style="bold red" if r.outcome in FAILING else "bold"))
    for text in r.suspects:
        _print_hanging(f"suspected {text}", console)
    for name, classes in r.within.items():
        _print_hanging(f"within {name}, {passing(r.quantity, classes)}", console)
    missed = sorted(set(r.applicable) - set(r.rejected))
    if r.applicable:
        _print_hanging(f"would reject: {', '.join(r.rejected) or 'nothing'}", console)
    if missed:
        _print_hanging(f"would not notice: {', '.join(missed)}", console)


def _print_hanging(text: str, console: Console) -> None:
    """A remark below a quantity's headline; its further lines stand further in."""
    for line in textwrap.wrap(text, console.width, initial_indent="  ", subsequent_indent="    "):
        console.print(Text(line))


def _print_elements(
    case: Case, problem: Problem, subject: Subject, quantities: set[str], show: int, console: Console
) -> None:
    if not quantities:
        return
    problem = given(problem, subject)
    wanted = [q for q in quantities_of(case) if q in quantities]
    result = attempt(subject, problem, quantities_of(case)).result
    if result is None:
        return
    values = {q: np.asarray(result.values[q]) for q in wanted if q in result.values}
    for quantity, elements in worst_elements(problem, values, contracts_of(subject, problem.dtype)[0], show).items():
        dtype = contract_of(subject, problem.dtype, quantity, values[quantity]).result or problem.dtype
        console.print(_table(quantity, elements, dtype))


def _table(quantity: str, elements: Sequence[Element], dtype: str) -> Table:
    """The worst elements by share of the bound, most digits that tell numbers of the dtype apart."""
    table = Table("index", "got", "exact", "error / ULP", "bound / ULP", "share", title=quantity, title_justify="left")
    for e in elements:
        numbers = (
            f"{e.got:.17g}",
            f"{e.exact:.17g}",
            *(ulps_text(ulps_of(x, e.exact, dtype)) for x in (e.error, e.bound)),
            f"{e.share:.4g}",
        )
        table.add_row(str(list(e.index)), *numbers)
    return table
