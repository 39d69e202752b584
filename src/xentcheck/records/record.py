"""Record: what one comparison found, as plain data that survives a round trip through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import frexp, inf, isclose

from xentcheck.vocabulary import OUTCOMES, QUANTITIES

from .codec import Plain
from .facts import Facts

ULP_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1024.0, 1048576.0)
"""Lower edges of the bins of `Record.ulp_counts`; the last bin has no upper end."""

SHARE_EDGES = (0.0, 2.0**-10, 2.0**-7, 2.0**-5, 2.0**-4, 2.0**-3, 0.25, 0.5, 1.0)
"""Lower edges of the bins of `Record.share_counts`; the last bin has no upper end."""

DIGITS = {"float64": 52, "float32": 23, "bfloat16": 7, "float16": 10}
"""Of a dtype's significand: a unit in the last place of a number in [1, 2) is 2^-digits."""

LOWEST = {"float64": -1022, "float32": -126, "bfloat16": -126, "float16": -14}
"""Numbers below 2^lowest, the subnormal ones, have fewer digits: errors are not told in units of their last place."""

ROUNDING = 2.0**-20
"""A number of ULPs that is made of a record's numbers is as exact as that; those of two elements are hardly so near."""

Place = tuple[str, str, str, str]
"""adapter, variant, device, dtype"""


@dataclass(frozen=True, kw_only=True)
class Element(Plain):
    """One element: its position, and as hexadecimal floats its value, the exact one and the bound."""

    index: tuple[int, ...] = ()
    got: str
    expected: str
    bound: str

    def validate(self) -> None:
        """Raise ValueError for a number that is no hexadecimal float."""
        for text in (self.got, self.expected, self.bound):
            float.fromhex(text)


@dataclass(frozen=True, kw_only=True)
class Record(Facts, Plain):
    """One comparison: adapter variant x device x dtype x quantity x case; the facts say why it has its outcome.

    reason: the facts as a sentence for people; whoever asks for a fact reads its field.
    share: largest observed error / bound. ulp: largest error in units in the last place of the exact value, None if no
    exact value is in the normal range of the dtype.
    got, expected, bound: the worst element, as hexadecimal floats ("inf", "nan" where they are). index: its position.
    farthest: the element of `ulp`, where that is another one.
    applicable, rejected: the standard wrong answers that this comparison could have told from the right one, and those
    that its bound rejects. required: those that its group must reject. blind_fraction: share of the non-zero elements
    that could be zeroed unnoticed. shares: contract -> share, for every contract of the catalogue that was evaluated.
    size: its step of classes and rows, empty if it has no rows. elements: number of elements compared. ulp_counts,
    share_counts: elements per bin of ULP_EDGES and SHARE_EDGES.
    within: where nothing is declared and the outcome is `disagree`: other contracts of the catalogue that allow all of
    it, each with the number of classes from which on a result of zeros passes under it, 0 where none does.
    notes: what was seen beside the outcome, and is no failure.
    result_dtype: of a result that came wider than the problem's dtype, and is judged as such; else empty.
    suspects: known mistakes that explain a failure, "code: sentence" each.
    margins: [margin of the target's logit, relative error of dC/dz at the target, its relative bound] per row, for the
    plot of error against margin.

    >>> place = dict(adapter="numpy", variant="eager", device="cpu", dtype="float64", quantity="a")
    >>> sample = Record(**place, case="c", group="g", contract="fused", outcome="agree", share=float("inf"))
    >>> sample.to_json()["share"], Record.from_json(sample.to_json()) == sample
    ('inf', True)
    """

    adapter: str
    variant: str
    version: str = ""
    device: str
    dtype: str
    quantity: str
    case: str
    group: str
    contract: str
    outcome: str
    reason: str = ""
    link: str = ""
    digest: str = ""
    share: float | None = None
    ulp: float | None = None
    index: tuple[int, ...] = ()
    got: str = ""
    expected: str = ""
    bound: str = ""
    farthest: Element | None = None
    elements: int = 0
    applicable: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    blind_fraction: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    within: dict[str, int] = field(default_factory=dict)
    ulp_counts: tuple[int, ...] = ()
    share_counts: tuple[int, ...] = ()
    margins: tuple[tuple[float, float, float], ...] = ()
    replay: str = ""
    suspects: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    size: str = ""
    result_dtype: str = ""
    notes: tuple[str, ...] = ()

    @property
    def judged_by(self) -> str:
        """The contract, and the dtype of the result where it is wider."""
        return f"{self.contract}, {self.result_dtype} result" if self.result_dtype else self.contract

    @property
    def ulp_here(self) -> float | None:
        """The error at `index` in units in the last place of its exact value; None below the normal range."""
        if not self.expected:
            return None
        got, exact, bound = map(float.fromhex, (self.got, self.expected, self.bound))
        error = 0.0 if got == exact else abs(got - exact)
        dtype = self.result_dtype or self.dtype
        if dtype == "float64" and self.share is not None and 0 < self.share * bound < inf:
            error = self.share * bound  # `expected` is the exact value to 53 bits, which is too few for its error
        return ulps_of(error if error == error else inf, exact, dtype)

    @property
    def of_ulp(self) -> Element | None:
        """The element of `ulp`; None where an older run kept another one."""
        if self.farthest or self.ulp is None:
            return self.farthest
        here = self.ulp_here is not None and isclose(self.ulp_here, self.ulp, rel_tol=ROUNDING)
        return Element(index=self.index, got=self.got, expected=self.expected, bound=self.bound) if here else None

    def validate(self) -> None:
        """Raise ValueError for an unknown outcome, a number that is no hexadecimal float, or another number of bins."""
        if self.outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome {self.outcome!r}; allowed: {', '.join(OUTCOMES)}")
        for text in filter(None, (self.got, self.expected, self.bound)):
            float.fromhex(text)
        for name, edges in COUNTS.items():
            if (counts := getattr(self, name)) and len(counts) != len(edges):
                raise ValueError(f"{name} has {len(counts)} numbers; allowed: {len(edges)}")


COUNTS = {"ulp_counts": ULP_EDGES, "share_counts": SHARE_EDGES}
"""Fields that count elements, and the edges of their bins."""


def ulps_of(error: float, exact: float, dtype: str) -> float | None:
    """An error in units in the last place of its exact value; None for one below the normal range.

    >>> ulps_of(2.0**-23, 1.5, "float32"), ulps_of(2.0**-23, 1e-40, "float32")
    (1.0, None)
    """
    if dtype not in DIGITS or not abs(exact) >= 2.0 ** LOWEST[dtype]:
        return None
    exponent = frexp(exact)[1] - 1 if abs(exact) < inf else 0
    return error / 2.0 ** (exponent - DIGITS[dtype])


def rank(x: float | None) -> float:
    """For the largest of some numbers: nan is above all, nothing below."""
    if x is None:
        return float("-inf")
    return x if x == x else float("inf")


def place_of(record: Record) -> Place:
    """Which implementation, where, in which dtype."""
    return (record.adapter, record.variant, record.device, record.dtype)


def order_key(record: Record) -> tuple[object, ...]:
    """The one canonical order of records: by place, quantity in the order of the vocabulary, and case."""
    quantity = QUANTITIES.index(record.quantity) if record.quantity in QUANTITIES else len(QUANTITIES)
    return (*place_of(record), quantity, record.quantity, record.case, record.group)
