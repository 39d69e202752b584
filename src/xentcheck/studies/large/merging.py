"""The records of blocks of rows as one record of the whole, whose index is that of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from xentcheck.records.facts import Facts, sentence
from xentcheck.records.record import Element, Record, rank

SEVERITY = ("crash", "timeout", "error", "disagree", "deviation", "unavailable", "unsupported")
"""Outcomes of a block that are those of the whole, the gravest first; others follow from what all blocks reject.

A block that is a convention, as one whose rows are all ignored, takes nothing from the blocks that are judged.
"""

FEW = 32
"""Margins, and warnings or notes of each kind, that are kept."""


@dataclass(frozen=True)
class Part:
    """The record of some rows, from the row `first` on."""

    first: int
    rows: int
    record: Record


def merged(name: str, parts: Sequence[Part]) -> Record:
    """One record of the blocks' records of one quantity; its replay line is that of the block with the worst element.

    Counts are added up; the blind fraction is that of all elements, each block's weighing as many as it has.
    """
    records = [part.record for part in parts]
    judged = [part for part in parts if part.record.outcome != "convention"]
    if judged and len(judged) < len(parts):
        found = merged(name, judged)
        apart = f"convention in {len(parts) - len(judged)} of {len(parts)} blocks, which are not judged"
        digest = _digest(records)
        return replace(found, digest=digest, notes=(*found.notes, apart))
    witness = max(parts, key=lambda part: (-_gravity(part.record), rank(part.record.share)))
    worst = witness.record
    elements, failing = (sum(getattr(r, count) for r in records) for count in ("elements", "failing"))
    applicable, rejected = (_union(getattr(r, field) for r in records) for field in ("applicable", "rejected"))
    outcome, facts = worst.outcome, replace(Facts(**{f: getattr(worst, f) for f in Facts().given()}), failing=failing)
    if judged and outcome not in SEVERITY:
        proven = "agree" if "zero" in rejected else "vacuous"
        outcome = proven if "zero" in applicable else "trivial"
    reason = sentence(facts, outcome, worst.quantity, elements=elements, told=worst.reason)
    note = f"judged in blocks of up to {max(part.rows for part in parts)} rows, each a problem of its own"
    far = max((part for part in parts if part.record.ulp is not None), key=_ulps, default=None)
    return replace(
        worst,
        case=name,
        outcome=outcome,
        reason=reason,
        size=records[0].size,
        required=next((r.required for r in records if r.required), ()),
        digest=_digest(records),
        index=_moved(worst.index, witness.first),
        ulp=far.record.ulp if far else None,
        farthest=_farthest(far) if far and (far is not witness or worst.farthest) else None,
        elements=elements,
        failing=facts.failing,
        applicable=applicable,
        rejected=rejected,
        blind_fraction=_blind(records),
        shares=_shares(records),
        ulp_counts=_added(r.ulp_counts for r in records),
        share_counts=_added(r.share_counts for r in records),
        margins=tuple(margin for r in records for margin in r.margins)[:FEW],
        suspects=worst.suspects or next((r.suspects for r in records if r.suspects), ()),
        warnings=_first(r.warnings for r in records),
        notes=(note, *_first(r.notes for r in records)),
    )


def _digest(records: Sequence[Record]) -> str:
    """One digest of those of all inputs."""
    return hashlib.sha256("".join(r.digest for r in records).encode()).hexdigest()[:16]


def _shares(records: Sequence[Record]) -> dict[str, float]:
    """The largest under each contract that all blocks were judged by."""
    contracts = [c for c in records[0].shares if all(c in r.shares for r in records)]
    return {c: max((r.shares[c] for r in records), key=rank) for c in contracts}


def _ulps(part: Part) -> float:
    return rank(part.record.ulp)


def _farthest(part: Part) -> Element | None:
    """The element of the most ULPs of a block, by its index in the whole."""
    found = part.record.of_ulp
    if not found:
        return None
    return Element(index=_moved(found.index, part.first), got=found.got, expected=found.expected, bound=found.bound)


def _moved(index: tuple[int, ...], first: int) -> tuple[int, ...]:
    return (index[0] + first, *index[1:]) if index else ()


def _gravity(r: Record) -> int:
    return SEVERITY.index(r.outcome) if r.outcome in SEVERITY else len(SEVERITY)


def _union(words: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({word for some in words for word in some}))


def _first(texts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The first few that differ."""
    return tuple(dict.fromkeys(text for some in texts for text in some))[:FEW]


def _added(counts: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*filter(None, counts), strict=True)))


def _blind(records: Sequence[Record]) -> float | None:
    known = [(r.blind_fraction, r.elements) for r in records if r.blind_fraction is not None and r.elements]
    return sum(f * n for f, n in known) / sum(n for _, n in known) if known else None
