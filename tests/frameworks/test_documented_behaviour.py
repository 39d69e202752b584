"""What implementations do and say so is shown, and is no failure; what looks like it and is wrong still fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.cases import Case
from xentcheck.errors import AdapterError
from xentcheck.records.file import Header
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reports.analysis.summary import summarize
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import FAILING

PLAIN = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"
WEIGHTED = "gaussian.5x10.f32.index.w+ign.none.up-rand.contig.s0"
STRIDED = "gaussian.5x10.f32.index.plain.mean.up-one.sliced.s0"
TWICE = "gaussian.5x10.f32.index.plain.mean.up-neg.twice.s0"
THRICE = TWICE.replace("twice", "thrice")


def right(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The reference itself."""
    upstream = options.pop("upstream", 1.0)
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=upstream, **options)


def records_of(adapter: Adapter, *cases: str) -> list[Record]:
    subjects = subjects_of(adapter, ["cpu"])[:1]
    return [r for text in cases for r in run_case(Case.parse(text), subjects)]


def observations(records: list[Record]) -> tuple[str, ...]:
    header = Header(
        version="", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={}, planned=len(records),
        selection=("some",),
    )  # fmt: skip
    summary = summarize(RunFile(header, tuple(records)))
    assert summary.ok == (not any(r.outcome in FAILING for r in records))
    return summary.observations


