"""Sample records and runs for the tests of the reports."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

from xentcheck.records.file import Header
from xentcheck.records.findings import Accuracy, Coverage, FaultResult, LawResult, ProbeResult
from xentcheck.records.record import SHARE_EDGES, ULP_EDGES, Record
from xentcheck.records.run import RunFile
from xentcheck.vocabulary import DTYPES, QUANTITIES

CATALOGUE = ("fused", "fused-lse", "stash", "stable")


def record(**changes: Any) -> Record:
    """An agreeing comparison, with changes."""
    sample = Record(
        adapter="torch",
        variant="eager",
        version="2.13.0",
        device="cpu",
        dtype="float32",
        quantity="dC/dz",
        case="gaussian.5x10.f32.index.plain.mean.up-one.contig.s0",
        group="torch/eager/cpu/float32/dC/dz/index/mean",
        contract="stash",
        outcome="agree",
        digest="00ff",
        share=0.25,
        ulp=1.5,
        index=(0, 3),
        got=(0.5).hex(),
        expected=(0.25).hex(),
        bound=(1.0).hex(),
        elements=50,
        applicable=("doubled", "zero"),
        rejected=("doubled", "zero"),
        required=("doubled", "zero"),
        blind_fraction=0.0,
        shares={"fused": 1.5, "fused-lse": 1.5, "stash": 0.25, "stable": 0.1},
        ulp_counts=tuple(range(len(ULP_EDGES))),
        share_counts=tuple(range(len(SHARE_EDGES))),
        margins=((2.0, 1e-7, 1e-6), (15.0, 1e-2, 2e-2)),
        replay="xentcheck replay gaussian.5x10.f32.index.plain.mean.up-one.contig.s0 --adapter torch",
    )
    return replace(sample, **changes)


def fault(**changes: Any) -> FaultResult:
    """A planted fault that `quick` catches."""
    base: dict[str, Any] = {
        "fault": "E54-zero-gradient",
        "text": "Reduction none returns exact zeros.",
        "issue": "DirectML#739",
        "framework": "torch",
        "profiles": ("quick",),
        "kills": {"quick": ("bound of dC/dz", "gaussian.5x10.f32.index.plain.none.up-one.contig.s0")},
        "rivals": {"assert_close": "caught", "gradcheck fast": "missed"},
    }
    return FaultResult(**base | changes)


def law(**changes: Any) -> LawResult:
    """A law that holds."""
    place = {"adapter": "numpy", "variant": "eager", "device": "cpu", "dtype": "float32"}
    return LawResult(**{**place, "law": "shift", "share": 0.5, "detail": "adding 64 changes nothing"} | changes)


def probe(**changes: Any) -> ProbeResult:
    """An answer to a degenerate input."""
    place = {"adapter": "numpy", "variant": "eager", "device": "cpu"}
    answer = {"probe": "all-ignored", "text": "every row ignored", "value": "nan", "gradient": "0 0 0"}
    return ProbeResult(**{**place, **answer} | changes)


def coverage(**changes: Any) -> Coverage:
    """An implementation that met both of two pairs."""
    place = {"adapter": "numpy", "variant": "eager", "device": "cpu"}
    return Coverage(**{**place, "possible": 2, "met": 2, "gaps": ()} | changes)


def accuracy(**changes: Any) -> Accuracy:
    """A largest error found, with changes."""
    sample = Accuracy(
        adapter="torch",
        variant="eager",
        device="cpu",
        dtype="float32",
        quantity="a",
        ulp=66.4,
        ulp_input="0x1.8p+1 -0x1p+6 label 1",
        share=0.98,
        share_input="0x1p+1 -0x1p+5 label 0",
    )
    return replace(sample, **changes)


def run(
    *records: Record, planned: int | None = None, profile: str = "quick", failures: tuple[str, ...] = ()
) -> RunFile:
    """A run of some records."""
    header = Header(
        version="0.1.0",
        generator=1,
        seed=0,
        profile=profile,
        catalogue=CATALOGUE,
        environment={"python": "3.11", "adapters": {"torch": {"version": "2.13.0", "threads": "1"}}},
        host={"cores": 2},
        planned=len(records) if planned is None else planned,
    )
    return RunFile(header, records, failures, (("5x10.f32", 0.5),))


NAN = {"convention": "all-ignored", "returned": "nan", "reason": "all-ignored: nan"}


def varied() -> RunFile:
    """A run with every kind of section."""
    hostile = '<script>alert("x")</script> | [a](b) `c`'
    whole = run(
        record(),
        record(adapter="jax", variant="jit", contract="fused", shares={"fused": 0.5}),
        record(quantity="cost", outcome="vacuous", reason="a result of zeros would pass as well", case="b"),
        record(quantity="loss", outcome="trivial", reason="zero is right", case="c"),
        record(quantity="cost", outcome="convention", **NAN, share=None, ulp=None, case="d"),
        record(outcome="deviation", reason="known", link="https://example.org/1", case="e"),
        record(adapter="mine", outcome="disagree", share=12.0, reason=hostile, case="f"),
        record(adapter="absent", outcome="unavailable", reason="absent is not installed", share=None, ulp=None),
        failures=("deviation x matches no comparison",),
    )
    found = accuracy(), accuracy(quantity="dC/dz", ulp=float("inf"))
    met = coverage(), coverage(adapter="torch", met=1, gaps=("target u8 x rank 3",))
    return replace(
        whole,
        accuracies=found,
        coverages=met,
        probes=(probe(), probe(adapter="torch", value="0")),
        laws=(law(), law(share=2.0)),
        faults=(fault(), fault(fault="E99-slips-through", kills={}), fault(fault="none", kills={}, rivals={})),
    )


def many(n: int) -> RunFile:
    """A run of n records of 12 implementations in all dtypes and quantities, with points to plot; each tenth fails."""
    draw = Random(0)
    adapters = tuple(product(("jax", "mine", "numpy", "torch"), ("compile", "eager", "jit")))
    places = [(*place, dtype, quantity) for place in adapters for dtype in DTYPES for quantity in QUANTITIES]
    records = []
    for i in range(n):
        number, place = divmod(i, len(places))
        adapter, variant, dtype, quantity = places[place]
        points = 8 if quantity == "dC/dz" else 0
        share = 10 ** draw.uniform(-6, 0)
        fails = {"outcome": "disagree", "share": 1e6 * share, "suspects": ("B20: divides by all rows",)}
        records.append(
            record(
                **{"adapter": adapter, "variant": variant, "dtype": dtype, "quantity": quantity, "share": share}
                | (fails if number % 10 == 0 else {}),
                case=f"gaussian.{number}x10.f32.index.plain.mean.up-one.contig.s0",
                group=f"{adapter}/{variant}/cpu/{dtype}/{quantity}/{number % 20}",
                margins=tuple((draw.uniform(0, 40), 10 ** draw.uniform(-16, 0), 1e-2) for _ in range(points)),
            )
        )
    return run(*records)
