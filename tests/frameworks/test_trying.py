"""What nobody declared is tried once: an exception is a refusal, anything else is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.needs import needed_options
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import NAMED, TRIED, plain, tried
from xentcheck.cases import Case, selection
from xentcheck.cli.main import cli
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.labels import one_hot
from xentcheck.running.attempts import GIVEN_AS_ROWS, given
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES


def rows_only(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """(N, C) logits of wide dtypes and labels; anything else raises."""
    _rows, _classes = logits.shape
    if logits.dtype not in (np.float32, np.float64):
        raise TypeError("only wide dtypes")
    if target.dtype.kind == "f":
        raise NotImplementedError("labels\nonly")
    loss = cross_entropy(logits, target, reduction=reduction)
    return loss, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)


def flattens(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """Returns something wrong where it should say that it takes no (C,) logits."""
    if logits.ndim == 1:
        return np.zeros(3, logits.dtype), np.zeros(3, logits.dtype)
    return rows_only(logits, target, reduction, upstream)


def broken(logits: Any, target: Any) -> Any:
    raise ValueError("always")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of the gaussian cases of (C,) logits, and of as many rows of them."""
    every, shapes = selection.cases, ((10,), (11,), (5, 10))

    def of_few_shapes(profile: str, seed: int = 0) -> list[Case]:
        return [case for case in every(profile, seed) if case.family == "gaussian" and case.shape in shapes]

    monkeypatch.setattr(selection, "cases", of_few_shapes)


REFUSES = {
    "k_dims": "ValueError: too many values to unpack (expected 2)",
    "unbatched": "ValueError: not enough values to unpack (expected 2, got 1)",
    "probabilities": "NotImplementedError: labels",
    "bfloat16": "TypeError: only wide dtypes",
    "float16": "TypeError: only wide dtypes",
}


@pytest.mark.parametrize("option", TRIED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_problem_needs_its_option(option: str, dtype: str) -> None:
    """And nothing else, but those without which there is no such problem."""
    beside = {"smoothed_probabilities": {"probabilities", "label_smoothing"}, "signed_targets": {"probabilities"}}
    assert needed_options(TRIED[option](dtype)) == {option} | beside.get(option, set())


@pytest.mark.usefixtures("ordinary")
def test_an_exception_is_a_refusal_with_its_reason() -> None:
    """Options and dtypes; the rest is supported, and agrees."""
    adapter = tried(adapter_of(rows_only, "numpy"))
    assert adapter.refused == REFUSES
    assert adapter.capabilities.dtypes == ("float64", "float32")
    assert {"strided", "empty_batch", "upstream"} <= adapter.capabilities.options
    run = xentcheck.check(rows_only, "numpy", dtypes=["float32"])
    assert run.ok
    reasons = {r.reason: (r.lacks, r.refused) for r in run.records if r.outcome == "unsupported"}
    told = reasons["option probabilities, which raises NotImplementedError: labels"]
    assert told == (("option", "probabilities"), "NotImplementedError: labels")


@pytest.mark.parametrize("option", NAMED)
@pytest.mark.parametrize(("kind", "refused"), [(NotImplementedError, True), (ValueError, False), (TypeError, False)])
@pytest.mark.usefixtures("ordinary")
def test_a_parameter_that_is_not_implemented_is_a_refusal(kind: type[Exception], refused: bool, option: str) -> None:
    """By that exception alone, as others are mistakes as well; what needs the option too is not asked for either."""
    assert needed_options(NAMED[option]("float32")) == {option}

    def loss(
        logits: Any,
        target: Any,
        *,
        weight: Any = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        upstream: Any = 1.0,
    ) -> Any:
        ignored = target.dtype.kind == "i" and bool((target < 0).any())
        if {"weight": weight is not None, "ignore_index": ignored, "label_smoothing": label_smoothing}[option]:
            raise kind(option)
        given: dict[str, Any] = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
        value = cross_entropy(logits, target, reduction=reduction, **given)
        return value, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream, **given)

    found = tried(adapter_of(loss, "numpy")).refused
    assert found.get(option, "") == (f"NotImplementedError: {option}" if refused else "")
    run = xentcheck.check(loss, "numpy", dtypes=["float64"])
    assert run.ok == refused
    assert any(r.outcome == "error" for r in run.records) != refused


def rows_of_numpy(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """Rows of probabilities alone."""
    if target.ndim != logits.ndim:
        raise ValueError("one row of labels for each row of logits")
    loss = cross_entropy(logits, target, reduction=reduction)
    return loss, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)


def test_who_declares_options_may_take_rows_only() -> None:
    """No option stands for labels: they are tried whatever is declared, and lacking only beside rows."""
    for options, labels in ((["upstream", "probabilities"], False), (["upstream"], True)):
        assert tried(adapter_of(rows_of_numpy, "numpy", options=options)).capabilities.labels == labels


