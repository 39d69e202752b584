"""Results wider than the logits: judged as what they are, whatever of them comes wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.records.words import describe
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.formats import FORMATS, wider
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.law_study import laws
from xentcheck.testing.given import assert_values_agree
from xentcheck.vocabulary import DTYPES, FAILING, SHORT_DTYPES

PAIRS = [(dtype, result) for dtype in DTYPES for result in wider(dtype)]
CASES = (
    "gaussian.5x10.{}.index.plain.mean.up-one.contig.s0",
    "gaussian.5x10.{}.index.w+ls+ign.none.up-rand.contig.s0",
    "confident.5x10.{}.prob.w.sum.up-neg.contig.s0",
    "gaussian.5x3.{}.index.plain.mean.up-one.contig.s0",
)


def upcast(result: str, gradient: str = "", factor: float = 1.0) -> Adapter:
    """The reference on wide logits, with the loss in that dtype, and the gradient in the logits', or in another."""

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        wide = logits.astype(result)
        upstream = options.pop("upstream", 1.0)
        given = {k: v.astype(result) if k == "weight" else v for k, v in options.items()}
        q = target.astype(result) if target.dtype.kind not in "iu" else target
        up = np.asarray(upstream, result)
        g = cross_entropy_grad(wide, q, upstream=up, **given).astype(gradient or logits.dtype)
        return (cross_entropy(wide, q, **given) * factor).astype(result), g

    return adapters.from_numpy(loss, name="upcast")


def records_of(adapter: Adapter, dtype: str) -> list[Record]:
    cases = [Case.parse(text.format(SHORT_DTYPES[dtype])) for text in CASES]
    return [r for case in cases for r in run_case(case, subjects_of(adapter, ["cpu"])[:1])]


@pytest.mark.parametrize(("dtype", "result"), PAIRS)
def test_a_wider_result_agrees_and_is_shown(dtype: str, result: str) -> None:
    """The loss alone, or the gradient, too; the record says so, and survives a run file."""
    for gradient in ("", result):
        records = records_of(upcast(result, gradient), dtype)
        assert [describe(r) for r in records if r.outcome in FAILING] == []
        wide = {r.quantity for r in records if r.result_dtype == result}
        assert wide == {"loss", "cost", *(["dC/dz"] if gradient else [])}
        assert {r.judged_by for r in records if r.quantity == "cost"} == {f"decisive, {result} result"}
        assert [Record.from_json(r.to_json()) for r in records] == records


@pytest.mark.parametrize(("dtype", "result"), PAIRS)
def test_a_wrong_wider_result_disagrees_by_its_value(dtype: str, result: str) -> None:
    """An error that its own dtype could not hide: 64 roundings of the logits' dtype."""
    wrong = 1.0 + 64.0 * FORMATS[dtype].unit_roundoff
    found = [r for r in records_of(upcast(result, factor=wrong), dtype) if r.quantity in ("loss", "cost")]
    assert all("exceed their bound" in r.reason for r in found if r.outcome == "disagree")
    assert "disagree" in {r.outcome for r in found}


def test_a_narrower_result_disagrees_by_its_dtype() -> None:
    """So do one that has more digits and a smaller range, and integers."""
    problem = Problem(logits=np.array([[1.0, 2.0, 4.0]], "bfloat16"), target=np.array([1]))
    for dtype in ("float16", "int64", "complex64"):
        with pytest.raises(AssertionError, match=f"dtype {dtype}, expected bfloat16"):
            assert_values_agree(problem, {"cost": np.array(2, dtype)})
    assert wider("float64") == ()


def test_what_declares_no_rounding_between_kernels_is_not_rounded_at_the_end() -> None:
    """Under `fused` the float32 result of bfloat16 logits has no rounding to bfloat16; by default it may have one."""
    problem = Problem(logits=np.array([[1.0, 2.0, 4.0]], "bfloat16"), target=np.array([1]))
    exact = cross_entropy(problem.logits.astype(float), problem.target)
    stored = exact.astype("bfloat16").astype(np.float32)
    fused = CATALOGUE["fused"]
    assert bound("cost", problem, fused.returning("float32", "bfloat16")) < 2.0**-10 * bound("cost", problem, fused)
    assert_values_agree(problem, {"cost": exact.astype(np.float32)}, contract="fused")
    assert_values_agree(problem, {"cost": stored})
    with pytest.raises(AssertionError, match=r"\(fused, float32 result\)"):
        assert_values_agree(problem, {"cost": stored}, contract="fused")


def test_a_wider_result_overflows_later() -> None:
    """A loss of 240000 is infinite in float16, and nothing else in float32."""
    logits, weight = np.array([[6e4, 0.0]], "float16"), np.array([1.0, 4.0], "float16")
    problem = Problem(logits=logits, target=np.array([1]), weight=weight, reduction="sum")
    for cost in (np.array(np.inf, "float16"), np.array(240000.0, "float32")):
        assert_values_agree(problem, {"cost": cost}, contract="fused")
    with pytest.raises(AssertionError, match="got inf, exact 240000"):
        assert_values_agree(problem, {"cost": np.array(np.inf, "float32")}, contract="fused")


def test_laws_hold_of_wider_results() -> None:
    """Each within the bounds of what was returned."""
    results = list(laws(subjects_of(upcast("float32"))[0], "bfloat16"))
    assert [str(law) for law in results if not law.kept] == []
    assert {"shift", "one-hot", "independent", "upstream"} <= {law.law for law in results}


def torch_upcast() -> Adapter:
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, weight: Any = None, **options: Any) -> Any:
        y = y.float() if y.is_floating_point() else y
        weight = None if weight is None else weight.float()
        return torch.nn.functional.cross_entropy(z.float(), y, weight=weight, **options)

    return adapters.from_torch(loss)


def jax_upcast() -> Adapter:
    pytest.importorskip("jax")
    from xentcheck.adapters.jax.loss import cross_entropy as loss

    def upcast(z: Any, y: Any, weight: Any = None, **options: Any) -> Any:
        y = y.astype("float32") if y.dtype == z.dtype else y
        weight = None if weight is None else weight.astype("float32")
        return loss(z.astype("float32"), y, weight=weight, **options)

    return adapters.from_jax(upcast)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("made", [torch_upcast, jax_upcast])
def test_what_trainers_use_agrees(made: Callable[[], Adapter], dtype: str) -> None:
    """A float32 loss of narrow logits: the upstream gradient is taken in its dtype, and dC/dz comes in theirs.

    Costs the frameworks' start: no NumPy function has a loss and a gradient of two dtypes by itself.
    """
    records = [*records_of(made(), dtype), *run_case(ALONG[dtype], subjects_of(made(), ["cpu"])[:1])]
    assert [describe(r) for r in records if r.outcome in FAILING] == []
    assert {r.quantity for r in records if r.result_dtype} == {"loss", "cost", "jvp"}
    assert {"agree"} <= {r.outcome for r in records}


ALONG = {d: Case.parse(f"gaussian.5x10.{SHORT_DTYPES[d]}.index.dir.mean.up-one.contig.s0") for d in DTYPES}
