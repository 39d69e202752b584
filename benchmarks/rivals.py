"""What other checks notice of the same faults on the same inputs, and how long they take.

`python benchmarks/rivals.py --out docs/comparison.md` writes the table; it needs PyTorch and JAX, and takes minutes.

Each check judges the planted faults (`tests/museum/`) and the right implementation they are planted in. The
reading is the most favourable one for each check: cases on which it rejects the right implementation are left out, and
counted as its false alarms.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
from jinja2 import Environment, FileSystemLoader
from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from xentcheck.adapters.base import Adapter, keywords
from xentcheck.build import build
from xentcheck.cases import Case
from xentcheck.conventions import convention_of
from xentcheck.museum import jax as jax_museum
from xentcheck.museum import torch as torch_museum
from xentcheck.museum.base import CrossEntropy
from xentcheck.profiles import cases
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.runner import run_case
from xentcheck.subjects import subjects_of
from xentcheck.vocabulary import FAILING

SHAPES = ((5, 10), (5, 3))
"""What gradcheck in slow mode can take."""
Judge = Callable[[Adapter, Case, Problem], bool]
"""Whether a check accepts an implementation on a case."""


@dataclass
class Check:
    """One way to test a loss: what it accepts, on which cases, and the seconds that it took."""

    name: str
    accepts: Judge
    chosen: list[Case]
    seconds: float = 0.0
    comparisons: int = 0
    false_alarms: set[str] = field(default_factory=set)

    def rejects(self, adapter: Adapter) -> Iterator[str]:
        """The cases that it rejects, without those that it rejects of the right implementation."""
        for case in self.chosen:
            if str(case) in self.false_alarms:
                continue
            start = perf_counter()
            accepted = self.accepts(adapter, case, build(case))
            self.seconds += perf_counter() - start
            self.comparisons += 1
            if not accepted:
                yield str(case)


def tensors(p: Problem) -> tuple[Any, Any, dict[str, Any]]:
    """Logits, target and options in PyTorch."""
    import torch

    options = {k: torch.from_numpy(np.array(v)) if k == "weight" else v for k, v in keywords(p).items()}
    return torch.from_numpy(np.array(p.logits)).requires_grad_(), torch.from_numpy(np.array(p.target)), options


def xentcheck(adapter: Adapter, case: Case, p: Problem) -> bool:
    """Every element within its derived bound."""
    return not any(r.outcome in FAILING for r in run_case(case, subjects_of(adapter)[:1]))


def close(adapter: Adapter, case: Case, p: Problem) -> bool:
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


def gradcheck(fast: bool) -> Judge:
    """`torch.autograd.gradcheck` with its defaults."""

    def accepts(adapter: Adapter, case: Case, p: Problem) -> bool:
        import torch

        z, y, options = tensors(p)
        call = lambda x: adapter.function(x, y, **options)  # type: ignore[attr-defined]  # noqa: E731
        return bool(torch.autograd.gradcheck(call, (z,), fast_mode=fast, raise_exception=False))

    return accepts


def check_grads(adapter: Adapter, case: Case, p: Problem) -> bool:
    """`jax.test_util.check_grads`, first order, reverse mode, with its defaults, in float64."""
    import jax
    from jax.test_util import check_grads as check

    with jax.enable_x64(True):
        y = jax.numpy.asarray(np.array(p.target))
        options = {k: jax.numpy.asarray(np.array(v)) if k == "weight" else v for k, v in keywords(p).items()}
        try:
            call = lambda x: adapter.function(x, y, **options)  # type: ignore[attr-defined]  # noqa: E731
            check(call, (jax.numpy.asarray(np.array(p.logits)),), order=1, modes=["rev"])
        except AssertionError:
            return False
        return True


def judged(dtype: str) -> list[Case]:
    """Cases of the logits in which nothing is degenerate."""
    found = (case for case in cases("quick") if case.dtype == dtype and not case.inputs)
    return [case for case in found if not any(convention_of(build(case), q) for q in ("loss", "cost", "dC/dz"))]


def differentiable(case: Case) -> bool:
    """Whether differences of the value say something: finite logits of moderate size; layouts are the check's own."""
    if (
        case.shape not in SHAPES
        or case.layout != ("contig",)
        or case.family in ("masked", "exact-ones", "near-overflow")
    ):
        return False
    return case.upstream == "one" or case.reduction != "none"


