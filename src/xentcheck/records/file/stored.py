"""The records of a run file, read again from the file by each who iterates: a million of them take no memory."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, overload

from xentcheck.errors import RunFileError
from xentcheck.records.record import Record, order_key

from .lines import WITHOUT_FACTS
from .old import with_facts

Decoded = Callable[[Any], Record]

Stamp = tuple[int, ...]
"""What tells whether a file is the one that was read; of one that is still being written, its first number alone."""


class Stored(Sequence[Record]):
    """Records of a run file, by where their lines begin; each iteration reads the file anew.

    decoded: a record of the object of its line. The file has to stay as it is: raises RunFileError if it has changed.
    """

    def __init__(self, path: Path, stamp: Stamp, starts: Sequence[int], order: Sequence[int], decoded: Decoded) -> None:
        self.path = path
        self._stamp, self._starts, self._order, self._decoded = stamp, starts, order, decoded

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Record]:
        try:
            with self.path.open("rb") as file:
                if stamp_of(file.fileno())[: len(self._stamp)] != self._stamp:
                    raise self._changed()
                for start in self._starts:
                    file.seek(start)
                    yield self._record(file.readline())
        except OSError as error:
            raise RunFileError(f"run file {self.path} cannot be read: {error.strerror}") from error

    @overload
    def __getitem__(self, key: int) -> Record: ...

    @overload
    def __getitem__(self, key: slice) -> Stored: ...

    def __getitem__(self, key: int | slice) -> Record | Stored:
        if isinstance(key, slice):
            return self.at(range(len(self))[key])
        (record,) = self.at([range(len(self))[key]])
        return record

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip_longest(self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def at(self, positions: Iterable[int]) -> Stored:
        """Those at some positions, in their order."""
        starts = array("q", (self._starts[i] for i in positions))
        return Stored(self.path, self._stamp, starts, (), self._decoded)

    def in_order(self) -> Stored:
        """All of them in canonical order; of a part of a file, in the order of that part."""
        return self.at(self._order) if self._order else self

    def changed(self, change: Callable[[Record], Record]) -> Stored:
        """The same, each with a change that leaves its place in the order."""
        decoded = self._decoded
        return Stored(self.path, self._stamp, self._starts, self._order, lambda data: change(decoded(data)))

    def _record(self, line: bytes) -> Record:
        try:
            data = json.loads(line)
            del data["kind"]
            return self._decoded(data)
        except (ValueError, TypeError, KeyError, OverflowError):
            raise self._changed() from None

    def _changed(self) -> RunFileError:
        return RunFileError(f"run file {self.path} has changed since it was read")


class Index:
    """Where the records of a file begin, and their canonical order, gathered while the file is read."""

    def __init__(self) -> None:
        self.starts = array("q")
        self._ids: tuple[dict[Any, int], ...] = ({}, {}, {})
        self._columns = array("q"), array("q"), array("q")

    def add(self, start: int, r: Record) -> None:
        """The next record, and where its line begins."""
        self.starts.append(start)
        *place, case, group = order_key(r)
        for ids, column, key in zip(self._ids, self._columns, (tuple(place), case, group), strict=True):
            column.append(ids.setdefault(key, len(ids)))

    def stored(self, path: Path, stamp: Stamp, schema: int) -> Stored:
        """The records."""
        ranks = [_ranks(ids) for ids in self._ids]
        keys = [0] * len(self.starts)
        for rank, column in zip(ranks, self._columns, strict=True):
            size = len(rank)
            for i, number in enumerate(column):
                keys[i] = keys[i] * size + rank[number]
        order = array("q", sorted(range(len(keys)), key=keys.__getitem__))
        return Stored(path, stamp, self.starts, order, _old if schema in WITHOUT_FACTS else Record.from_json)


def _ranks(ids: dict[Any, int]) -> array[int]:
    """Of each number that stands for a key, its place among the sorted keys."""
    ranks = array("q", bytes(8 * len(ids)))
    for place, key in enumerate(sorted(ids)):
        ranks[ids[key]] = place
    return ranks


def _old(data: Any) -> Record:
    return Record.from_json(with_facts(data))


def stamp_of(file: int) -> Stamp:
    """The stamp of an open file."""
    found = os.fstat(file)
    return found.st_ino, found.st_size, found.st_mtime_ns


def in_order(records: Iterable[Record]) -> Sequence[Record]:
    """The records in canonical order."""
    return records.in_order() if isinstance(records, Stored) else sorted(records, key=order_key)


def changed(records: Sequence[Record], change: Callable[[Record], Record]) -> Sequence[Record]:
    """The records, each with a change that leaves its place in the order."""
    return records.changed(change) if isinstance(records, Stored) else tuple(map(change, records))


def chosen(records: Sequence[Record], positions: Iterable[int]) -> Sequence[Record]:
    """The records at some positions, in their order."""
    return records.at(positions) if isinstance(records, Stored) else tuple(records[i] for i in positions)
