"""Cases for tests of one's own: the test computes, however it likes, and hands the arrays over to be judged."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from xentcheck.adapters.needs import needed_options
from xentcheck.adapters.promises import Given
from xentcheck.adapters.wrap.handed import Handed
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.errors import AdapterError, Disagreement, ProblemError, ProfileError, Undecided
from xentcheck.judging.undecided import doubt_of
from xentcheck.records.record import Record
from xentcheck.records.words import describe, passing
from xentcheck.reference.given import array_of
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_problem
from xentcheck.running.subjects import Subject, contract_of
from xentcheck.vocabulary import DTYPES, EXECUTED, FAILING, OPTIONS, RARE_OPTIONS, REDUCTIONS

KEYWORDS = ("profile", "seed", "dtypes", "cases", "options", "reductions")


class HandedCase:
    """One case: its inputs, and the judgement of what somebody made of them.

    >>> from xentcheck.reference import cross_entropy, cross_entropy_grad
    >>> case = HandedCase(Case.parse("ties.2x3.f64.index.plain.mean.up-one.contig.s0"))
    >>> z, y = case.problem.logits, case.problem.target
    >>> case.assert_agrees({"cost": cross_entropy(z, y), "dC/dz": cross_entropy_grad(z, y)})
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.handed = False
        self.judged = False

    @property
    def id(self) -> str:
        """The case's id."""
        return str(self.case)

    @cached_property
    def problem(self) -> Problem:
        """logits, target, weight, ignore_index, label_smoothing, reduction, upstream; arrays are read-only."""
        return build(self.case)

    @property
    def quantities(self) -> tuple[str, ...]:
        """What can be judged of it."""
        return quantities_of(self.case)

    def assert_agrees(self, values: Mapping[str, Any], *, contract: Given = None, name: str = "handed") -> None:
        """Judge arrays by quantity, exactly as they came: dtype and shape count.

        contract: the arithmetic that they should have, by name, or as dtype -> name. Where nothing of the case can be
        decided (conventions, no elements, saturated rows) the test is skipped. Raises Disagreement; Undecided where the
        contract leaves it open, as `assert_values_agree`; ProblemError if inputs of at most 4 MiB were written into; or
        AdapterError for a quantity that this case does not have, or for none.
        """
        __tracebackhide__ = True  # pytest shows the caller's line
        again = f'xentcheck.build("{self.id}") has the inputs'
        self.handed = True
        try:
            decided, _ = _judged(self.id, self.problem, self.quantities, values, contract, name, again)
        except Disagreement:
            self.judged = True  # a test may expect it
            raise
        self.judged |= decided


def assert_values_agree(
    problem: Problem, values: Mapping[str, Any], *, contract: Given = None, name: str = "handed"
) -> None:
    """Judge arrays by quantity that somebody computed of a problem: dtype and shape count.

    values: of `loss` or `cost`, `a`, `log_a`, `dC/dz` and, for a layer, `dC/db`, `dC/dw`, `dC/da_prev`. contract: the
    arithmetic that they should have, by name, or as dtype -> name. What is a convention is not judged. Raises
    Disagreement; Undecided where that could not have happened: zeros would pass as well, and the values keep no
    contract of the catalogue that rejects them, or an element has no bound; and AdapterError for a quantity that the
    problem does not define, or for none; ProblemError for what is no Problem, no array, or was written into after it
    was made. Where zero is right there is nothing undecided. Values that the default cannot tell from zeros either, as
    in saturated rows, conventions and empty arrays pass beside one that is decided. In a test of Hypothesis an
    undecided example is rejected, as by `assume`.

    >>> import numpy as np
    >>> from xentcheck.reference import cross_entropy
    >>> problem = Problem(logits=np.array([[1.0, 2.0, 4.0]]), target=np.array([1]))
    >>> assert_values_agree(problem, {"cost": cross_entropy(problem.logits, problem.target)})
    """
    __tracebackhide__ = True
    if not isinstance(problem, Problem):
        raise ProblemError(f"problem is of type {type(problem).__name__}; allowed: a Problem, as of `xentcheck.build`")
    decided, why = _judged("problem", problem, problem.quantities, values, contract, name, repr(problem))
    if not decided:
        _refuse(why)


