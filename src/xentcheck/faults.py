"""The kill table: which case of a profile is the first to catch each planted fault, and by which check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from xentcheck import adapters
from xentcheck.museum.catalogue import MUSEUMS, Planted, planted
from xentcheck.reports.fault import RIGHT, FaultResult

from .cases import Case
from .checks import check_of
from .errors import AdapterError, UnavailableError
from .execution import Hunt
from .profiles import cases
from .rivals import alarms_of, verdicts
from .runner import run_case
from .subjects import subjects_of


def first_kill(fault: Planted, chosen: Sequence[Case]) -> tuple[str, str] | None:
    """The check and the case that catch a fault first, of all cases that it meets; None if nothing does."""
    subjects = subjects_of(fault.adapter(), ["cpu"])[:1]
    for case in filter(fault.meets, chosen):
        for record in run_case(case, subjects):
            if check := check_of(record):
                return check, str(case)
    return None


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


def hunts(frameworks: Sequence[str], profiles: Sequence[str], rivals: bool) -> list[Hunt]:
    """A task for each fault."""
    return [Hunt(framework, fault, tuple(profiles), rivals) for framework in frameworks for fault in by_name(framework)]


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
        rivals=(alarms_of(fault.framework) if fault.fault.name == RIGHT else verdicts(fault)) if rivals else {},
    )


@cache
def _cases(profile: str) -> tuple[Case, ...]:
    return tuple(cases(profile))


@cache
def by_name(framework: str) -> dict[str, Planted]:
    """The faults of a framework by their names."""
    return {p.fault.name: p for p in planted(framework)}
