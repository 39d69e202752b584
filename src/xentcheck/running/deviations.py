"""Deviations: known faults of an implementation, kept as data with reason and link, strict both ways."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from xentcheck.cases.profiles.named import PROFILES
from xentcheck.errors import DeviationError, require_named
from xentcheck.records.record import Record
from xentcheck.vocabulary import DTYPES, EXECUTED, QUANTITIES

SCHEMA = 1
"""Of the file; one that does not say has this one."""

SELECTORS = ("adapter", "variant", "device", "dtype", "quantity", "case")


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One entry: glob patterns that select comparisons, why they disagree, and where that is written down.

    profile: the first profile that has such cases. expires: the last day on which it excuses anything, as 2027-01-31.
    """

    adapter: str
    reason: str
    link: str
    variant: str = "*"
    device: str = "*"
    dtype: str = "*"
    quantity: str = "*"
    case: str = "*"
    profile: str = "quick"
    expires: str = ""

    def selects(self, record: Record) -> bool:
        """Whether the entry speaks of this comparison."""
        return all(fnmatchcase(getattr(record, name), getattr(self, name)) for name in SELECTORS)

    def due(self, profile: str) -> bool:
        """Whether the cases it speaks of are in the profile."""
        return PROFILES.index(self.profile) <= PROFILES.index(profile)

    def expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return bool(self.expires) and date.fromisoformat(self.expires) < today

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
    if (schema := data.pop("schema", SCHEMA)) != SCHEMA:
        raise DeviationError(
            f"deviation file {where} has schema {schema!r}; allowed: {SCHEMA} (written for another version)"
        )
    entries = data.pop("deviation", [])
    if data or not isinstance(entries, list):
        raise DeviationError(f"deviation file {where} has {sorted(data) or 'no list'}; allowed: [[deviation]] entries")
    return [_entry(where, number, entry) for number, entry in enumerate(entries, 1)]


def known_with(given: object) -> list[Deviation]:
    """The built-in entries, and those of a file that Python is given. Raises DeviationError or AdapterError."""
    if given is None:
        return load()
    if not isinstance(given, (str, Path)):
        raise DeviationError(f"deviations is of type {type(given).__name__}; allowed: a TOML file")
    require_named("deviations", str(given), "a TOML file")
    return load() + load(Path(given))


def in_force(entries: Iterable[Deviation]) -> list[Deviation]:
    """Those that have not expired."""
    today = datetime.now(UTC).date()
    return [entry for entry in entries if not entry.expired(today)]


def _entry(where: Path, number: int, entry: object) -> Deviation:
    allowed = {f.name for f in fields(Deviation)}
    needed = {"adapter", "reason", "link"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= allowed:
        raise DeviationError(
            f"deviation file {where}, entry {number} has keys {sorted(entry) if isinstance(entry, dict) else entry}; "
            f"needed: {', '.join(sorted(needed))}; allowed: {', '.join(sorted(allowed))}"
        )
    entry = {name: value.isoformat() if type(value) is date else value for name, value in entry.items()}
    if not all(isinstance(value, str) and value for value in entry.values()):
        raise DeviationError(f"deviation file {where}, entry {number}: every value is a string that is not empty")
    if (profile := entry.get("profile", "quick")) not in PROFILES:
        raise DeviationError(
            f"deviation file {where}, entry {number}: profile is {profile!r}; allowed: {', '.join(PROFILES)}"
        )
    for name, words in (("quantity", QUANTITIES), ("dtype", DTYPES)):
        if not any(fnmatchcase(word, entry.get(name, "*")) for word in words):
            told = f"{name} is {entry[name]!r}; allowed: a glob of {', '.join(words)}"
            raise DeviationError(f"deviation file {where}, entry {number}: {told}")
    try:
        date.fromisoformat(entry.get("expires", "2000-01-01"))
    except ValueError:
        found = f"expires is {entry['expires']!r}"
        raise DeviationError(
            f"deviation file {where}, entry {number}: {found}; allowed: a date as 2027-01-31"
        ) from None
    return Deviation(**entry)


class Deviations:
    """The entries of a file at work: turns the disagreements that they select into `deviation`, and keeps count."""

    def __init__(self, entries: Iterable[Deviation], today: date | None = None) -> None:
        self.entries = list(entries)
        self.today = today or datetime.now(UTC).date()
        self._selected = dict.fromkeys(self.entries, 0)
        self._matched = dict.fromkeys(self.entries, 0)
        self._adapters: set[str] = set()

    def apply(self, record: Record) -> Record:
        """The record, as a `deviation` if it disagrees and an entry says so."""
        if record.outcome not in EXECUTED:
            return record
        self._adapters.add(record.adapter)
        entry = next((d for d in self.entries if d.selects(record)), None)
        if entry is None:
            return record
        self._selected[entry] += 1
        if record.outcome == "disagree":
            self._matched[entry] += 1
            return replace(record, outcome="deviation", reason=entry.reason, link=entry.link)
        self._matched[entry] += record.outcome == "deviation"  # of a part of a run that was written down
        return record

    def failures(self, profile: str = "") -> list[str]:
        """What is wrong with the entries.

        One has expired and still excuses something; all that it selects agrees; or, in a whole profile, it selects
        nothing.
        """
        failures = []
        for entry in self.entries:
            if self._matched[entry] and entry.expired(self.today):
                failures.append(f"deviation {entry} expired on {entry.expires}")
            elif self._selected[entry] and not self._matched[entry]:
                failures.append(f"deviation {entry} is out of date: all {self._selected[entry]} comparisons agree")
            elif profile and entry.due(profile) and entry.adapter in self._adapters and not self._selected[entry]:
                failures.append(f"deviation {entry} matches no comparison")
        return failures
