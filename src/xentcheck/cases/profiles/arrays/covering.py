"""Covering arrays: few rows in which every allowed combination of the levels of any t factors occurs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array

Level = tuple[str, Any]
Pair = frozenset[Level]


def feasible(row: Mapping[str, Any], forbidden: Iterable[Pair]) -> bool:
    """Whether a row, or a part of one, holds no forbidden pair of (factor, level)."""
    items = row.items()
    return not any(pair <= items for pair in forbidden)


def covering_array(
    factors: Mapping[str, tuple[Any, ...]],
    forbidden: Iterable[Pair],
    strength: int,
    frame: Mapping[str, tuple[int, ...]] | None = None,
) -> list[dict[str, Any]]:
    """Rows, factor -> level, that hold every combination of `strength` factors' levels without a forbidden pair.

    The first level of each factor has to go with every level of all others, so that no row runs into a dead end.
    frame: factors whose combinations are dear (each costs a compilation), with a class per level: levels of one class
    count as one. The rows reuse few combinations of those. Greedy (row by row, each from the first combination that is
    missing), and the same for the same arguments.

    >>> rows = covering_array({"x": (0, 1), "y": (0, 1), "z": (0, 1)}, [], 2)
    >>> len(rows), len({(r["x"], r["z"]) for r in rows})
    (4, 4)
    """
    return _Builder(factors, forbidden, strength, frame or {}).rows()


class _Builder:
    """Rows as arrays of level numbers; which combinations are missing, as one flat array over all sets of factors."""

    def __init__(
        self,
        factors: Mapping[str, tuple[Any, ...]],
        forbidden: Iterable[Pair],
        strength: int,
        frame: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.factors = dict(factors)
        self.names = list(factors)
        self.sizes = np.array([len(levels) for levels in factors.values()])
        self.allowed = self._compatible(forbidden)
        self.framed = [self.names.index(name) for name in frame]
        self.classes = {self.names.index(name): np.array(classes) for name, classes in frame.items()}
        count = len(self.names)
        sets = sorted(combinations(range(count), strength), key=lambda s: not set(s) <= set(self.framed))
        self.sets = sets
        self.member = np.array([[f in s for f in range(count)] for s in sets])
        self.strides = np.zeros((len(sets), count), np.int64)
        for row, s in zip(self.strides, sets, strict=True):
            row[list(s)] = np.cumprod([1, *(self.sizes[f] for f in s[:0:-1])])[::-1]
        ends = np.cumsum([int(np.prod(self.sizes[list(s)])) for s in sets])
        self.starts = np.concatenate([[0], ends[:-1]])
        self.missing = np.concatenate([self._allowed_in(s) for s in sets])
        self.used = [np.zeros(n, np.int64) for n in self.sizes]

    def _compatible(self, forbidden: Iterable[Pair]) -> list[list[Array]]:
        """[f][g]: (levels of f, levels of g), which of them go together."""
        allowed = [[np.ones((n, m), bool) for m in self.sizes] for n in self.sizes]
        for pair in forbidden:
            (f, x), (g, y) = ((self.names.index(n), self.factors[n].index(level)) for n, level in pair)
            allowed[f][g][x, y] = allowed[g][f][y, x] = False
        for f, row in enumerate(allowed):
            if not all(table[0].all() for table in row):
                raise ValueError(f"the first level of {self.names[f]} does not go with every level of the others")
        return allowed

    def _allowed_in(self, s: tuple[int, ...]) -> Array:
        """The combinations of a set of factors that hold no forbidden pair, flat."""
        grid = np.indices([int(self.sizes[f]) for f in s]).reshape(len(s), -1)
        found = np.ones(grid.shape[1], bool)
        for i, j in combinations(range(len(s)), 2):
            found &= self.allowed[s[i]][s[j]][grid[i], grid[j]]
        return found

    def rows(self) -> list[dict[str, Any]]:
        found: list[Array] = []
        frames: dict[tuple[int, ...], int] = {}
        at = 0
        while True:
            ahead = np.flatnonzero(self.missing[at:])
            if not len(ahead):
                return [{n: self.factors[n][x] for n, x in zip(self.names, row, strict=True)} for row in found]
            at += int(ahead[0])
            row = self._row(at, frames)
            self.missing[self.starts + self.strides @ row] = False
            for used, level in zip(self.used, row, strict=True):
                used[level] += 1
            key = tuple(int(self.classes[f][row[f]]) for f in self.framed)
            frames[key] = frames.get(key, 0) + 1
            found.append(row)

    def _row(self, at: int, frames: Mapping[tuple[int, ...], int]) -> Array:
        """A row with the missing combination `at`, on a frame that there is already if one fits."""
        where = int(np.searchsorted(self.starts, at, side="right")) - 1
        s = list(self.sets[where])
        row = np.full(len(self.names), -1)
        row[s] = np.unravel_index(at - self.starts[where], self.sizes[s])
        open_levels = [self._open(row, f) for f in range(len(self.names))]
        fitting = [key for key in frames if self._fits(key, open_levels)]
        if fitting:
            chosen = min(fitting, key=lambda key: frames[key])
            for f, label in zip(self.framed, chosen, strict=True):
                open_levels[f] &= self.classes[f] == label
        for f in [*self.framed, *(f for f in range(len(row)) if f not in self.framed)]:
            if row[f] < 0:
                row[f] = self._best(row, f, open_levels[f] & self._open(row, f))
        return row

    def _open(self, row: Array, f: int) -> Array:
        """Which levels of a factor go with what the row has."""
        if row[f] >= 0:
            return np.asarray(np.arange(self.sizes[f]) == row[f])
        found = np.ones(self.sizes[f], bool)
        for g in np.flatnonzero(row >= 0):
            found &= self.allowed[f][g][:, row[g]]
        return found

    def _fits(self, key: tuple[int, ...], open_levels: list[Array]) -> bool:
        return all((open_levels[f] & (self.classes[f] == c)).any() for f, c in zip(self.framed, key, strict=True))

    def _best(self, row: Array, f: int, open_levels: Array) -> int:
        """The open level that adds most combinations; of equals, the one used least."""
        if not open_levels.any():
            open_levels = self._open(row, f)
        assigned = row >= 0
        ready = self.member[:, f] & ((self.member & ~assigned).sum(1) == 1)
        base = self.starts[ready] + self.strides[ready] @ np.where(assigned, row, 0)
        levels = np.arange(self.sizes[f])
        gain = self.missing[base[:, None] + self.strides[ready, f][:, None] * levels].sum(0)
        return int(np.lexsort((self.used[f], -gain, ~open_levels))[0])
