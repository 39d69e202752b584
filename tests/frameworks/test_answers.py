"""What a small problem's answer tells of a function: keywords that it overlooks, and classes on the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.answers import classes_last
from xentcheck.adapters.wrap.trying.refusals import CLASSES_LAST, OVERLOOKED, tried
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import REDUCTIONS

OVERLOOKABLE = ("weight", "ignore_index", "label_smoothing")


def of_keywords(used: tuple[str, ...], where: Callable[..., bool] = lambda *_: False, *, value: bool = True) -> Any:
    """A NumPy loss of any keywords, which uses some of them, and all where something holds of targets and options.

    value: it uses them in its value, too, else in its gradient alone.
    """

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        up = options.pop("upstream", 1.0)
        given = options if where(target, options) else {name: x for name, x in options.items() if name in used}
        others = given if value else {name: x for name, x in given.items() if name == "reduction"}
        return cross_entropy(logits, target, **others), cross_entropy_grad(logits, target, upstream=up, **given)

    return loss


@pytest.mark.parametrize("option", OVERLOOKABLE)
def test_a_keyword_that_changes_nothing_is_not_asked_for(option: str) -> None:
    """As in a loss that swallows what others pass: it promises nothing about that, and the report says so."""
    others = tuple(name for name in (*OVERLOOKABLE, "reduction") if name != option)
    adapter = tried(adapter_of(of_keywords(others), "numpy"))
    assert {name: reason for name, reason in adapter.refused.items() if reason == OVERLOOKED} == {option: OVERLOOKED}
    assert option not in adapter.capabilities.options
    assert adapter.capabilities.reductions == REDUCTIONS
    weighted = Problem(logits=np.zeros((2, 3)), target=np.array([0, 1]), weight=np.ones(3))
    assert option != "weight" or adapter.unsupported(weighted) == f"option weight: {OVERLOOKED}"


def test_a_reduction_that_is_overlooked_is_not_asked_for() -> None:
    """What it returns whatever it is asked for is found out: a mean here."""
    assert tried(adapter_of(of_keywords(OVERLOOKABLE), "numpy")).capabilities.reductions == ("mean",)


@pytest.mark.parametrize("wrong", ["mean", "sum"])
def test_one_reduction_that_is_another_is_asked_for(wrong: str) -> None:
    """Losses per row show that the keyword is used: a sum that is a mean is a mistake, and so is the reverse."""
    right = of_keywords((*OVERLOOKABLE, "reduction"))

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        given = options.get("reduction", "mean")
        return right(logits, target, **{**options, "reduction": given if given == "none" else wrong})

    assert tried(adapter_of(loss, "numpy")).capabilities.reductions == REDUCTIONS


def test_keywords_that_are_used_are_asked_for() -> None:
    """All options and all reductions."""
    adapter = tried(adapter_of(of_keywords((*OVERLOOKABLE, "reduction")), "numpy"))
    assert set(OVERLOOKABLE) <= adapter.capabilities.options
    assert adapter.capabilities.reductions == REDUCTIONS


@pytest.mark.parametrize(
    ("option", "loss"),
    [
        ("weight", of_keywords(("reduction",), lambda target, options: options.get("reduction") == "sum")),
        ("weight", of_keywords(("weight", "reduction"), value=False)),
        ("label_smoothing", of_keywords(("reduction",), lambda target, options: target.dtype.kind == "f")),
    ],
    ids=["in sums alone", "in gradients alone", "in rows of probabilities alone"],
)
def test_a_keyword_that_is_used_somewhere_is_asked_for_everywhere(option: str, loss: Any) -> None:
    """Whoever uses it in one reduction, in the gradient or in one kind of targets meant it: the rest is a mistake."""
    assert option in tried(adapter_of(loss, "numpy")).capabilities.options


@pytest.mark.parametrize("option", OVERLOOKABLE)
def test_a_parameter_that_changes_nothing_is_asked_for(option: str) -> None:
    """Whoever names it promises it: what is left out is a mistake."""

    def loss(
        logits: Any, target: Any, weight: Any = None, ignore_index: int = -100, label_smoothing: float = 0.0, **_: Any
    ) -> Any:
        given = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
        del given[option]
        return cross_entropy(logits, target, **given), cross_entropy_grad(logits, target, **given)

    def of_another_default(
        logits: Any,
        target: Any,
        weight: Any = None,
        ignore_index: int = -1,
        label_smoothing: float = 0.0,
        reduction: str = "sum",
        **_: Any,
    ) -> Any:
        given = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
        del given[option]
        value = cross_entropy(logits, target, reduction=reduction, **given)
        return value, cross_entropy_grad(logits, target, reduction=reduction, **given)

    for named in (loss, of_another_default):
        assert OVERLOOKED not in tried(adapter_of(named, "numpy")).refused.values()


@pytest.mark.usefixtures("ordinary")
def test_the_loss_of_transformers_agrees() -> None:
    """`fixed_cross_entropy` swallows all but the sentinel: alone this judges a loss whose keywords do nothing."""
    torch = pytest.importorskip("torch")

    def fixed(source: Any, target: Any, num_items_in_batch: Any = None, ignore_index: int = -100, **kwargs: Any) -> Any:
        reduction = "sum" if num_items_in_batch is not None else "mean"
        loss = torch.nn.functional.cross_entropy(source, target, ignore_index=ignore_index, reduction=reduction)
        return loss / num_items_in_batch if reduction == "sum" else loss

    run = xentcheck.check(fixed, "torch", dtypes=["float32"])
    assert run.ok
    lacks = {(r.lacks[-1], r.outcome) for r in run.records if r.lacks}
    assert {("weight", "unsupported"), ("label_smoothing", "unsupported"), ("none", "unsupported")} <= lacks


def distilled(framework: str, axis: int, reduction: str) -> Any:
    """A loss of rows of probabilities over the classes of one axis."""
    module = pytest.importorskip("jax" if framework == "jax" else "torch")
    log_softmax = module.nn.log_softmax if framework == "jax" else module.log_softmax

    def loss(logits: Any, labels: Any) -> Any:
        if labels.ndim != logits.ndim:
            raise ValueError("one row of labels for each row of logits")
        rows = -(labels * log_softmax(logits, axis if logits.ndim > 1 else 0)).sum(axis if logits.ndim > 1 else 0)
        return {"none": lambda x: x, "sum": lambda x: x.sum(), "mean": lambda x: x.mean()}[reduction](rows)

    return loss


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_classes_on_the_last_axis_are_a_refusal_of_images(reduction: str) -> None:
    """If the answer is right so; on the first axis after the batch they are none."""
    assert tried(adapter_of(distilled("torch", -1, reduction), "torch")).refused["k_dims"] == CLASSES_LAST
    assert "k_dims" not in tried(adapter_of(distilled("torch", 1, reduction), "torch")).refused


def test_so_they_are_in_a_mean_of_jax() -> None:
    """Whose shape tells nothing: alone this has a scalar of JAX, whose calls cost seconds."""
    for axis, last in ((-1, True), (1, False)):
        adapter = adapter_of(distilled("jax", axis, "mean"), "jax")
        assert adapter.capabilities.reductions[0] == "mean"
        assert classes_last(adapter, "float32") == last


def test_who_takes_labels_of_images_has_their_classes_on_one_axis() -> None:
    """Another axis for rows of probabilities is a mistake."""
    torch = pytest.importorskip("torch")

    def loss(logits: Any, labels: Any) -> Any:
        if labels.is_floating_point():
            return -(labels * torch.log_softmax(logits, -1)).sum(-1).mean()
        return torch.nn.functional.cross_entropy(logits, labels)

    assert "k_dims" not in tried(adapter_of(loss, "torch")).refused


def test_a_wrong_answer_is_no_layout() -> None:
    """Images whose losses are right on neither axis are judged, and wrong."""
    loss = distilled("torch", -1, "mean")
    assert "k_dims" not in tried(adapter_of(lambda z, y: 1.001 * loss(z, y), "torch")).refused


def of_each_row(logits: Any, labels: Any) -> Any:
    """The loss of a row alone, mapped over the first axis."""
    import jax

    return jax.vmap(lambda z, y: jax.nn.logsumexp(z) - z[y])(logits, labels)


def rows_of_classes_last(logits: Any, labels: Any) -> Any:
    """Rows of probabilities alone, as optax's: the classes are the last axis, whatever comes before."""
    import jax

    if labels.ndim != logits.ndim:
        raise ValueError("one row of labels for each row of logits")
    return -(labels * jax.nn.log_softmax(logits, -1)).sum(-1)


@pytest.mark.parametrize("loss", [of_each_row, rows_of_classes_last])
def test_another_layout_of_images_is_a_refusal_of_jax(loss: Any) -> None:
    """Whose functions have the classes last; in PyTorch, where they are axis 1, a loss of another shape is an error."""
    pytest.importorskip("jax")
    adapter = tried(adapter_of(loss, "jax"))
    assert adapter.refused["k_dims"].startswith("AdapterError: ")
    assert "shape" in adapter.refused["k_dims"]
    assert "k_dims" not in adapter.capabilities.options
    torch = pytest.importorskip("torch")

    def of_pytorch(logits: Any, labels: Any) -> Any:
        one_hot = torch.nn.functional.one_hot(labels, logits.shape[-1])
        return -(one_hot * torch.log_softmax(logits, -1)).sum(-1) if logits.ndim < 3 else logits.sum(-1)

    assert "k_dims" not in tried(adapter_of(of_pytorch, "torch")).refused
