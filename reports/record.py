"""Record: what one comparison found, as plain data that survives a round trip through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from xentcheck.vocabulary import OUTCOMES, QUANTITIES

ULP_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1024.0, 1048576.0)
"""Lower edges of the bins of `Record.ulp_counts`; the last bin has no upper end."""

SHARE_EDGES = (0.0, 2.0**-10, 2.0**-7, 2.0**-5, 2.0**-4, 2.0**-3, 0.25, 0.5, 1.0)
"""Lower edges of the bins of `Record.share_counts`; the last bin has no upper end."""

Place = tuple[str, str, str, str]
"""adapter, variant, device, dtype"""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One comparison: adapter variant x device x dtype x quantity x case.

    share: largest observed error / bound. ulp: largest error in units in the last place of the exact value.
    got, expected, bound: the worst element, as hexadecimal floats ("inf", "nan" where they are). index: its position.
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

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; fields at their default are left out; infinities and nan become strings."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: plain(value) for name, value in given.items() if not _left_out(value)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The record that `to_json` wrote. Raises TypeError, ValueError or OverflowError for data of another shape."""
        known = {f.name for f in fields(cls)}
        for name in data:
            if name not in known:
                raise ValueError(f"unknown field {name!r} in a record")
        return cls(**{name: _rich(name, value) for name, value in data.items()})


COUNTS = {"ulp_counts": ULP_EDGES, "share_counts": SHARE_EDGES}
"""Fields that count elements, and the edges of their bins."""


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


def _left_out(value: Any) -> bool:
    """Nothing known, or nothing in it; a number is never left out."""
    return value is None or (isinstance(value, (str, tuple, dict)) and not value)


def plain(value: Any) -> Any:
    """JSON has no infinity and no nan: they travel as strings."""
    if isinstance(value, float) and not (value == value and abs(value) != float("inf")):
        return repr(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def _rich(name: str, value: Any) -> Any:
    """The value of a field from its JSON, checked, so that nothing later stumbles over it."""
    if name in ("share", "ulp", "blind_fraction"):
        return float(value)
    if name == "shares":
        return {k: float(v) for k, v in _typed(name, value, dict).items()}
    if name == "within":
        return {k: _typed(name, n, int) for k, n in _typed(name, value, dict).items()}
    if name == "margins":
        rows = [tuple(map(float, _typed(name, row, list))) for row in _typed(name, value, list)]
        return tuple(_sized(name, row, 3) for row in rows)
    if name in ("index", *COUNTS):
        whole = tuple(_typed(name, n, int) for n in _typed(name, value, list))
        return whole if name == "index" else _sized(name, whole, len(COUNTS[name]))
    if name in ("applicable", "rejected", "required", "suspects", "warnings", "notes"):
        return tuple(_typed(name, text, str) for text in _typed(name, value, list))
    if name == "elements":
        return _typed(name, value, int)
    if name == "outcome" and value not in OUTCOMES:
        raise ValueError(f"unknown outcome {value!r}; allowed: {', '.join(OUTCOMES)}")
    if name in ("got", "expected", "bound"):
        float.fromhex(_typed(name, value, str))
    return _typed(name, value, str)


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; allowed: {kind.__name__}")
    return value


def _sized(name: str, values: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    if len(values) != length:
        raise ValueError(f"{name} has {len(values)} numbers; allowed: {length}")
    return values
