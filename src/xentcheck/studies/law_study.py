"""Laws: an implementation is asked for each property, in its own process if it has one, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import told
from xentcheck.records.findings import ALL_LAWS, LawResult
from xentcheck.running.attempts import served
from xentcheck.running.subjects import Subject

from .asker import Asker, Failed, Misshapen, Unanswered
from .laws import LAWS, MEMORY
from .related import base_for


def laws(subject: Subject, dtype: str) -> Iterator[LawResult]:
    """Every law that the implementation supports, in one dtype; one that answers in another shape keeps none.

    Where it runs in a worker process, the laws run there, with the same results; a program in another language is not
    asked for what only its own memory can tell. One that is called no more breaks the rest of them at once.
    """
    for name in LAWS:
        if result := _anywhere(subject, dtype, name):
            yield result if result.kept else replace(result, again=_again(subject, dtype))
            if result.law == ALL_LAWS:
                return


def _again(subject: Subject, dtype: str) -> str:
    """The command that asks all laws in a dtype, beside one small case; empty for what no command can name."""
    if not subject.command:
        return ""
    plain = (c for c in cases("quick") if c.dtype == dtype and c.reduction == "mean" and not c.options and not c.inputs)
    case = min((c for c in plain if len(c.shape) == 2 and 0 not in c.shape), key=lambda c: (math.prod(c.shape), str(c)))
    return f"xentcheck run {subject.command} --device {subject.device} --case {case}"


def _anywhere(subject: Subject, dtype: str, name: str) -> LawResult | None:
    adapter = subject.adapter
    if not isinstance(adapter, ProcessAdapter):
        return law_result(subject, dtype, name)
    if adapter.serves("law"):
        try:
            found = served(subject, "law", {"law": name, "dtype": dtype})
        except Exception as error:
            how = f"{getattr(error, 'outcome', 'error')}: {told(error)}"
            if not getattr(error, "called", True):
                return _result(subject, dtype, ALL_LAWS, float("nan"), how)
            return _result(subject, dtype, name, float("nan"), f"{LAWS[name][0]}; {how}")
        return found and LawResult.from_json(found)
    if name == MEMORY:
        why = "not asked: only copies of its results leave the program"
        return replace(_result(subject, dtype, name, 0.0, LAWS[name][0]), unasked=why)
    return law_result(subject, dtype, name)


def law_result(subject: Subject, dtype: str, name: str) -> LawResult | None:
    """One law in this process; None if the implementation does not support what it asks."""
    text, law = LAWS[name]
    try:
        found, limit = law(Asker(subject), base_for(subject, dtype))
    except Unanswered:
        return None
    except (Failed, Misshapen) as error:
        return _result(subject, dtype, name, float("nan"), f"{text}; {error}")
    with np.errstate(all="ignore"):
        shares = np.where(found == 0, 0.0, np.abs(found) / limit)
    share = float("nan") if np.isnan(shares).any() else float(shares.max(initial=0.0))
    return _result(subject, dtype, name, share, text)


def _result(subject: Subject, dtype: str, name: str, share: float, detail: str) -> LawResult:
    place = {"adapter": subject.adapter.name, "variant": subject.variant, "device": subject.device}
    return LawResult(**place, dtype=dtype, law=name, share=share, detail=detail)


@dataclass(frozen=True)
class LawStudy:
    """The task: all laws, in some dtypes."""

    dtypes: tuple[str, ...]
    signature: str = "laws"

    def run(self, subjects: Sequence[Subject]) -> Iterator[LawResult]:
        """The laws on the main variants of all subjects that are there and take a dtype."""
        for s in subjects:
            for dtype in self.dtypes if s.is_main and not s.missing else ():
                if dtype in s.adapter.capabilities.dtypes:
                    yield from laws(s, dtype)

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterator[LawResult]:
        """A broken law for each dtype: nobody knows which one it was."""
        for s in subjects:
            for dtype in self.dtypes if s.is_main and not s.missing else ():
                place = {"adapter": s.adapter.name, "variant": s.variant, "device": s.device, "dtype": dtype}
                yield LawResult(**place, law=ALL_LAWS, share=math.inf, detail=reason, again=_again(s, dtype))
