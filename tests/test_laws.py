"""Laws: right implementations keep all of them, and each is broken by a planted fault that breaks no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.laws import LAWS, laws
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reports.law import LawResult
from xentcheck.subjects import subjects_of
from xentcheck.vocabulary import DTYPES

Loss = Callable[..., tuple[Any, Any]]


def right(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The reference itself."""
    upstream = options.pop("upstream", 1.0)
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=upstream, **options)


def found(adapter: Adapter, dtype: str) -> dict[str, LawResult]:
    if missing := adapter.unavailable():
        pytest.skip(missing)
    return {result.law: result for result in laws(subjects_of(adapter, ["cpu"])[0], dtype)}


def broken(adapter: Adapter, dtype: str = "float32") -> set[str]:
    return {name for name, result in found(adapter, dtype).items() if not result.kept}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", adapters.names())
def test_right_implementations_keep_every_law(name: str, dtype: str) -> None:
    """All laws are asked, and all hold."""
    results = found(adapters.get(name), dtype)
    assert list(results) == list(LAWS)
    assert [str(r) for r in results.values() if not r.kept] == []


def labels_of(target: Any) -> Any:
    return target.argmax(1) if target.dtype.kind == "f" else target


def one_hot_too_large(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """a - 1.01 y."""
    loss, g = right(logits, target, **options)
    upstream = np.reshape(options.get("upstream", 1.0), (-1, 1))
    hot = np.arange(logits.shape[1]) == labels_of(target)[:, None]
    return loss, (g - 0.01 * upstream * hot).astype(g.dtype)


def depends_on_the_offset(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    offset = logits.astype(float).mean(1)
    moved = loss + 1e-3 * (offset if loss.ndim else offset.sum())
    return moved.astype(loss.dtype), g


def class_0_is_special(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    extra = 0.01 * (labels_of(target) == 0)
    return (loss + (extra if loss.ndim else extra.sum())).astype(loss.dtype), g


def probabilities_weigh_more(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1.01 if target.dtype.kind == "f" else 1.0)).astype(loss.dtype), g


def depends_on_the_batch(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1 + 0.01 * len(logits))).astype(loss.dtype), g


def sum_is_larger(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1.01 if options.get("reduction") == "sum" else 1.0)).astype(loss.dtype), g


def upstream_is_absolute(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    return right(logits, target, **{**options, "upstream": np.abs(options.get("upstream", 1.0))})


def one_buffer_for_all() -> Loss:
    """Every call returns the same memory."""
    buffers: dict[Any, Any] = {}

    def loss(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        value, g = right(logits, target, **options)
        buffer = buffers.setdefault(g.shape, np.empty_like(g))
        buffer[...] = g
        return value, buffer

    return loss


PLANTED: dict[str, Loss] = {
    "rows-sum-to-0": one_hot_too_large,
    "shift": depends_on_the_offset,
    "permutation": class_0_is_special,
    "one-hot": probabilities_weigh_more,
    "batch": depends_on_the_batch,
    "sum-of-rows": sum_is_larger,
    "upstream": upstream_is_absolute,
    "independent": one_buffer_for_all(),
}


@pytest.mark.parametrize("law", PLANTED)
def test_each_law_is_broken_by_a_fault_that_breaks_no_other(law: str) -> None:
    """A law that could not fail would be no check."""
    assert broken(adapters.from_numpy(PLANTED[law])) == {law}
    assert broken(adapters.from_numpy(right)) == set()


def test_a_value_that_needs_a_gradient_breaks_its_law() -> None:
    """PyTorch: zeros unless the logits require a gradient."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **options: Any) -> Any:
        value = torch.nn.functional.cross_entropy(z, y, **options)
        return value if z.requires_grad else torch.zeros_like(value)

    assert broken(adapters.from_torch(loss)) == {"value-alone"}


def test_a_broken_law_fails_the_run() -> None:
    """With its name among the reasons."""
    run = xentcheck.check(adapters.from_numpy(one_buffer_for_all(), name="static"), dtypes=["float32"])
    assert not run.ok
    assert [r for r in run.verdict.reasons if "static/eager/cpu/float32 breaks the law independent" in r]
    assert xentcheck.check(adapters.from_numpy(right), dtypes=["float32"]).ok


def test_what_is_not_supported_is_not_asked() -> None:
    """Without probabilities there is no one-hot law; an implementation that raises is asked nothing."""
    assert "one-hot" not in found(adapters.from_numpy(right, options={"upstream"}), "float32")
    assert found(adapters.from_numpy(print), "float32") == {}


def test_nan_keeps_no_law() -> None:
    """`not (share <= 1)`."""

    def nan(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        loss, g = right(logits, target, **options)
        return loss, g * np.nan

    assert broken(adapters.from_numpy(nan)) >= {"rows-sum-to-0", "upstream"}
