"""Cases of one signature go to one worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from xentcheck.cases import Case

if TYPE_CHECKING:
    pass


def by_signature(config: pytest.Config, log: Any, group_of: Callable[[str], str] = lambda nodeid: "") -> Any:
    """A scheduler that gives the cases of one signature to one worker, and other tests one by one.

    group_of: a node id -> the name of other tests that stay together, or nothing.
    xdist's own `loadgroup` marks groups in `Node._nodeid`, which pytest 9.2 no longer has.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySignature(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return signature_in(nodeid) or group_of(nodeid) or nodeid

    return BySignature(config, log)


def signature_in(nodeid: str) -> str:
    """The signature of the case that a node id of the matrix begins its parameters with; empty for other tests.

    >>> signature_in("test_matrix.py::test_matrix[ties.5x3.f32.index.w+ls.mean.up-one.contig.s0-jax-jit-cpu-a]")
    '5x3.f32.index.ls+w.mean'
    """
    found = re.search(r"::test_matrix\[([a-z0-9.+-]+?\.s\d+)-", nodeid)
    return Case.parse(found[1]).signature if found else ""
