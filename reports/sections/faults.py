"""Fault results: what caught a planted fault, here and with other checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xentcheck.records.findings import CAUGHT, MISSED, FaultResult, is_right
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section

PROSE = (
    "Wrong implementations that the harness plants to prove itself: the check and the case by which each profile first "
    "catches them, and whether other checks notice them."
)

COLUMNS = (Column("fault"), Column("what is wrong", "text"), Column("reported as"), Column("in"))


def fault_section(found: Iterable[FaultResult]) -> Section:
    """A row for each fault: per profile the check and the first case, then what the other checks notice."""
    results = sorted(found, key=lambda f: (f.fault, f.framework))
    profiles, rivals = _columns(results)
    kinds = (("by", "plain"), ("first case", "code"))
    columns = [Column(f"{profile}: {what}", kind, bad=MISSED) for profile in profiles for what, kind in kinds]
    columns += [Column(rival, bad=MISSED) for rival in rivals]
    rows = []
    for f in results:
        kills = [cell for profile in profiles for cell in f.kills.get(profile, (f.silence(profile), "-"))]
        rows.append((f.fault, f.text, f.issue or "-", f.framework, *kills, *(f.rivals.get(r, "-") for r in rivals)))
    prose = " ".join(filter(None, (PROSE, fault_text(results))))
    return Section("Planted faults", (*COLUMNS, *columns), tuple(rows), prose, opened=False)


def faults(run: RunFile, summary: Summary) -> Section:
    """The section of a run."""
    return fault_section(run.faults)


def fault_text(found: Sequence[FaultResult]) -> str:
    """How many faults each profile and each other check catches, in words.

    >>> fault_text([])
    ''
    """
    profiles, rivals = _columns(found)
    right = [f for f in found if is_right(f.fault)]
    found = [f for f in found if not is_right(f.fault)]
    parts = [f"{p} catches {sum(p in f.kills for f in found)} of {len(found)}" for p in profiles]
    if len(right) > 1:
        parts += [
            f"{p} raises an alarm at {sum(p in f.kills for f in right)} of {len(right)} right ones" for p in profiles
        ]
    for rival in rivals:
        asked = [f for f in found if rival in f.rivals]
        parts.append(f"{rival} {sum(f.rivals[rival] == CAUGHT for f in asked)} of {len(asked)}")
    return "; ".join(parts) + ("." if parts else "")


def _columns(found: Sequence[FaultResult]) -> tuple[list[str], list[str]]:
    """The profiles and the other checks that any of the results speaks of, in their order."""
    profiles = dict.fromkeys(profile for f in found for profile in f.profiles)
    return list(profiles), list(dict.fromkeys(rival for f in found for rival in f.rivals))
