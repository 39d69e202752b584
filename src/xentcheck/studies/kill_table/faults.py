"""The kill table: which case of a profile is the first to catch each planted fault, and by which check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import AdapterError, UnavailableError
from xentcheck.museum.catalogue import MUSEUMS, Planted, planted
from xentcheck.records.findings import FaultResult, is_right
from xentcheck.records.record import Record
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.studies.law_study import laws
from xentcheck.vocabulary import FAILING, VALUES

from .rivals import alarms_of, verdicts

LAW = "law"
"""The side that a broken law accuses."""


def subjects_for(fault: Planted) -> list[Subject]:
    """The fault's implementation, once for each contract under which it has to be caught: only whether it is."""
    return [subjects_of(adapter, ["cpu"])[0].outcomes_only() for adapter in fault.adapters()]


def side_of(record: Record) -> str:
    """Which side of the implementation a failing record accuses: `value`, `gradient`, or `error` where it raised."""
    if record.outcome != "disagree":
        return record.outcome
    return "value" if record.quantity in VALUES else "gradient"


def sides_at(subjects: Sequence[Subject], case: Case) -> dict[str, str]:
    """Side -> the first check of it that fails on a case, for the sides that are accused under every contract."""
    found: dict[str, dict[str, str]] = {}
    for record in run_case(case, subjects):
        sides = found.setdefault(record.contract, {})
        if record.outcome in FAILING:
            sides.setdefault(side_of(record), record.check)
    if len(found) < len(subjects):
        return {}
    first, *others = found.values()
    return {side: check for side, check in first.items() if all(side in other for other in others)}


def broken_laws(subjects: Sequence[Subject], dtype: str) -> list[str]:
    """The laws that are broken under every contract."""
    broken = [[law.law for law in laws(subject, dtype) if not law.kept] for subject in subjects]
    return [law for law in broken[0] if all(law in other for other in broken)]


def first_kill(fault: Planted, chosen: Sequence[Case]) -> tuple[str, str] | None:
    """The check and the case that catch a fault first, of all cases that it meets; None if nothing does.

    What no case catches may break a law, of which there is no case.
    """
    subjects = subjects_for(fault)
    for case in filter(fault.meets, chosen):
        for check in sides_at(subjects, case).values():
            return check, str(case)
    if LAW in fault.fault.caught:
        return next(((f"{LAW} {law}", "") for law in broken_laws(subjects, fault.fault.dtype)), None)
    return None


def witnesses(fault: Planted, chosen: Iterable[Case]) -> dict[str, str]:
    """Side -> the first case that accuses it, or the law that is broken, of the sides that have to be accused.

    One case for two sides is preferred to one for each.
    """
    subjects, wanted = subjects_for(fault), fault.fault.caught - {LAW}
    found: dict[str, str] = {}
    for case in chosen if wanted else ():
        if fault.meets(case) and fault.fault.among(case):
            sides = sides_at(subjects, case).keys() & wanted
            if sides >= wanted:
                return dict.fromkeys(sorted(wanted), str(case))
            found = {side: found.get(side, str(case)) for side in (*found, *sorted(sides))}
            if len(sides) and found.keys() >= wanted:
                return found
    if LAW in fault.fault.caught:
        for law in broken_laws(subjects, fault.fault.dtype)[:1]:
            found[LAW] = law
    return found


def frameworks_of(named: Sequence[str]) -> tuple[str, ...]:
    """The frameworks whose museum is asked for; all that are installed if none is named.

    Raises AdapterError for one that has no museum, UnavailableError for one that is not installed.
    """
    for name in named:
        if name not in MUSEUMS:
            raise AdapterError(f"no faults are planted in {name!r}; allowed: {', '.join(MUSEUMS)}")
        if missing := adapters.get(name).unavailable():
            raise UnavailableError(f"adapter {name}: {missing}")
    return tuple(dict.fromkeys(named)) or tuple(name for name in MUSEUMS if not adapters.get(name).unavailable())


@dataclass(frozen=True)
class FaultSearch:
    """The task: one planted fault of a framework, looked for by profiles and by other checks; it needs no subject."""

    framework: str
    fault: str
    profiles: tuple[str, ...]
    rivals: bool

    @property
    def signature(self) -> str:
        """The name of the task among the timings."""
        return f"fault {self.framework} {self.fault}"

    def run(self, subjects: Sequence[Subject]) -> Iterator[FaultResult]:
        """What catches the fault."""
        yield result_of(by_name(self.framework)[self.fault], self.profiles, self.rivals)

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterator[FaultResult]:
        """A fault that nothing has caught."""
        yield FaultResult(
            fault=self.fault, text=reason, issue="", framework=self.framework, profiles=self.profiles, kills={}
        )


def fault_searches(frameworks: Sequence[str], profiles: Sequence[str], rivals: bool) -> list[FaultSearch]:
    """A task for each fault."""
    return [FaultSearch(f, fault, tuple(profiles), rivals) for f in frameworks for fault in by_name(f)]


def result_of(fault: Planted, profiles: Sequence[str], rivals: bool) -> FaultResult:
    """What catches a fault: in each profile, and, if asked for, of the other checks."""
    found = {profile: first_kill(fault, _cases(profile)) for profile in profiles}
    return FaultResult(
        fault=fault.fault.name,
        text=fault.text,
        issue=fault.fault.issue,
        framework=fault.framework,
        profiles=tuple(profiles),
        kills={profile: kill for profile, kill in found.items() if kill},
        rivals=(_others(fault)) if rivals else {},
    )


def _others(fault: Planted) -> dict[str, str]:
    """What other checks say: of the right implementation, how often they reject it."""
    if is_right(fault.fault.name):
        return alarms_of(fault.framework) if fault.found_in == "logits" else {}
    return verdicts(fault)


@cache
def _cases(profile: str) -> tuple[Case, ...]:
    return tuple(cases(profile))


@cache
def by_name(framework: str) -> dict[str, Planted]:
    """The faults of a framework by their names."""
    return {p.fault.name: p for p in planted(framework)}
