"""Deviations: known faults of an implementation, kept as data with reason and link, strict both ways."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from xentcheck.reports.record import Record

from .errors import DeviationError
from .vocabulary import EXECUTED

SELECTORS = ("adapter", "variant", "device", "dtype", "quantity", "case")


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One entry: glob patterns that select comparisons, why they disagree, and where that is written down."""

    adapter: str
    reason: str
    link: str
    variant: str = "*"
    device: str = "*"
    dtype: str = "*"
    quantity: str = "*"
    case: str = "*"

    def selects(self, record: Record) -> bool:
        """Whether the entry speaks of this comparison."""
        return all(fnmatchcase(getattr(record, name), getattr(self, name)) for name in SELECTORS)

    def __str__(self) -> str:
        return "/".join(getattr(self, name) for name in SELECTORS)


def load(path: Path | None = None) -> list[Deviation]:
    """The entries of a file, the built-in one by default. Raises DeviationError with one line."""
    where = path or Path(str(files("xentcheck.adapters") / "deviations.toml"))
    try:
        data = tomllib.loads(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviationError(f"deviation file {where} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviationError(f"deviation file {where} is not TOML: {error}") from error
    entries = data.pop("deviation", [])
    if data or not isinstance(entries, list):
        raise DeviationError(f"deviation file {where} has {sorted(data) or 'no list'}; allowed: [[deviation]] entries")
    return [_entry(where, number, entry) for number, entry in enumerate(entries, 1)]


def _entry(where: Path, number: int, entry: object) -> Deviation:
    allowed = {f.name for f in fields(Deviation)}
    needed = {"adapter", "reason", "link"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= allowed:
        raise DeviationError(
            f"deviation file {where}, entry {number} has keys {sorted(entry) if isinstance(entry, dict) else entry}; "
            f"needed: {', '.join(sorted(needed))}; allowed: {', '.join(sorted(allowed))}"
        )
    if not all(isinstance(value, str) and value for value in entry.values()):
        raise DeviationError(f"deviation file {where}, entry {number}: every value is a string that is not empty")
    return Deviation(**entry)


def apply(records: Iterable[Record], deviations: list[Deviation], complete: bool) -> tuple[list[Record], list[str]]:
    """Turn the disagreements that an entry selects into `deviation`, and list what is wrong with the entries.

    An entry fails if all the comparisons it selects agree; and, where the run is complete, if it selects none.
    """
    found: list[Record] = []
    selected = dict.fromkeys(deviations, 0)
    matched = dict.fromkeys(deviations, 0)
    adapters = set()
    for record in records:
        adapters.add(record.adapter)
        entry = next((d for d in deviations if d.selects(record)), None)
        if entry is not None and record.outcome in EXECUTED:
            selected[entry] += 1
            if record.outcome == "disagree":
                matched[entry] += 1
                record = replace(record, outcome="deviation", reason=entry.reason, link=entry.link)
        found.append(record)
    failures = []
    for entry in deviations:
        if selected[entry] and not matched[entry]:
            failures.append(f"deviation {entry} is out of date: all {selected[entry]} comparisons agree")
        elif complete and entry.adapter in adapters and not selected[entry]:
            failures.append(f"deviation {entry} matches no comparison")
    return found, failures
