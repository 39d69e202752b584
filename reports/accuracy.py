"""Largest errors found: what a directed search says of one quantity of one implementation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from xentcheck.vocabulary import DTYPES, QUANTITIES

from .record import plain

COLUMNS = ["implementation", "dtype", "quantity", "ULP", "share of bound", "worst input by ULP: logits, label"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
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

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; infinities become strings."""
        return {name: plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Accuracy:
        """What `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(data) ^ known):
            raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
        for name in known - {"ulp", "share"}:
            if not isinstance(data[name], str):
                raise TypeError(f"{name} is of type {type(data[name]).__name__}; allowed: str")
        for name, allowed in (("dtype", DTYPES), ("quantity", QUANTITIES)):
            if data[name] not in allowed:
                raise ValueError(f"unknown {name} {data[name]!r}; allowed: {', '.join(allowed)}")
        return cls(**{**data, "ulp": float(data["ulp"]), "share": float(data["share"])})


def accuracy_table(found: Iterable[Accuracy]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows, in canonical order."""
    rows = [
        [f"{a.adapter} {a.variant} {a.device}", a.dtype, a.quantity, f"{a.ulp:.4g}", f"{a.share:.4g}", a.ulp_input]
        for a in sorted(found, key=_order)
    ]
    return COLUMNS, rows


def _order(a: Accuracy) -> tuple[object, ...]:
    return (a.adapter, a.variant, a.device, DTYPES.index(a.dtype), QUANTITIES.index(a.quantity))
