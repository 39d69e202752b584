"""A large case is judged in blocks of rows: each block is an ordinary case, and its records are put together.

Rows of dC/dz and losses depend on no other row, but for the denominator of a mean: a mean is that of each block. A
block's case is of the same recipe, with a seed of its own, so that any block can be drawn and replayed alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from xentcheck.cases.build import LARGEST
from xentcheck.cases.case import Case
from xentcheck.cases.selection import require_draw
from xentcheck.errors import CaseError
from xentcheck.records.record import Record, place_of
from xentcheck.running.comparison import lost_case, run_case
from xentcheck.running.subjects import Subject
from xentcheck.running.tasks import Finished, Task
from xentcheck.studies.law_study import LawStudy
from xentcheck.vocabulary import FAILING

from .merging import Part, merged

AT_ONCE = 2**23
"""Elements of a block, about: with all that is computed of one, far below 1 GiB."""

DTYPES = ("bfloat16", "float32")
"""Dtypes of a shape, unless others are named."""

MOST_BLOCKS = 10**6
"""More than anybody waits for."""

_SHAPE = re.compile(r"([1-9]\d{0,17})x([1-9]\d{0,17})")


@dataclass(frozen=True)
class Block:
    """The task: some rows of a large case, from the row `first` on."""

    whole: Case
    case: Case
    first: int

    @property
    def signature(self) -> str:
        """The id of the block's own case."""
        return str(self.case)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.case.shape[0]

    def run(self, subjects: Sequence[Subject]) -> list[Record]:
        """The block's records; grades, and the causes of what disagrees, are looked for in the first block only."""
        return run_case(self.case, [s.outcomes_only() if self.first else s for s in takers(subjects)])

    def lost(self, subjects: Sequence[Subject], reason: str) -> list[Record]:
        """A record of a crash for each comparison."""
        return lost_case(self.case, takers(subjects), reason)


def takers(subjects: Sequence[Subject]) -> list[Subject]:
    """The main variants, which take every block: some shapes and seeds are cases that profiles have for some only."""
    return [replace(s, always=True) for s in subjects if s.is_main]


def large_cases(text: str, dtypes: Sequence[str] | None = None, seed: int = 0) -> list[Case]:
    """The cases of a shape as 8192x128256 in each dtype, or the case of an id, which names both. Raises CaseError.

    >>> [str(case) for case in large_cases("8192x128256", ["bfloat16"])]
    ['gaussian.8192x128256.bf16.index.plain.mean.up-one.contig.s0']
    """
    if not isinstance(text, str):
        raise CaseError(f"case is of type {type(text).__name__}; allowed: ROWSxCLASSES, as 8192x128256, or a case's id")
    require_draw(dtypes or None, seed)
    if shape := _SHAPE.fullmatch(text):
        size = int(shape[1]), int(shape[2])
        cases = [Case(family="gaussian", shape=size, dtype=dtype, seed=seed) for dtype in dtypes or DTYPES]
    elif "." not in text:
        raise CaseError(f"{text!r} is no large problem; allowed: ROWSxCLASSES, as 8192x128256, or the id of a case")
    else:
        cases = [Case.parse(text)]
        if dtypes and cases[0].dtype not in dtypes:
            raise CaseError(f"case {text} is of dtype {cases[0].dtype}, none of those asked for: {', '.join(dtypes)}")
        if seed and cases[0].seed != seed:
            raise CaseError(f"case {text} is of seed {cases[0].seed}, not of the one asked for: {seed}")
    for case in cases:
        if len(case.shape) != 2 or case.inputs:
            raise CaseError(f"case {case} has no rows of logits to take apart; allowed: the shape ROWSxCLASSES")
        if case.classes > LARGEST:
            raise CaseError(f"case {case} has {case.classes} classes; allowed: up to {LARGEST} in a row")
        if case.shape[0] / _rows_of(case) > MOST_BLOCKS:
            raise CaseError(f"case {case} has {case.shape[0]} rows; allowed: up to {MOST_BLOCKS * _rows_of(case)}")
    return cases


def _rows_of(case: Case) -> int:
    """Rows of a block: a power of two, so that few shapes have a last block that is shorter."""
    most = max(1, AT_ONCE // max(1, case.classes))
    return 1 << (most.bit_length() - 1)


def blocks_of(whole: Case, rows: int | None = None) -> list[Block]:
    """The blocks of a large case, of so many rows each but the last; draw s has the seeds from s times their number on.

    >>> [(str(b.case)[:15], b.case.seed, b.first) for b in blocks_of(large_cases("50x300", seed=2)[0], rows=20)]
    [('gaussian.20x300', 6, 0), ('gaussian.20x300', 7, 20), ('gaussian.10x300', 8, 40)]
    """
    n, c = whole.shape
    rows = rows or _rows_of(whole)
    starts = range(0, n, rows)
    first = whole.seed * len(starts)
    return [
        Block(whole, replace(whole, shape=(min(rows, n - start), c), seed=first + k), start)
        for k, start in enumerate(starts)
    ]


def tasks_of(wholes: Sequence[Case]) -> list[Task]:
    """The laws, which are about small problems, in the dtypes of some large cases; and the blocks of these."""
    return [LawStudy(tuple(dict.fromkeys(whole.dtype for whole in wholes))), *(b for w in wholes for b in blocks_of(w))]


def together(
    tasks: Iterable[Task], finished: Iterable[Finished], told: Callable[[int], object], *, stop: bool = False
) -> Iterator[Finished]:
    """One `Finished` per large case, of what its blocks have found, in their order, after those of other tasks.

    told: called with the number of elements of each block that is done. stop: with the first block that fails.
    """
    parts: dict[Case, dict[tuple[object, ...], list[Part]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[Case, float] = defaultdict(float)
    for block, done in zip(tasks, finished, strict=False):
        if not isinstance(block, Block):
            yield done
            continue
        for r in done.records:
            parts[block.whole][place_of(r), r.quantity].append(Part(block.first, block.rows, r))
        seconds[block.whole] += done.seconds
        told(block.rows * block.whole.classes)
        if stop and any(r.outcome in FAILING for r in done.records):
            break
    for whole, found in parts.items():
        records = tuple(merged(str(whole), some) for some in found.values())
        yield Finished(str(whole), records, float(seconds[whole]))
