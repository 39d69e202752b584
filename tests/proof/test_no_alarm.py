"""Right implementations raise no alarm: the built-in ones on another seed, four ways to write the loss, graded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.api import Run, tasks_of
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reserved import tiny_cases
from xentcheck.cases.selection import selected
from xentcheck.records.record import Record
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.running.collect import collect
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import Deviations, load
from xentcheck.running.environment import header_of
from xentcheck.running.executors.local import execute
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, EXECUTED, FAILING, QUANTITIES

OTHER_DTYPES = tuple(dtype for dtype in DTYPES if dtype != "float32")

SEED = 1
"""The matrix runs seed 0."""

PLAIN = ("upstream", "strided")
"""Options of an implementation that takes logits, labels and a reduction only."""


def records_of(
    adapter: Adapter, chosen: Sequence[Case], devices: Sequence[str] | None = None, graded: int = 1
) -> list[Record]:
    """The records of all variants on some devices, or on all; skips what is not installed.

    graded: of so many cases one is judged by the other contracts, too.
    """
    if missing := adapter.unavailable():
        pytest.skip(missing)
    subjects = subjects_of(adapter, devices)
    plain = [subject.outcomes_only() for subject in subjects]
    deviations = Deviations(load())
    found = (r for i, case in enumerate(chosen) for r in run_case(case, plain if i % graded else subjects))
    return [deviations.apply(record) for record in found]


def failing(records: Sequence[Record]) -> list[str]:
    return [f"{r.replay}: {r.quantity} {r.outcome} {r.reason}" for r in records if r.outcome in FAILING]


def quick(dtype: str, seed: int) -> list[Case]:
    return [case for case in cases("quick", seed) if case.dtype == dtype]


CORE = ("weight", "ignore_index", "label_smoothing", "probabilities", "upstream")


def run_of(adapters_of_it: Sequence[Adapter], dtypes: Sequence[str], seed: int) -> Run:
    """A whole run of `quick`, laws and probes included, for its outcomes."""
    subjects = [subject.outcomes_only() for adapter in adapters_of_it for subject in subjects_of(tried(adapter))]
    chosen = selected("quick", dtypes, seed)
    header = header_of(chosen, subjects, "quick", seed, jobs=1, dtypes=tuple(dtypes))
    return Run(collect(header, execute(tasks_of(chosen, "quick"), subjects), Deviations(load())))


IN_TWO_DTYPES = pytest.mark.parametrize(
    "dtypes", [("float32", "bfloat16"), pytest.param(DTYPES, marks=pytest.mark.nightly)], ids=["two", "all"]
)
"""One wide and one narrow one, or all."""


@IN_TWO_DTYPES
@pytest.mark.parametrize(
    "count",
    [pytest.param(n, marks=[] if n in (0, len(CORE)) else pytest.mark.nightly) for n in range(len(CORE) + 1)],
)
def test_who_promises_nothing_is_not_blind_whatever_it_supports(count: int, dtypes: Sequence[str]) -> None:
    """Under `stable` a right implementation passes `quick`: alone this shows that whoever promises nothing and supports
    little, or much, has wrong answers rejected in each of its groups.

    All that support so many options are judged by one run, in which each has its own groups.
    """
    made = {
        name: adapters.from_numpy(value_and_gradient, name=name, options=chosen)
        for chosen in combinations(CORE, count)
        for name in ["+".join(chosen) or "none"]
    }
    run = run_of(list(made.values()), dtypes, count)
    assert run.verdict.reasons == ()
    assert run.ok
    agreeing = Counter(r.adapter for r in run.records if r.outcome == "agree")
    assert all(agreeing[name] > 25 * len(dtypes) for name in made)


@IN_TWO_DTYPES
def test_who_promises_nothing_passes_with_every_option(dtypes: Sequence[str]) -> None:
    """PyTorch's own function, as somebody would give it: alone this runs all of `quick` on a function without a word
    about it.
    """
    torch = pytest.importorskip("torch")
    run = run_of([adapters.from_torch(torch.nn.functional.cross_entropy)], dtypes, 0)
    assert run.verdict.explanation().startswith("agreed: ")
    declared = subjects_of(adapters.get("torch"))[0]
    assert not any(declared.takes(case) for case in tiny_cases(0))


ONCE_FALSE = (
    "underflow.5x1003.f64.index.plain.none.up-rand.contig.s3",  # exp rounds to 0, its product with upstream does not
    "underflow.3.f64.u8.ign1.sum.up-neg.contig.s13",
    "saturated-hit.129.f16.index.w+ls+ign.mean.up-one.twice.s1",  # smoothing sum / denominator overflows before eps/C
)
"""Cases of twenty seeds of `full` whose bounds were once too narrow."""


@pytest.mark.parametrize("case", ONCE_FALSE)
@pytest.mark.parametrize("name", adapters.built_in())
def test_what_once_raised_a_false_alarm_does_not_again(name: str, case: str) -> None:
    """The bounds hold where a product is representable whose factor underflows, and where a quotient overflows."""
    assert failing(records_of(adapters.get(name), [Case.parse(case)])) == []


ONCE_NAN = (
    "near-overflow.2x46.f16.index.dir.mean.up-neg.twice.s84",
    "near-overflow.1.f16.index.wz+ign255+dir.mean.up-neg.trans.s689",
)
"""Cases that fuzzing found, whose bound of jvp was nan, which nothing is within; and whose exact value is 0/0."""


@pytest.mark.parametrize("case", ONCE_NAN)
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_no_bound_is_nan(name: str, case: str) -> None:
    """Where something overflows on the way to a bound it is infinite; 0/0 is a convention of jvp and hvp, too."""
    adapter = adapters.get(name)
    if missing := adapter.unavailable():
        pytest.skip(missing)
    adapter.contracts = ()
    records = records_of(adapter, [Case.parse(case)])
    assert {r.quantity for r in records} == {"jvp", "hvp"}
    assert failing(records) == []
    assert {r.outcome == "convention" for r in records} == {"wz" in case}


CPU_GRADES = {
    ("torch", "float64"): "stash",
    ("torch", "float32"): "stash",
    ("torch", "bfloat16"): "stash-sum",
    ("torch", "float16"): "stash-sum",
    ("jax", "float64"): "fused",
    ("jax", "float32"): "fused",
    ("jax", "bfloat16"): "storage-backsum",
    ("jax", "float16"): "storage-backsum",
    ("numpy", "float64"): "accurate",
    ("numpy", "float32"): "accurate",
    ("numpy", "bfloat16"): "accurate",
    ("numpy", "float16"): "accurate",
}
"""What the frameworks do on the CPU, as the quick cases of this seed show it."""


@pytest.mark.parametrize("dtype", ["float32", *(pytest.param(d, marks=pytest.mark.nightly) for d in OTHER_DTYPES)])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly if name == "jax" else ()) for name in adapters.built_in()]
)
def test_another_seed_raises_no_alarm_and_shows_the_same_grade(name: str, dtype: str) -> None:
    """The built-in adapter is within its bounds on another draw of `quick`, whose first contract is its arithmetic.

    Alone this looks at another draw. Each fourth case shows that no stronger contract holds; that the one of the grade
    does, all of them where it is what the adapter declares.
    """
    chosen = quick(dtype, SEED)
    adapter = adapters.get(name)
    declared = {adapter.contract_for("cpu", dtype, q) for q in QUANTITIES}
    records = records_of(adapter, chosen, graded=4 if declared == {CPU_GRADES[name, dtype]} else 1)
    assert failing(records) == []
    taken = sum(any(subject.takes(case) for subject in subjects_of(adapter)) for case in chosen)
    assert sum(r.outcome in EXECUTED for r in records) > taken
    main = [r for r in records if r.variant == adapter.variants[0] and r.device == "cpu"]
    assert grade(main) == CPU_GRADES[name, dtype]


def framework_loss() -> Adapter:
    """PyTorch's own."""
    import torch

    return adapters.from_torch(torch.nn.functional.cross_entropy)


