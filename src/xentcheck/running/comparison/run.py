"""Running cases: build the problem, let every subject compute it, judge them together, write down what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.errors import OracleError, XentcheckError
from xentcheck.errors import told as words_of
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.right_rows import RightRows, right_rows
from xentcheck.judging.verdict import Judgement
from xentcheck.records.record import Record
from xentcheck.reference.numbers.arrays import as_array, home
from xentcheck.reference.problem import Problem, digest_of
from xentcheck.running.attempts import GIVEN_AS_ROWS, Attempt, attempt, given
from xentcheck.running.subjects import Subject

from .recorded import Asked, described, found_of, notes_of, record_of, suspected, wider_result


def planned(cases: Sequence[Case], subjects: Sequence[Subject]) -> int:
    """How many records a run of these cases will have."""
    return sum(
        len(set(quantities_of(case)) & set(subject.adapter.capabilities.quantities))
        for case in cases
        for subject in subjects
        if subject.takes(case)
    )


def run_case(case: Case, subjects: Sequence[Subject], problem: Problem | None = None) -> list[Record]:
    """One record per subject that takes the case and per quantity; an `error` where the oracle has no exact value.

    problem: the case's, if it has been built. Subjects that take no labels get, and are judged by, one-hot rows in
    their place. Raises CaseError if the case cannot be built.
    """
    takers = [s for s in subjects if s.takes(case)]
    if not takers:
        return []
    problem = problem or build(case)
    records = _run_case(case, problem, [s for s in takers if s.adapter.capabilities.labels])
    for s in takers:
        if not s.adapter.capabilities.labels:
            rows = given(problem, s)
            notes = () if rows is problem else (GIVEN_AS_ROWS,)
            records += [replace(r, notes=(*r.notes, *notes)) for r in _run_case(case, rows, [s])]
    return records


def lost_case(case: Case, subjects: Sequence[Subject], reason: str) -> list[Record]:
    """One `crash` per subject that takes the case and per quantity: nobody knows whose it was."""
    takers = [s for s in subjects if s.takes(case)]
    return _not_judged(case, build(case), takers, outcome="crash", check="raises", reason=reason)


def _not_judged(case: Case, problem: Problem, takers: Sequence[Subject], **why: str) -> list[Record]:
    """The same for every subject and quantity, whatever anybody has computed."""
    return [
        Record(
            **{**described(problem, asked, q), "required": (), "replay": s.replay(case)},
            case=str(case),
            digest=digest_of(problem),
            **why,  # type: ignore[arg-type]  # fields that are text
        )
        for s in takers
        for asked in [Asked.of(problem, s)]
        for q in quantities_of(case)
        if q in s.adapter.capabilities.quantities
    ]


def _run_case(case: Case, problem: Problem, takers: Sequence[Subject]) -> list[Record]:
    if not takers:
        return []
    try:
        return run_problem(problem, str(case), quantities_of(case), [(s, s.replay(case)) for s in takers])
    except OracleError as error:
        why = {"outcome": "error", "check": "raises", "raised": "OracleError", "reason": f"OracleError: {error}"}
        return _not_judged(case, problem, takers, **why)


def run_problem(
    problem: Problem,
    name: str,
    quantities: Sequence[str],
    takers: Sequence[tuple[Subject, str]],
    told: Callable[[int], object] = lambda rows: None,
) -> list[Record]:
    """One record per subject and quantity; each subject comes with the line that runs the problem again.

    told: called with the number of rows of each block that has been judged.

    It goes from wing to wing and never back: to the adapters, which compute, to the judge, to the diagnosis; what is
    written down comes last. Raises OracleError if there is no exact value to judge by: no verdict on anybody.
    """
    alone = len(takers) == 1  # the call of another variant may write into what the one before has returned
    made = ((attempt(s, problem, quantities, anywhere=True), replay) for s, replay in takers)
    attempts = [(a if alone else a.copied(), replay) for a, replay in made]
    asked = [Asked.of(problem, a.subject) for a, _ in attempts]

    right = {q: right_rows(problem, q) for q in quantities}
    verdicts = _judge(problem, right, [a for a, _ in attempts], asked, told)
    each = [(i, q) for i, (a, _) in enumerate(attempts) for q in a.quantities]
    found = [found_of(problem, right[q], attempts[i][0], asked[i], q, verdicts[i].get(q)) for i, q in each]
    bases = [described(problem, asked[i], q) for i, q in each]

    causes = suspected([attempts[i][0] for i, _ in each], [q for _, q in each], found)

    records = []
    digest = digest_of(problem)
    for (i, q), base, one, why in zip(each, bases, found, causes, strict=True):
        a, replay = attempts[i]
        base |= {"case": name, "digest": digest, "replay": replay, "warnings": a.warnings}
        base |= {"notes": (*notes_of(a), *one.notes), "result_dtype": wider_result(problem, a, q)}
        records.append(record_of(base, one, a.told, why))
    return records


def _judge(
    problem: Problem,
    right: dict[str, RightRows],
    attempts: Sequence[Attempt],
    asked: Sequence[Asked],
    told: Callable[[int], object],
) -> list[dict[str, Verdict]]:
    """The verdicts on each attempt by quantity, none where it has no result.

    Quantities of which the same rows are judged share an exact evaluation.
    """
    together: dict[bytes, list[str]] = {}
    for q, part in right.items():
        together.setdefault(b"" if part.rows is None else part.rows.tobytes(), []).append(q)
    found: list[dict[str, Verdict]] = [{} for _ in attempts]
    judged = [(a.result, a, who, mine) for a, who, mine in zip(attempts, asked, found, strict=True) if a.result]
    for quantities in together.values():
        submissions = []
        for result, a, who, _ in judged:
            values = {q: as_array(v) for q, v in result.values.items() if q in a.quantities and q in quantities}
            submissions.append(Submission(values, who.contracts, who.others))
        judgement = Judgement(problem, quantities, submissions, right[quantities[0]].rows)
        for (*_, mine), verdicts in zip(judged, _run(judgement, told), strict=True):
            mine |= verdicts
    return found


def _run(judgement: Judgement, told: Callable[[int], object]) -> list[dict[str, Verdict]]:
    """Its verdicts; those of copies in this machine's memory, which is noted, where a device has no room or fails."""
    try:
        return judgement.run(told)
    except XentcheckError:
        raise
    except Exception as error:
        if judgement.exact.place is home:
            raise
        note = f"judged in this machine's memory, as the device raised {words_of(error)}"
    found = judgement.at_home().run()
    return [{q: replace(verdict, note=note) for q, verdict in verdicts.items()} for verdicts in found]