def overwriting(name: str, value: Any = 0, *, beside: bool = False) -> Any:
    """A loss that is right, and leaves something else in one of its inputs, or in the gaps between its elements."""

    def loss(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        found = right(logits, target, **options)
        array = {"logits": logits, "target": target, **options}.get(name)
        if array is not None and beside:
            np.lib.stride_tricks.as_strided(array, (array.size,), (array.itemsize,))[1] = value
        elif array is not None:
            array[...] = value
        return found

    return loss


@pytest.mark.parametrize("declared", [False, True])
def test_logits_may_be_overwritten(declared: bool) -> None:
    """Found out or declared, it is shown, and the result is judged."""
    names = ["logits"] if declared else []
    records = records_of(adapters.from_numpy(overwriting("logits"), name="own", overwrites=names), PLAIN, WEIGHTED)
    assert {r.outcome for r in records} == {"agree"}
    note = f"overwrites its logits, {'as' if declared else 'which is not'} declared"
    assert {r.notes for r in records} == {(note,)}
    assert observations(records) == (f"own/eager/cpu {note} ({len(records)} comparisons)",)
    assert [Record.from_json(r.to_json()) for r in records] == records


@pytest.mark.parametrize("name", ["target", "weight", "upstream"])
def test_other_inputs_may_not(name: str) -> None:
    """The caller uses them again; nor can that be declared."""
    records = records_of(adapters.from_numpy(overwriting(name)), WEIGHTED)
    assert {(r.outcome, r.reason) for r in records} == {("disagree", f"the call changed its input {name}")}
    assert all(r.suspects[0].startswith("E53") for r in records)
    with pytest.raises(AdapterError, match=rf"^overwrites has '{name}'; allowed: logits$"):
        adapters.from_numpy(right, overwrites=[name])


def test_memory_beside_the_logits_is_not_theirs() -> None:
    """A kernel that ignores the strides writes where no logit is."""
    records = records_of(adapters.from_numpy(overwriting("logits", beside=True), overwrites=["logits"]), STRIDED)
    assert {r.reason for r in records} == {"the call changed its input beside_logits"}


def test_a_wrong_result_beside_overwritten_logits_is_wrong() -> None:
    """What is shown excuses nothing."""

    def loss(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        value, g = right(logits, target, **options)
        logits[...] = 2 * g
        return value, logits.copy()

    found = {r.quantity: r.outcome for r in records_of(adapters.from_numpy(loss, overwrites=["logits"]), PLAIN)}
    assert found == {"cost": "agree", "dC/dz": "disagree"}


def backward(second: str) -> Adapter:
    """A PyTorch loss whose gradient is computed once, into its logits; what a second backward does."""
    torch = pytest.importorskip("torch")

    class Loss(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the caller
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any) -> Any:
            ctx.save_for_backward(z.softmax(1) - torch.nn.functional.one_hot(y, z.shape[1]))
            ctx.calls = 0
            return torch.nn.functional.cross_entropy(z, y)

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            ctx.calls += 1
            if ctx.calls == 2 and second == "refused":
                raise RuntimeError("the gradient was given away")
            (g,) = ctx.saved_tensors
            wrong = 2.0 if ctx.calls == 2 and second == "wrong" else 1.0
            return g * up * wrong / len(g), None

    return adapters.from_torch(Loss.apply, name="once", reductions=["mean"], options={"upstream"})


def test_one_backward_only_is_shown() -> None:
    """A second one that is refused is `unsupported`; one that is wrong is wrong, and one that is right agrees."""
    refused = records_of(backward("refused"), PLAIN, TWICE)
    assert [r.outcome for r in refused] == ["agree", "agree", "unsupported", "unsupported"]
    why = "one backward only, which raises RuntimeError: the gradient was given away"
    assert refused[-1].reason == why
    assert observations(refused) == (f"once/eager/cpu is not judged on {why} (2 comparisons)",)
    assert [r.outcome for r in records_of(backward("wrong"), TWICE)] == ["agree", "disagree"]
    assert [r.outcome for r in records_of(backward("right"), TWICE)] == ["agree", "agree"]


def refusing(error: Exception, *refused: str) -> Any:
    def loss(logits: Any, target: Any, *, reduction: str = "mean", **options: Any) -> tuple[Any, Any]:
        if reduction in refused:
            raise error
        return right(logits, target, reduction=reduction, **options)

    return loss


@pytest.mark.parametrize("refused", [("sum",), ("none",), ("mean",), ("mean", "none")])
def test_a_refused_reduction_is_unsupported(refused: tuple[str, ...]) -> None:
    """As an argument that is not allowed; the reason is the exception."""
    adapter = tried(adapter_of(refusing(ValueError(f"not {refused}"), *refused), "numpy"))
    assert set(adapter.capabilities.reductions) == {"mean", "sum", "none"} - set(refused)
    case = PLAIN.replace("mean", refused[0])
    records = records_of(adapter, case)
    assert {(r.outcome, r.reason) for r in records} == {
        ("unsupported", f"reduction {refused[0]}, which raises ValueError: not {refused}")
    }
    others = records_of(adapter, PLAIN.replace("mean", adapter.capabilities.reductions[0]))
    why = records[0].reason
    assert observations([*others, *records]) == (f"loss/eager/cpu is not judged on {why} (2 comparisons)",)


def test_a_reduction_that_a_compiler_refuses_is_unsupported() -> None:
    """JAX: without `static_argnames` no text is an argument of a compiled function; its own reduction is judged."""
    jax = pytest.importorskip("jax")

    def loss(logits: Any, target: Any, reduction: str = "mean") -> Any:
        rows = -jax.numpy.take_along_axis(jax.nn.log_softmax(logits), target[:, None], 1)[:, 0]
        return {"mean": rows.mean, "sum": rows.sum, "none": lambda: rows}[reduction]()

    adapter = tried(adapter_of(jax.jit(loss), "jax"))
    assert adapter.capabilities.reductions == ("mean",)
    assert adapter.refused["sum"].startswith("TypeError: ")
    whole = tried(adapter_of(jax.jit(loss, static_argnames="reduction"), "jax"))
    assert whole.capabilities.reductions == ("mean", "sum", "none")


def test_what_is_no_refusal_of_a_reduction_is_an_error() -> None:
    """Another exception, or one for each reduction; a declared one is not tried."""
    for loss in (refusing(IndexError("bug"), "sum"), refusing(ValueError("all"), "mean", "sum", "none")):
        adapter = tried(adapter_of(loss, "numpy"))
        assert adapter.capabilities.reductions == ("mean", "sum", "none")
        assert {r.outcome for r in records_of(adapter, PLAIN.replace("mean", "sum"))} == {"error"}
    declared = tried(adapters.from_numpy(refusing(ValueError("bug"), "sum")))
    assert {r.outcome for r in records_of(declared, PLAIN.replace("mean", "sum"))} == {"error"}


def test_a_refused_second_of_three_backwards_is_unsupported() -> None:
    """The third is not reached."""
    (record, other) = records_of(backward("refused"), THRICE)
    assert [record.outcome, other.outcome] == ["unsupported"] * 2
    assert record.reason == "one backward only, which raises RuntimeError: the gradient was given away"


def test_an_earlier_gradient_that_a_later_backward_overwrites_is_an_error() -> None:
    """One buffer for both: a Jacobian would be the last row over and over."""
    torch = pytest.importorskip("torch")
    buffer: dict[Any, Any] = {}

    class Own(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported here
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any) -> Any:
            ctx.save_for_backward(z, y)
            return torch.nn.functional.cross_entropy(z, y)

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            z, y = ctx.saved_tensors
            right = (z.softmax(1) - torch.nn.functional.one_hot(y, z.shape[1])) * up / len(z)
            return buffer.setdefault(z.shape, torch.empty_like(z)).copy_(right), None

    adapter = adapter_of(lambda z, y: Own.apply(z, y), "torch")
    assert {r.outcome for r in records_of(adapter, PLAIN)} == {"agree"}
    found = records_of(adapter, TWICE)
    assert {r.outcome for r in found} == {"error"}
    assert "a later backward changed the gradient of an earlier one" in found[0].reason


def test_a_combination_that_is_not_implemented_is_unsupported() -> None:
    """By a NotImplementedError alone: any other exception is an error of its case."""

    def picky(logits: Any, target: Any, *, error: Any = NotImplementedError, **options: Any) -> tuple[Any, Any]:
        if options.get("label_smoothing") and "weight" in options:
            raise error("weights beside smoothing")
        return right(logits, target, **options)

    both = "gaussian.5x10.f32.index.w+ls+ign.mean.up-neg.contig.s0"
    (record, *_) = found = records_of(adapters.from_numpy(picky), both, PLAIN)
    assert {r.outcome for r in found} == {"unsupported", "agree"}
    assert record.reason == "this combination, which raises NotImplementedError: weights beside smoothing"
    other = adapters.from_numpy(lambda *a, **o: picky(*a, error=ValueError, **o), name="other")
    assert {r.outcome for r in records_of(other, both)} == {"error"}


def test_gradients_of_older_checkpoints_come_by_backward() -> None:
    """`torch.autograd.grad` is refused by them, and nothing else is."""
    torch = pytest.importorskip("torch")
    from torch.utils.checkpoint import checkpoint

    def loss(z: Any, y: Any) -> Any:
        return checkpoint(torch.nn.functional.cross_entropy, z, y, use_reentrant=True)

    adapter = tried(adapter_of(loss, "torch"))
    assert {(r.quantity, r.outcome) for r in records_of(adapter, PLAIN) if r.quantity == "dC/dz"} == {
        ("dC/dz", "agree")
    }
    assert "second_order" in adapter.refused


def test_rows_that_have_to_add_up_to_1_are_asked_for_no_others() -> None:
    """Who takes rows of probabilities only, and looks at their sums, gets labels as one-hot rows."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, q: Any) -> Any:
        if not q.is_floating_point() or not bool((q.sum(-1) - 1).abs().max() < 1 / 64):  # as this loss allows
            raise ValueError("rows must be distributions")
        return torch.nn.functional.cross_entropy(z, q)

    adapter = tried(adapter_of(loss, "torch"))
    short = "gaussian.5x10.f32.prob.plain.mean.up-one.contig.s0"
    found = records_of(adapter, PLAIN, short, short.replace("prob", "unit"))
    judged = [r for r in found if r.quantity == "dC/dz"]
    assert [r.outcome for r in judged] == ["agree", "unsupported", "agree"]
    assert "rows that do not add up to 1" in judged[1].reason


def test_a_row_without_a_batch_is_tried_in_each_reduction() -> None:
    """One that the mean takes by accident, and a loss per row does not."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, reduction: str = "mean") -> Any:
        if reduction == "none" and z.ndim == 1:
            raise IndexError("too many indices")
        return torch.nn.functional.cross_entropy(z, y, reduction=reduction)

    assert "unbatched" in tried(adapter_of(loss, "torch")).refused


@pytest.mark.parametrize(
    ("condition", "case", "told"),
    [
        (lambda o: o["label_smoothing"] == 1, PLAIN.replace("plain", "ls1"), "label_smoothing of 1"),
        (lambda o: o["ignore_index"] >= 0, PLAIN.replace("plain", "ign1"), "ignore_index that is a class"),
    ],
    ids=["all-smoothed", "class-ignored"],
)
def test_a_value_of_an_option_that_is_refused_is_unsupported(condition: Any, case: str, told: str) -> None:
    """timm asserts that smoothing is below 1; others take no class for a sentinel: all else is judged."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, *, ignore_index: int = -100, label_smoothing: float = 0.0, **options: Any) -> Any:
        given = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, **options}
        assert not condition(given), "no"
        return torch.nn.functional.cross_entropy(z, y, **given)

    records = records_of(tried(adapter_of(loss, "torch")), case, PLAIN.replace("plain", "ls+ign"))
    found = {(r.case, r.outcome) for r in records}
    assert found == {(case, "unsupported"), (PLAIN.replace("plain", "ls+ign"), "agree")}
    assert {r.reason for r in records if r.case == case} == {f"option {told}, which raises AssertionError: no"}


@pytest.mark.parametrize("case", [PLAIN.replace("plain", "ls1"), PLAIN.replace("plain", "ign1")])
@pytest.mark.parametrize(("how", "outcome"), [("wrong", "disagree"), ("broken", "error")])
def test_a_value_of_an_option_that_is_not_refused_is_judged(how: str, outcome: str, case: str) -> None:
    """Twice the loss there is wrong, and an IndexError refuses nothing."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, *, ignore_index: int = -100, label_smoothing: float = 0.0, **options: Any) -> Any:
        there = label_smoothing == 1 or ignore_index >= 0
        if there and how == "broken":
            raise IndexError("no")
        given = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, **options}
        return torch.nn.functional.cross_entropy(z, y, **given) * (2 if there else 1)

    assert {r.outcome for r in records_of(tried(adapter_of(loss, "torch")), case)} == {outcome}


def test_what_is_written_into_expanded_logits_is_unsupported() -> None:
    """PyTorch refuses it; another RuntimeError beside expanded logits is an error."""
    torch = pytest.importorskip("torch")

    class Kernel(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported inside
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any, message: str) -> Any:
            loss = torch.nn.functional.cross_entropy(z.detach().clone(), y)
            gradient = torch.softmax(z, 1) - torch.nn.functional.one_hot(y, z.shape[1])
            if message:
                raise RuntimeError(message)
            z.copy_(gradient / len(z))
            ctx.save_for_backward(z)
            return loss

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            return up * ctx.saved_tensors[0], None, None

    expanded = PLAIN.replace("contig", "bcast")

    def outcomes(message: str, case: str = expanded) -> set[str]:
        made = adapters.from_torch(lambda z, y: Kernel.apply(z, y, message), overwrites=["logits"])
        return {r.outcome for r in records_of(made, case)}

    assert outcomes("") == {"unsupported"}
    assert outcomes("out of order") == {"error"}
    assert outcomes("it refers to a single memory location", PLAIN.replace("contig", "sliced")) == {"error"}
