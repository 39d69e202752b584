"""The height of sums over classes: how many partial sums an implementation adds in, found at several sizes.

Each rung of a ladder is the declared contract with other sums, from 1024 partial sums to any order whatsoever; the
height is the first that every row at a size meets. The rows are those that few partial sums round to one side. Narrow
dtypes are left out: storing a result hides what its sum did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.judging.comparisons import Submission
from xentcheck.judging.verdict import Judgement
from xentcheck.records.record import rank
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt, given
from xentcheck.running.subjects import Subject, contracts_of

SIZES = (1003, 4096, 32003, 128256)

DTYPES = ("float64", "float32")

LADDER: tuple[tuple[str, dict[str, int]], ...] = (
    ("1024 partial sums", {"lanes": 1024}),
    ("128 partial sums", {"lanes": 128}),
    ("16 partial sums", {"lanes": 16}),
    ("4 running sums", {"running_sums": 4}),
    ("1 running sum", {"running_sums": 1}),
    ("any order", {"running_sums": 0}),
)
"""Rungs from the lowest sums to the highest, and what they change in a contract."""


@dataclass(frozen=True)
class Height:
    """The shares of every rung at one size, and the first rung that all rows meet; empty if none does."""

    place: tuple[str, str, str, str]
    classes: int
    shares: dict[str, float]

    @property
    def rung(self) -> str:
        """`not (share <= 1)` excludes a rung, so that nan does."""
        return next((name for name, share in self.shares.items() if share <= 1), "")


def rows(classes: int, dtype: str, seed: int = 0) -> Problem:
    """Equal, repeated, ascending, descending and hardly different addends, one far ahead of small ones, and normal."""
    s = Stream(f"height {classes} {dtype} {seed}")
    n = np.arange(classes)
    tail = s.gaussian((2, classes))
    z = np.stack(
        [
            *(np.where(n == 0, 0.0, -gap) for gap in s.uniform(0.2, 6.0, (3,))),
            np.where(n == classes - 1, 0.0, -s.uniform(0.2, 6.0, (1,))),
            s.integers(0, 3, (classes,)).astype(np.float64),
            n * 2.0**-12,
            -n * 2.0**-12,
            np.where(n == 0, 0.0, tail[0] - 17.0),
            1e-4 * tail[1],
            2.0 * tail[1],
            -np.sort(-2.0 * tail[1]),
        ]
    )
    return Problem(
        logits=z.astype(dtype), target=np.zeros(len(z), int), reduction="none", upstream=np.ones(len(z), dtype)
    )


def height_of(subject: Subject, dtype: str, classes: int) -> Height | None:
    """The height of a subject at one size; None where it gives no result, or one of another shape or dtype."""
    provided = subject.adapter.capabilities.quantities
    p = given(rows(classes, dtype), subject)
    quantity = "a" if "a" in provided else "dC/dz"
    if quantity not in provided or subject.adapter.unsupported(p):
        return None
    found = attempt(subject, p, (quantity,))
    if found.result is None:
        return None
    declared = contracts_of(subject, dtype)[0][quantity]
    rungs = {name: changed(declared, name, fields) for name, fields in LADDER}
    judged = Submission(found.result.values, declared, tuple(rungs.values()))
    (verdict,) = Judgement(p, (quantity,), [judged]).run()
    if verdict[quantity].mismatch:
        return None
    place = (subject.adapter.name, subject.variant, subject.device, dtype)
    return Height(place, classes, {name: verdict[quantity].shares[c.name] for name, c in rungs.items()})


def changed(contract: Contract, name: str, fields: dict[str, int]) -> Contract:
    """A contract with the sums of a rung."""
    return replace(contract, name=name, lanes=fields.get("lanes", 0), running_sums=fields.get("running_sums", 0))


def heights(subjects: Sequence[Subject], dtypes: Sequence[str], sizes: Sequence[int] = SIZES) -> Iterator[Height]:
    """The heights of the main variants, by implementation, dtype and size."""
    for subject in subjects:
        if subject.missing or not subject.is_main:
            continue
        for dtype in DTYPES:
            if dtype in dtypes and dtype in subject.adapter.capabilities.dtypes:
                for classes in sizes:
                    if (found := height_of(subject, dtype, classes)) is not None:
                        yield found


def held_to(found: Sequence[Height]) -> str:
    """The first rung that is met at every size; empty if there is none."""
    worst = {name: max((h.shares[name] for h in found), key=rank) for name, _ in LADDER} if found else {}
    return next((name for name, share in worst.items() if share <= 1), "")
