"""Cases of one signature go to one worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from xentcheck.cases import Case

PENDING = 4
"""Tests that a worker has at a time, the one that runs included."""


def by_signature(config: pytest.Config, log: Any, group_of: Callable[[str], str] = lambda nodeid: "") -> Any:
    """A scheduler that gives the cases of one signature to one worker, and other tests one by one.

    group_of: a node id -> the name of other tests that stay together, or nothing.
    xdist's own `loadgroup` marks groups in `Node._nodeid`, which pytest 9.2 no longer has.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySignature(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return signature_in(nodeid) or group_of(nodeid) or nodeid

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            """What is done is forgotten: after each test xdist counts all that its worker has had."""
            super().mark_test_complete(node, item_index, duration)
            scope = self._split_scope(self.registered_collections[node][item_index])
            if all(self.assigned_work[node][scope].values()):
                del self.assigned_work[node][scope]

        def _assign_work_unit(self, node: Any) -> None:
            """What a worker that has died was given goes back to the others as soon as xdist hears of its death."""
            with suppress(OSError):
                super()._assign_work_unit(node)

        def _reschedule(self, node: Any) -> None:
            """xdist keeps the test that runs and the next one: for the one after that a worker waits, each time."""
            super()._reschedule(node)
            while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < PENDING:
                self._assign_work_unit(node)

    return BySignature(config, log)


def signature_in(nodeid: str) -> str:
    """The signature of the case that a node id of the matrix begins its parameters with; empty for other tests.

    >>> signature_in("test_matrix.py::test_matrix[ties.5x3.f32.index.w+ls.mean.up-one.contig.s0-jax-jit-cpu-a]")
    '5x3.f32.index.ls+w.mean'
    """
    found = re.search(r"::test_matrix\[([a-z0-9.+-]+?\.s\d+)-", nodeid)
    return Case.parse(found[1]).signature if found else ""
