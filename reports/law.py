"""Law results: properties that every right implementation has, whatever the exact values are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from .record import plain

COLUMNS = ["implementation", "dtype", "law", "kept", "share", "detail"]


@dataclass(frozen=True, kw_only=True)
class LawResult:
    """One law on one implementation: share is the deviation over what the bounds allow; not (share <= 1) breaks it.

    unasked: why it could not be asked of this implementation; empty if it was.

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

    @property
    def kept(self) -> bool:
        """Whether the law holds within the bounds, as far as it was asked."""
        return bool(self.unasked) or self.share <= 1.0

    def __str__(self) -> str:
        place = f"{self.adapter}/{self.variant}/{self.device}/{self.dtype}"
        return f"{place} breaks the law {self.law}: {self.detail}, {self.share:.3g} of what the bounds allow"

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; infinities and nan become strings."""
        given = {name: plain(value) for name, value in asdict(self).items()}
        return given if self.unasked else {name: given[name] for name in given if name != "unasked"}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LawResult:
        """What `to_json` wrote. Raises TypeError or ValueError for data of another shape."""
        known = {f.name for f in fields(cls)}
        data = {"unasked": "", **data}
        if wrong := sorted(set(data) ^ known):
            raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
        for name in known - {"share"}:
            if not isinstance(data[name], str):
                raise TypeError(f"{name} is of type {type(data[name]).__name__}; allowed: str")
        return cls(**{**data, "share": float(data["share"])})


def law_table(found: Iterable[LawResult]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows, the broken ones first."""
    rows = [
        [f"{r.adapter} {r.variant} {r.device}", r.dtype, r.law, *_answer(r), r.detail]
        for r in sorted(found, key=lambda r: (r.kept, r.adapter, r.variant, r.device, r.dtype))
    ]
    return COLUMNS, rows


def _answer(r: LawResult) -> tuple[str, str]:
    """Kept and share."""
    return (r.unasked, "-") if r.unasked else ("yes" if r.kept else "no", f"{r.share:.3g}")