def _judged(
    where: str,
    problem: Problem,
    quantities: Sequence[str],
    values: Mapping[str, Any],
    contract: Given,
    name: str,
    again: str,
) -> tuple[bool, list[str]]:
    """Whether any of the values could have failed, and why others could not.

    Raises AdapterError, Disagreement, ProblemError for a problem of at most 4 MiB that somebody has written into, or
    Undecided where it is not the problem that leaves it open.
    """
    __tracebackhide__ = True
    allowed = ", ".join(quantities)
    if not isinstance(values, Mapping):
        raise AdapterError(
            f"{where}: values are of type {type(values).__name__}; allowed: a dict of array by {allowed}"
        )
    for quantity in values:
        if quantity not in quantities:
            raise AdapterError(f"{where} has no quantity {quantity!r}; allowed: {allowed}")
    if not isinstance(name, str):
        raise AdapterError(f"{where}: name is of type {type(name).__name__}; allowed: a text")
    if not values:
        raise AdapterError(f"{where}: nothing to judge; allowed: some of {allowed}")
    if changed := problem.changed():
        raise ProblemError(
            f"{where}: its {', '.join(changed)} changed after it was made; allowed: copies for what writes into its "
            "inputs, as by torch.tensor (torch.from_numpy shares the memory)"
        )
    arrays = {q: array_of(q, value) for q, value in values.items()}
    graded = not isinstance(contract, str)  # a failure tells which contracts would allow it, unless one was promised
    subject = Subject(Handed(arrays, contract, name), "eager", "cpu", "", graded=graded)
    records = run_problem(problem, where, [q for q in quantities if q in values], [(subject, again)])
    if bad := [record for record in records if record.outcome in FAILING]:
        raise Disagreement("\n".join(line for r in bad for line in _told(r)))
    decided, why = False, []
    for r in records:
        line = f"{name} {r.quantity} of {where}: "
        if r.outcome not in EXECUTED or not r.elements:
            why.append(line + (r.reason if r.outcome == "convention" else "there are no elements"))
            continue
        is_vacuous = r.outcome == "vacuous"
        kept = contract_of(subject, problem.dtype, r.quantity, arrays[r.quantity])
        found = doubt_of(problem, r.quantity, arrays[r.quantity], kept, vacuous=is_vacuous)
        if found and not found.inherent:
            _refuse([line + found.reason])
        why += [line + found.reason] if found else []
        decided |= not found
    return decided, why


def _told(r: Record) -> list[str]:
    """A failure, the contract that would allow it, and how to repeat it."""
    lines = [describe(r)]
    if r.within:
        contract, classes = next(iter(r.within.items()))
        lines.append(f"  within `{contract}`, {passing(r.quantity, classes)}; if that is meant: contract={contract!r}")
    return [*lines, f"  {r.replay}"]


def _refuse(lines: Sequence[str]) -> None:
    """Raise Undecided; in a test of Hypothesis the example counts as none, whatever else it shows."""
    __tracebackhide__ = True
    hypothesis = sys.modules.get("hypothesis")
    if hypothesis is not None and hypothesis.currently_in_test_context():
        hypothesis.reject()
    raise Undecided("\n".join(lines))


def marked_cases(where: str, given: Mapping[str, Any]) -> list[Case]:
    """The cases that a marker asks for; by default all of `quick` on logits.

    options: what the implementation supports; cases that need more are left out. Raises ProfileError, DtypeError or
    AdapterError for keywords and words that mean nothing, and for a selection without a case.
    """
    from xentcheck.cases.selection import selected

    if unknown := sorted(set(given) - set(KEYWORDS)):
        raise ProfileError(f"{where}: the marker xentcheck has {unknown[0]!r}; allowed: {', '.join(KEYWORDS)}")
    options = _words(where, "options", given.get("options"), OPTIONS, set(OPTIONS) - set(RARE_OPTIONS))
    reductions = _words(where, "reductions", given.get("reductions"), REDUCTIONS, set(REDUCTIONS))
    dtypes = _words(where, "dtypes", given.get("dtypes"), DTYPES, set(DTYPES))
    patterns = given.get("cases", ())
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    chosen = selected(given.get("profile", "quick"), sorted(dtypes), given.get("seed", 0), patterns)
    found = [
        case
        for case in chosen
        if case.reduction in reductions and not case.inputs and needed_options(build(case)) <= options
    ]
    if not found:
        raise ProfileError(f"{where}: the marker xentcheck leaves no case")
    return found


def _words(where: str, name: str, given: Any, allowed: Sequence[str], default: set[str]) -> set[str]:
    if given is None:
        return default
    chosen = {given} if isinstance(given, str) else set(given)
    for word in sorted(chosen - set(allowed)):
        raise AdapterError(f"{where}: the marker xentcheck has {name} {word!r}; allowed: {', '.join(allowed)}")
    return chosen