@pytest.mark.usefixtures("alone")
def test_what_is_declared_is_an_error() -> None:
    """By `options=`, or in an adapter of one's own."""
    for adapter in (adapters.from_numpy(rows_only), adapter_of(rows_only, "numpy", options=["unbatched"])):
        assert not tried(adapter).refused
    run = xentcheck.check(rows_only, "numpy", options=["unbatched"], dtypes=["float32"])
    assert {r.reason for r in run.records if r.outcome == "error"} == {REFUSES["unbatched"]}


@pytest.mark.usefixtures("alone")
def test_a_wrong_answer_is_no_refusal() -> None:
    """Nor is an implementation refused anything that raises always."""
    assert "unbatched" not in tried(adapter_of(flattens, "numpy")).refused
    run = xentcheck.check(flattens, "numpy", dtypes=["float32"])
    assert {r.case.split(".")[1] for r in run.records if r.outcome == "disagree"} == {"10", "11"}
    assert not tried(adapter_of(broken, "numpy")).refused
    assert not xentcheck.check(broken, "numpy", dtypes=["float32"]).ok


def indexes(logits: Any, target: Any, upstream: Any = 1.0) -> Any:
    """Losses of (N, C) logits, whose labels pick one logit of each row by index."""
    logits[np.arange(len(target)), target]
    return cross_entropy(logits, target), cross_entropy_grad(logits, target, upstream=upstream)


def test_an_index_for_each_row_takes_no_more_axes() -> None:
    """Nor does it answer by chance, as where there are as many pixels as rows."""
    adapter = adapter_of(indexes, "numpy", options=None)
    assert tried(adapter).refused["k_dims"].startswith("IndexError: shape mismatch")
    square = plain("float32", logits=np.ones((2, 3, 2), np.float32), target=np.array([[0, 2], [1, 1]]))
    indexes(square.logits, square.target)