def plain(case: Case) -> bool:
    """What an ordinary unit test looks at."""
    return case.family == "gaussian" and case.target == "index" and not case.options and case.layout == ("contig",)


def checks() -> tuple[list[Check], list[Check]]:
    """Those that judge PyTorch functions, and those that judge JAX functions."""
    everything = [*judged("float32"), *judged("float64")]
    wide = [case for case in judged("float64") if differentiable(case)]
    torch_checks = [
        Check("xentcheck", xentcheck, everything),
        Check("assert_close", close, everything),
        Check("assert_close, gaussian", close, [case for case in everything if plain(case)]),
        Check("gradcheck slow", gradcheck(False), wide),
        Check("gradcheck fast", gradcheck(True), wide),
    ]
    jax_checks = [
        Check("xentcheck, JAX", xentcheck, everything),
        Check("check_grads", check_grads, wide),
    ]
    return torch_checks, jax_checks


def zero_gradient() -> str:
    """Whether fast gradcheck accepts a zero gradient of the mean over 64x1024 float64 logits, for 5 seeds."""
    import torch

    class Zero(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any) -> Any:
            ctx.shape = z.shape
            return torch.nn.functional.cross_entropy(z, y)

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return torch.zeros(ctx.shape, dtype=torch.float64), None

    accepted = 0
    for seed in range(5):
        torch.manual_seed(seed)
        z = torch.randn(64, 1024, dtype=torch.float64, requires_grad=True)
        y = torch.randint(1024, (64,))
        accepted += torch.autograd.gradcheck(
            lambda x, y=y: Zero.apply(x, y), (z,), fast_mode=True, raise_exception=False
        )
    return f"{accepted} of 5 seeds"


@click.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(out: Path) -> None:
    """Run all checks on all faults and write the table."""
    console = Console()
    rows: dict[str, dict[str, str]] = {}
    everything: list[Check] = []
    for museum, found in zip((torch_museum, jax_museum), checks(), strict=True):
        everything += found
        right = museum.adapter(CrossEntropy)
        for check in found:
            check.false_alarms |= set(check.rejects(right))
            check.seconds, check.comparisons = 0.0, 0
        for fault in track(museum.FAULTS, f"{museum.__name__}", console=console):
            adapter = museum.adapter(fault.implementation, fault.contract)
            for check in found:
                verdict = "caught" if caught(check, adapter) else "**missed**"
                rows.setdefault(fault.name, {})[check.name] = verdict
    names = [check.name for check in everything]
    context = {
        "versions": ", ".join(f"{p} {version(p)}" for p in ("xentcheck", "torch", "jax", "numpy")),
        "names": names,
        "rows": sorted(rows.items()),
        "caught": Counter(n for row in rows.values() for n, v in row.items() if v == "caught"),
        "judged": Counter(n for row in rows.values() for n in row),
        "alarms": {c.name: f"{len(c.false_alarms)} of {len(c.chosen)}" for c in everything},
        "seconds": {c.name: f"{c.seconds:.1f} ({c.comparisons})" for c in everything},
        "zero": zero_gradient(),
    }
    loader = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=loader, trim_blocks=True, keep_trailing_newline=True).get_template("rivals.md.j2")
    out.write_text(template.render(**context), encoding="utf-8")
    console.print(f"wrote {out}")


def caught(check: Check, adapter: Adapter) -> bool:
    """Whether the check rejects the implementation somewhere; an exception is noticed, too."""
    try:
        return next(check.rejects(adapter), None) is not None
    except Exception:
        return True


if __name__ == "__main__":
    main()
