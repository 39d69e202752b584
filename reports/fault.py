"""Fault results: what caught a planted fault, here and with other checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

COLUMNS = ("fault", "what is wrong", "reported as", "in")
CAUGHT = "caught"
MISSED = "missed"
RIGHT = "none"
"""The name under which the right implementation stands, which nothing may catch; others of other arithmetic stand
under names that start with it.
"""


def is_right(name: str) -> bool:
    """Whether an implementation of the museum is right.

    >>> is_right("none-pairwise")
    True
    """
    return name == RIGHT or name.startswith(f"{RIGHT}-")


@dataclass(frozen=True, kw_only=True)
class FaultResult:
    """One planted fault. profiles: those that were run; kills: profile -> the check and the case that caught it first;
    rivals: another check -> `caught` or `missed`.

    >>> of = dict(fault="E54-zero-gradient", text="Zeros.", issue="", framework="torch", profiles=("quick", "full"))
    >>> FaultResult(**of, kills={"full": ("bound of dC/dz", "gaussian.5x10.f32")}).missed_by
    ('quick',)
    """

    fault: str
    text: str
    issue: str
    framework: str
    profiles: tuple[str, ...]
    kills: Mapping[str, tuple[str, str]]
    rivals: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every profile catches it; of the right implementation, whether none does."""
        return not (self.kills if is_right(self.fault) else self.missed_by)

    @property
    def missed_by(self) -> tuple[str, ...]:
        """The profiles that let it pass; a right one is missed by none."""
        return () if is_right(self.fault) else tuple(profile for profile in self.profiles if profile not in self.kills)

    def silence(self, profile: str) -> str:
        """What to say of a profile that found nothing."""
        if profile not in self.profiles:
            return "-"
        return "no alarm" if is_right(self.fault) else MISSED

    def __str__(self) -> str:
        if is_right(self.fault):
            named = "" if self.fault == RIGHT else f" {self.fault}"
            return f"{self.framework}: the right implementation{named} is caught by {dict(self.kills)}"
        return f"{self.framework}: the planted fault {self.fault} is missed by {', '.join(self.missed_by)}"

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return {
            **asdict(self),
            "profiles": list(self.profiles),
            "kills": {profile: list(kill) for profile, kill in self.kills.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FaultResult:
        """What `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(data) ^ known):
            raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
        for name in known:
            allowed = {"profiles": list, "kills": dict, "rivals": dict}.get(name, str)
            if not isinstance(data[name], allowed):
                raise TypeError(f"{name} is of type {type(data[name]).__name__}; allowed: {allowed.__name__}")
        kills = {profile: _pair(kill) for profile, kill in data["kills"].items()}
        return cls(**{**data, "profiles": tuple(map(str, data["profiles"])), "kills": kills})


def _pair(kill: object) -> tuple[str, str]:
    if not isinstance(kill, list) or len(kill) != 2 or not all(isinstance(part, str) for part in kill):
        raise ValueError(f"{kill!r} is no check with its case")
    return kill[0], kill[1]


def fault_table(found: Iterable[FaultResult]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows: per profile the check and the first case, then what the other checks notice."""
    results = sorted(found, key=lambda f: (f.fault, f.framework))
    profiles, rivals = _columns(results)
    columns = [*COLUMNS, *(f"{profile}: {what}" for profile in profiles for what in ("by", "first case")), *rivals]
    rows = []
    for f in results:
        kills = [cell for profile in profiles for cell in f.kills.get(profile, (f.silence(profile), "-"))]
        rows.append([f.fault, f.text, f.issue or "-", f.framework, *kills, *(f.rivals.get(r, "-") for r in rivals)])
    return columns, rows


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