def logsumexp_minus_label() -> Adapter:
    """logsumexp(z) - z_y, under autograd."""
    import torch

    def loss(z: Any, y: Any, *, reduction: str = "mean") -> Any:
        return reduced(torch.logsumexp(z, 1) - z.gather(1, y[:, None])[:, 0], reduction)

    return adapters.from_torch(loss, options=PLAIN)


def autograd_through_maximum() -> Adapter:
    """log(sum(exp t)) - t_y for t = z - z.max(), under autograd through the maximum too."""

    def loss(z: Any, y: Any, *, reduction: str = "mean") -> Any:
        t = z - z.max(1, keepdim=True).values
        return reduced(t.exp().sum(1).log() - t.gather(1, y[:, None])[:, 0], reduction)

    return adapters.from_torch(loss, options=PLAIN)


def optax_integer_labels() -> Adapter:
    """optax.softmax_cross_entropy_with_integer_labels."""
    optax = pytest.importorskip("optax")

    def loss(z: Any, y: Any, *, reduction: str = "mean") -> Any:
        return reduced(optax.softmax_cross_entropy_with_integer_labels(z, y), reduction)

    return adapters.from_jax(loss, options=PLAIN)


def reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def grade(records: Sequence[Record]) -> str:
    """The first contract of the catalogue within whose bounds all results are that are judged by it."""
    by: dict[str, list[float]] = {}
    for record in records:
        for name, share in record.shares.items() if record.outcome != "deviation" else ():
            by.setdefault(name, []).append(share)
    return next((name for name in CATALOGUE if name in by and all(share <= 1 for share in by[name])), "none")


GRADES = {
    framework_loss: ("torch", {"bfloat16": "stash-sum", "float16": "stash-sum"}, "stash"),
    logsumexp_minus_label: ("torch", {"bfloat16": "storage", "float16": "storage"}, "stash-lse"),
    autograd_through_maximum: ("torch", {"bfloat16": "storage-accumulate"}, "stable"),
    optax_integer_labels: ("jax", {"bfloat16": "storage", "float16": "storage"}, "fused-lse"),
}
"""Framework, grades in narrow dtypes, grade in all others. `storage-accumulate` precedes `stable`, and allows a sum of
1003 terms in bfloat16 to be anything.
"""


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("implementation", "framework", "narrow", "wide"),
    [pytest.param(make, *known, id=make.__name__) for make, known in GRADES.items()],
)
def test_wrapped_implementation_raises_no_alarm_and_gets_its_grade(
    implementation: Callable[[], Adapter], framework: str, narrow: dict[str, str], wide: str, dtype: str
) -> None:
    """Without a declared contract nothing is an alarm, and the grade on the CPU says what the implementation does."""
    if missing := adapters.get(framework).unavailable():
        pytest.skip(missing)
    records = records_of(implementation(), quick(dtype, 0), ["cpu"])
    assert failing(records) == []
    assert grade(records) == narrow.get(dtype, wide)