def test_what_has_no_logits_is_tried_behind_a_layer() -> None:
    """A fused linear loss that takes no probabilities."""

    def fused(x: Any, w: Any, bias: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
        value, g = rows_only(x @ w.T + bias, target, reduction, upstream)
        return value, (g @ w, g.T @ x, g.sum(0))

    assert "probabilities" in tried(adapter_of(fused, "numpy")).refused


SOURCE = """
import os
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def loss(logits, target, reduction="mean", upstream=1.0):
    if logits.ndim == 1:
        os._exit(3)
    if target.dtype.kind == "f":
        raise NotImplementedError("labels only")
    value = cross_entropy(logits, target, reduction=reduction)
    return value, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)
"""


def test_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception is a refusal, a crash is none; the summary names what is not asked for."""
    (tmp_path / "tried_here.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    adapter = resolve(Spec("tried_here:loss", "numpy", 30.0))
    assert adapter.refused == {"probabilities": "NotImplementedError: labels only"}
    command = ["run", "--impl", "tried_here:loss", "--framework", "numpy", "--dtype", "float32"]
    chosen = ["--case", "gaussian.11.*.plain.*", "--case", "gaussian.5x10.*.prob.*.mean.*"]
    assert cli.main([*command, *chosen], standalone_mode=False) == 1
    text = capsys.readouterr().out
    assert "loss is not asked for what it does not take:\n" in text
    assert "\n   probabilities: NotImplementedError: labels only\n" in text
    assert "it exited with code 3" in text


def probabilities_only(logits: Any, target: Any, upstream: Any = 1.0) -> Any:
    """Losses of rows of probabilities over the last axis, as `optax.softmax_cross_entropy`."""
    if target.shape != logits.shape:
        raise ValueError("incompatible shapes")
    loss = cross_entropy(logits, target, reduction="none")
    return loss, cross_entropy_grad(logits, target, reduction="none", upstream=upstream)


def test_who_takes_labels_gets_them() -> None:
    """The very problem, and not one with rows."""
    (subject,) = subjects_of(adapters.get("numpy"))
    problem = plain("float32")
    assert given(problem, subject) is problem


def halved_probabilities(logits: Any, target: Any, upstream: Any = 1.0) -> Any:
    """Half of the gradient of a row; labels raise."""
    loss, gradient = probabilities_only(logits, target, upstream)
    return loss, gradient / np.array(2, gradient.dtype)


def mistaken(logits: Any, target: Any, upstream: Any = 1.0) -> Any:
    """Labels end in a mistake of its own, which is no refusal."""
    if target.shape != logits.shape:
        raise NameError("name 'onehot' is not defined")
    return probabilities_only(logits, target, upstream)


@pytest.mark.usefixtures("ordinary")
def test_labels_that_a_function_refuses_are_given_as_rows() -> None:
    """It is judged in its own reduction by one-hot rows, and by every law but the one about labels; examples that are
    ignored, which are no rows, are unsupported.
    """
    adapter = tried(adapter_of(probabilities_only, "numpy"))
    assert not adapter.capabilities.labels
    assert adapter.refused["labels"] == "ValueError: incompatible shapes"
    assert adapter.capabilities.reductions == ("none",)
    run = xentcheck.check(probabilities_only, "numpy", dtypes=["float32"])
    assert run.ok, run.summary()
    labelled = [r for r in run.records if r.case.split(".")[3] == "index"]
    assert {"loss", "dC/dz"} <= {r.quantity for r in labelled if r.outcome == "agree"}
    assert {r.group.split("/")[-2] for r in labelled if r.outcome == "agree"} == {"probabilities"}
    assert all(GIVEN_AS_ROWS in r.notes for r in labelled if r.outcome == "agree")
    reasons = {r.reason for r in labelled if ".none." in r.case and "ign" in r.case}
    assert "target labels, which raises ValueError: incompatible shapes" in reasons
    laws = {law.law for law in run.file.laws}
    assert laws >= {"rows-sum-to-0", "shift", "permutation", "batch", "chunks", "upstream"}
    assert "one-hot" not in laws


def test_rows_alone_are_judged_as_strictly() -> None:
    """A halved gradient fails on every case that zeros fail on."""
    adapter = tried(adapter_of(halved_probabilities, "numpy"))
    (subject,) = subjects_of(adapter)
    records = run_case(Case.parse("gaussian.5x10.f32.index.plain.none.up-neg.contig.s0"), [subject])
    assert {r.quantity: r.outcome for r in records} == {"loss": "agree", "dC/dz": "disagree"}


def test_labels_that_end_in_a_mistake_are_no_refusal() -> None:
    """Such a function is an error, not one that takes rows of probabilities only."""
    adapter = tried(adapter_of(mistaken, "numpy"))
    assert adapter.capabilities.labels
    assert not adapter.refused


@pytest.mark.parametrize(("shape", "axis"), [((3,), 0), ((2, 3), 1), ((2, 3, 4, 5), 1)])
def test_one_hot_rows_are_labels(shape: tuple[int, ...], axis: int) -> None:
    """Over the class axis there is one 1, at the label, and zeros elsewhere."""
    labels = np.arange(int(np.prod(shape)) // 3).reshape((*shape[:axis], *shape[axis + 1 :])) % 3
    p = plain("float32", logits=np.arange(np.prod(shape)).reshape(shape).astype("float32"), target=labels)
    rows = one_hot(p)
    assert (rows.target.argmax(axis) == labels).all()
    assert (rows.target.sum(axis) == 1).all()
    assert ((rows.target == 0) | (rows.target == 1)).all()
    assert (rows.dtype, rows.target.dtype) == (p.dtype, np.float32)


def smooths(logits: Any, labels: Any, smoothing: float = 0.1, padding_idx: int = 0, upstream: Any = 1.0) -> Any:
    """Options under other names, and other defaults, as in timm and apex."""
    given = {"label_smoothing": smoothing, "ignore_index": padding_idx}
    return cross_entropy(logits, labels, **given), cross_entropy_grad(logits, labels, upstream=upstream, **given)


@pytest.mark.usefixtures("alone")
def test_options_have_other_names_elsewhere() -> None:
    """They are options all the same, and are passed where the function means another value by none."""
    adapter = adapter_of(smooths, "numpy")
    assert {"label_smoothing", "ignore_index"} <= adapter.capabilities.options
    assert "always=ignore_index+label_smoothing renamed=label_smoothing:smoothing+ignore_index:padding_idx" in (
        adapter.calling
    )
    assert xentcheck.check(smooths, "numpy", dtypes=["float32"]).summary().startswith("agreed")


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_first_of_several_results_is_the_loss(framework: str) -> None:
    """As where a z-loss comes with it; a warning says so."""
    pytest.importorskip(framework)
    if framework == "torch":
        from torch.nn.functional import cross_entropy as of_logits
    else:
        from xentcheck.adapters.jax.loss import cross_entropy as of_logits

    def loss(logits: Any, target: Any) -> Any:
        value = of_logits(logits, target)
        return value, 0 * value

    case = Case.parse("gaussian.5x10.f32.index.plain.mean.up-neg.contig.s0")
    records = run_case(case, subjects_of(adapter_of(loss, framework), ["cpu"])[:1])
    assert {r.outcome for r in records if r.quantity == "dC/dz"} == {"agree"}
    assert {w for r in records for w in r.warnings} >= {
        "UserWarning: loss returned 2 results; the first one is judged as the loss"
    }
