"""What a run finds beside its comparisons: laws, answers to probes, largest errors, pairs met, planted faults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from xentcheck.vocabulary import DTYPES, QUANTITIES

from .codec import Plain

ALL_LAWS = "all"
"""The name of what is broken where nobody knows which law it was."""


@dataclass(frozen=True, kw_only=True)
class LawResult(Plain):
    """One law on one implementation: share is the deviation over what the bounds allow; not (share <= 1) breaks it.

    unasked: why it could not be asked of this implementation; empty if it was. again: the command that asks a broken
    one again.

    >>> place = dict(adapter="torch", variant="eager", device="cpu", dtype="float32")
    >>> LawResult(**place, law="rows-sum-to-0", share=float("nan"), detail="").kept
    False
    """

    adapter: str
    variant: str
    device: str
    dtype: str
    law: str
    share: float
    detail: str
    unasked: str = ""
    again: str = ""

    @property
    def kept(self) -> bool:
        """Whether the law holds within the bounds, as far as it was asked."""
        return bool(self.unasked) or self.share <= 1.0

    def __str__(self) -> str:
        place = f"{self.adapter}/{self.variant}/{self.device}/{self.dtype}"
        what = "all laws" if self.law == ALL_LAWS else f"the law {self.law}"
        text = f"{place} breaks {what}: {self.detail}"
        text += "" if math.isnan(self.share) else f", {self.share:.3g} of what the bounds allow"
        return f"{text}; again: {self.again}" if self.again else text


@dataclass(frozen=True, kw_only=True)
class ProbeResult(Plain):
    """One answer: the value and the gradient as text, or the name of an exception for both.

    >>> place = dict(adapter="torch", variant="eager", device="cpu")
    >>> answer = ProbeResult(**place, probe="all-ignored", text="every row ignored", value="nan", gradient="0 0 0")
    >>> ProbeResult.from_json(answer.to_json()) == answer
    True
    """

    adapter: str
    variant: str
    device: str
    probe: str
    text: str
    value: str
    gradient: str


@dataclass(frozen=True, kw_only=True)
class Accuracy(Plain):
    """The largest error of a quantity, in units in the last place (ulp) and as share of its bound, with the inputs.

    An input is the logits of one row as hexadecimal floats, and its label.

    >>> place = dict(adapter="numpy", variant="eager", device="cpu", dtype="float64", quantity="a")
    >>> found = Accuracy(**place, ulp=float("inf"), ulp_input="0x0p+0 label 0", share=0.5, share_input="0x1p+0 label 0")
    >>> Accuracy.from_json(found.to_json()) == found
    True
    """

    adapter: str
    variant: str
    device: str
    dtype: str
    quantity: str
    ulp: float
    ulp_input: str
    share: float
    share_input: str

    def validate(self) -> None:
        """Raise ValueError for a dtype or quantity that is not in the vocabulary."""
        for name, value, allowed in (("dtype", self.dtype, DTYPES), ("quantity", self.quantity, QUANTITIES)):
            if value not in allowed:
                raise ValueError(f"unknown {name} {value!r}; allowed: {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True)
class Coverage(Plain):
    """Pairs of levels of two factors, as "target u8 x rank 3": how many there are, how many were met, and the others.

    >>> found = Coverage(adapter="torch", variant="eager", device="cpu", possible=3, met=2, gaps=("rank 3 x dtype f",))
    >>> Coverage.from_json(found.to_json()) == found
    True
    """

    adapter: str
    variant: str
    device: str
    possible: int
    met: int
    gaps: tuple[str, ...]

    def validate(self) -> None:
        """Raise ValueError for numbers that do not add up."""
        if self.met + len(self.gaps) != self.possible:
            raise ValueError(f"{self.met} pairs met of {self.possible}, and {len(self.gaps)} gaps")


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
class FaultResult(Plain):
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
