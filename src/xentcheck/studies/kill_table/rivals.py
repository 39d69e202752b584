"""What other checks notice of planted faults, on the cases of the profile `quick`.

The reading is the most favourable one for each check: assert_close is told the exact value, and cases on which a check
rejects the right implementation are its false alarms, and are left out for the faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.needs import keywords
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import foreign
from xentcheck.judging.conventions import convention_of
from xentcheck.museum.catalogue import Planted, planted
from xentcheck.records.findings import CAUGHT, MISSED
from xentcheck.reference.inputs import WIDE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

SHAPES = ((5, 10), (5, 3))
"""What slow gradcheck can take."""

Judge = Callable[[Any, Case, Problem], bool]
"""Whether a check accepts an implementation on a case."""


@dataclass(frozen=True)
class Rival:
    """Another way to test a loss: what it accepts, of which framework's functions, on which cases."""

    name: str
    framework: str
    accepts: Judge
    takes: Callable[[Case], bool]

    def rejects(self, adapter: Adapter) -> Iterator[Case]:
        """The cases that it rejects; an exception is noticed, too."""
        for case in filter(self.takes, _judged()):
            try:
                with foreign():
                    accepted = self.accepts(adapter, case, build(case))
            except Exception:
                accepted = False
            if not accepted:
                yield case


def _tensors(p: Problem) -> tuple[Any, Any, dict[str, Any]]:
    """Logits, target and options in PyTorch."""
    import torch

    options = {k: torch.from_numpy(np.array(v)) if k == "weight" else v for k, v in keywords(p).items()}
    return torch.from_numpy(np.array(p.logits)).requires_grad_(), torch.from_numpy(np.array(p.target)), options


def _close(adapter: Any, case: Case, p: Problem) -> bool:
    """`torch.testing.assert_close` with default tolerances, against the exact value rounded to the dtype."""
    import torch

    wanted = ("loss" if p.reduction == "none" else "cost", "dC/dz")
    found = adapter.compute(p, wanted, device="cpu", variant=adapter.variants[0]).values
    exact = Exact(p).evaluate(wanted)
    try:
        for q in wanted:
            with np.errstate(over="ignore"):
                rounded = exact[q][0].astype(p.dtype)
            torch.testing.assert_close(torch.from_numpy(found[q].copy()), torch.from_numpy(rounded))
    except AssertionError:
        return False
    return True


def _gradcheck(fast: bool) -> Judge:
    """`torch.autograd.gradcheck` with its defaults."""

    def accepts(adapter: Any, case: Case, p: Problem) -> bool:
        import torch

        z, y, options = _tensors(p)

        def call(x: Any) -> Any:
            return adapter.function(x, y, **options)

        return bool(torch.autograd.gradcheck(call, (z,), fast_mode=fast, raise_exception=False))

    return accepts


def _check_grads(adapter: Any, case: Case, p: Problem) -> bool:
    """`jax.test_util.check_grads`, first order, reverse mode, with its defaults, in float64."""
    import jax
    from jax.test_util import check_grads

    with jax.enable_x64(True):
        y = jax.numpy.asarray(np.array(p.target))
        options = {k: jax.numpy.asarray(np.array(v)) if k == "weight" else v for k, v in keywords(p).items()}

        def call(x: Any) -> Any:
            return adapter.function(x, y, **options)

        try:
            check: Any = check_grads  # JAX does not annotate it
            check(call, (jax.numpy.asarray(np.array(p.logits)),), order=1, modes=["rev"])
        except AssertionError:
            return False
        return True


@cache
def _judged() -> tuple[Case, ...]:
    """Cases of the logits in wide dtypes in which nothing is degenerate."""
    found = (case for case in cases("quick") if case.dtype in WIDE and not case.inputs)
    return tuple(c for c in found if not any(convention_of(build(c), q) for q in ("loss", "cost", "dC/dz")))


def _anything(case: Case) -> bool:
    return True


def _plain(case: Case) -> bool:
    """What an ordinary unit test looks at."""
    return case.family == "gaussian" and case.target == "index" and not case.options and case.layout == ("contig",)


def _differentiable(case: Case) -> bool:
    """Whether differences of the value say something: finite logits of moderate size; layouts are the check's own."""
    if case.dtype != "float64" or case.shape not in SHAPES or case.layout != ("contig",):
        return False
    usual = case.family not in ("masked", "exact-ones", "near-overflow")
    return usual and (case.upstream == "one" or case.reduction != "none")


RIVALS = (
    Rival("assert_close", "torch", _close, _anything),
    Rival("assert_close, gaussian", "torch", _close, _plain),
    Rival("gradcheck slow", "torch", _gradcheck(fast=False), _differentiable),
    Rival("gradcheck fast", "torch", _gradcheck(fast=True), _differentiable),
    Rival("check_grads", "jax", _check_grads, _differentiable),
)
"""assert_close on all cases and on those that a unit test would have; gradcheck and check_grads on what they take."""


@cache
def false_alarms(rival: Rival) -> frozenset[Case]:
    """The cases on which a check rejects the right implementation."""
    return frozenset(rival.rejects(planted(rival.framework)[0].adapter()))


def alarms_of(framework: str) -> dict[str, str]:
    """Rival -> on how many of its cases it rejects the right implementation."""
    return {
        r.name: f"rejects {len(false_alarms(r))} of {len(list(filter(r.takes, _judged())))}"
        for r in RIVALS
        if r.framework == framework
    }


def verdicts(planted: Planted) -> dict[str, str]:
    """Rival -> `caught` or `missed`, for a fault in the logits' loss; others are not theirs to judge."""
    if planted.found_in != "logits":
        return {}
    adapter = planted.adapter()
    return {
        r.name: CAUGHT if any(case not in false_alarms(r) for case in r.rejects(adapter)) else MISSED
        for r in RIVALS
        if r.framework == planted.framework
    }
