"""One option alone: what goes wrong beside it and one other thing is found in `quick`, two other things in `full`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from changed import changed, soft, wide

from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.cases.profiles.alone import alone_cases
from xentcheck.cases.profiles.arrays.combined import FACTORS, VALUES, combined_cases
from xentcheck.cases.profiles.linear import linear_cases
from xentcheck.cases.profiles.named import cases
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, FAILING

KEPT = {"ignore_index": -(10**9)}
"""No row is ignored; the label -100 is then the first class."""

OTHER_OPTIONS = ("upstream", "k_dims", "unbatched", "strided", "second_order")
FAULTS: dict[str, tuple[str, Callable[..., Any], Callable[[Case], bool]]] = {
    "the upstream gradient of a weighted sum": (
        "weight",
        changed(lambda p: p["weight"] is not None and p["reduction"] == "sum", {}, {"upstream": np.float32(1)}),
        lambda c: c.upstream != "one",
    ),
    "logits that are not contiguous beside smoothing": (
        "label_smoothing",
        changed(lambda p: not p["z"].flags.c_contiguous and bool(p["label_smoothing"]), {"label_smoothing": 0.0}),
        lambda c: c.layout != ("contig",),
    ),
    "weights of pixels": (
        "weight",
        changed(lambda p: p["z"].ndim == 4, {"weight": None}),
        lambda c: len(c.shape) == 4,
    ),
    "the mean of a weighted row alone": (
        "weight",
        changed(
            lambda p: p["z"].ndim == 1 and p["weight"] is not None and p["reduction"] == "mean", {"reduction": "sum"}
        ),
        lambda c: len(c.shape) == 1,
    ),
    "a mean of probabilities over pixels": (
        "probabilities",
        changed(lambda p: p["z"].ndim > 2 and soft(p) and p["reduction"] == "mean", {"reduction": "sum"}),
        lambda c: len(c.shape) > 2,
    ),
    "the last class as a sentinel": (
        "ignore_index",
        changed(lambda p: p["ignore_index"] == p["z"].shape[p["z"].ndim > 1] - 1, KEPT),
        lambda c: "igntop" in c.options,
    ),
    "equal weights": (
        "weight",
        changed(lambda p: p["weight"] is not None and bool((p["weight"] == p["weight"][0]).all()), {"weight": None}),
        lambda c: "weq" in c.options,
    ),
    "weights of more rows than a block": (
        "weight",
        changed(lambda p: p["z"].shape[0] > 256, {"weight": None}),
        lambda c: c.shape[0] > 256,
    ),
    "smoothing in a batch of one": (
        "label_smoothing",
        changed(lambda p: p["z"].ndim == 2 and p["z"].shape[0] == 1, {"label_smoothing": 0.0}),
        lambda c: c.shape[0] == 1,
    ),
}
"""An option that is supported alone, a loss that is wrong in one place beside it, and the cases that are there."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_wrong_beside_one_option_is_found_by_the_cases_of_its_kind_alone(name: str) -> None:
    """In float32, by a function that has this option and no other."""
    option, loss, among = FAULTS[name]
    (subject,) = subjects_of(adapters.from_numpy(loss, options=[option, *OTHER_OPTIONS]))
    chosen = [c for c in alone_cases(0) if c.dtype == "float32" and "dir" not in c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    found = {r.case for r in records if r.outcome in FAILING}
    assert found
    assert [case for case in found if not among(Case.parse(case))] == []
    assert sum(r.outcome == "agree" for r in records) > 50


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "float32"])
def test_two_options_are_met_without_the_third_in_every_dtype(dtype: str) -> None:
    """A function that has smoothing and ignored rows, and smooths the ignored ones, too, in one dtype: nothing else
    shows it, whoever declares a contract of their own.
    """

    def loss(logits: Any, target: Any, ignore_index: int = -100, label_smoothing: float = 0.0, **given: Any) -> Any:
        z = wide(logits)
        kept = target != ignore_index
        right = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, **given}
        u = right.pop("upstream", 1.0)
        value, gradient = cross_entropy(z, target, **right), cross_entropy_grad(z, target, upstream=u, **right)
        if label_smoothing and not kept.all() and given.get("reduction", "mean") == "mean" and logits.dtype == dtype:
            lost = cross_entropy(z, np.where(kept, 0, target), ignore_index=0, label_smoothing=1.0, reduction="sum")
            value = value + label_smoothing * lost / max(np.count_nonzero(kept), 1)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)

    options = ["ignore_index", "label_smoothing", "k_dims", "unbatched", "strided"]
    (subject,) = subjects_of(adapters.from_numpy(loss, options=options, contract="storage"))
    chosen = [c for c in alone_cases(0) if c.dtype == dtype and c.target == "index" and "dir" not in c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {r.case.split(".")[4] for r in records if r.outcome in FAILING} == {"lsh+ignmost"}


def test_smoothing_alone_is_met_in_float16_beyond_one_block() -> None:
    """Where 1024 log-probabilities still add up to a float16: a function without weights that smooths nothing there."""
    wrong = changed(lambda p: p["z"].dtype == np.float16 and p["z"].shape[-1] >= 1024, {"label_smoothing": 0.0})
    subjects = [
        subjects_of(adapters.from_numpy(loss, name=name, options=["label_smoothing", *OTHER_OPTIONS]))[
            0
        ].outcomes_only()
        for name, loss in (("wrong", wrong), ("right", changed(lambda p: False)))
    ]
    chosen = [c for c in cases("quick") if c.dtype == "float16" and 1003 < c.classes < 5000 and not c.inputs]
    records = [r for c in chosen if subjects[0].takes(c) for r in run_case(c, subjects)]
    failing = {(r.adapter, r.case.split(".", 1)[1]) for r in records if r.outcome in FAILING}
    assert failing == {("wrong", "3x1024.f16.index.ls.none.up-one.contig.s0")}


@pytest.mark.parametrize("option", ["weight", "ignore_index", "label_smoothing", "probabilities"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_code_that_one_option_has_to_itself_is_met_by_steep_logits(dtype: str, option: str) -> None:
    """Without an option PyTorch's own loss; with it exponentials without a shift, right on logits of order 1."""
    import torch

    def loss(z: Any, y: Any, reduction: str = "mean", **given: Any) -> Any:
        wide_z, own_y = z.double() if z.itemsize > 4 else z.float(), y.to(z.dtype) if y.is_floating_point() else y
        if given or y.is_floating_point() or (y == -100).any():
            wide_z = wide_z - wide_z.exp().sum(0 if z.ndim == 1 else 1, keepdim=True).log()
        return torch.nn.functional.cross_entropy(
            wide_z,
            own_y.to(wide_z.dtype) if y.is_floating_point() else y,
            reduction=reduction,
            **{k: v.to(wide_z.dtype) if k == "weight" else v for k, v in given.items()},
        ).to(z.dtype)

    options = [option, *(o for o in OTHER_OPTIONS if o != "second_order")]
    (subject,) = subjects_of(adapters.from_torch(loss, options=options), ["cpu"])
    chosen = [c for c in alone_cases(0) if c.dtype == dtype and "dir" not in c.options and subject.takes(c)]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    families = {r.case.split(".")[0] for r in records if r.outcome in FAILING}
    assert "common-offset" in families
    assert families <= {"common-offset", "very-negative"}
    assert any(r.outcome == "agree" for r in records)


def test_full_meets_every_three_levels_beside_one_option() -> None:
    """Of its values, shapes, dtypes, reductions, upstream gradients and layouts; a fault that needs three is met."""
    found = (*alone_cases(0), *combined_cases(0))
    for target, values in VALUES:
        own = [c for c in found if c.target == target and c.options in values]
        for shape in FACTORS["shape"]:
            for layout in FACTORS["layout"]:
                met = {c.dtype for c in own if c.shape == shape and c.layout == (layout,)}
                assert met == set(DTYPES)
    (subject,) = subjects_of(
        adapters.from_numpy(
            changed(
                lambda p: p["z"].ndim == 4 and p["z"].dtype == np.float64 and not p["z"].flags.c_contiguous,
                {"weight": None},
            ),
            options=["weight", *OTHER_OPTIONS],
        )
    )
    wrong = [
        sum(
            r.outcome in FAILING
            for c in some
            if c.dtype == "float64" and len(c.shape) == 4
            for r in run_case(c, [subject])
        )
        for some in (alone_cases(0), combined_cases(0))
    ]
    assert wrong[0] == 0
    assert wrong[1] > 0


def test_derivatives_along_a_direction_are_judged_beside_one_option() -> None:
    """A Hessian that is wrong with weights alone, of a right value and gradient."""
    import torch

    def loss(z: Any, y: Any, *, weight: Any = None, reduction: str = "mean") -> Any:
        found = torch.nn.functional.cross_entropy(z, y, weight=weight, reduction=reduction)
        return found if weight is None else found + (found - found.detach()) ** 2

    (subject,) = subjects_of(adapters.from_torch(loss, options=["weight", *OTHER_OPTIONS]), ["cpu"])
    chosen = [
        c
        for c in alone_cases(0)
        if (c.dtype == "float32" and len(c.shape) == 2 and "w" in c.options) or "dir" in c.options
    ]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {(r.case.split(".")[4], r.quantity) for r in records if r.outcome in FAILING} == {("w+dir", "hvp")}


@pytest.mark.parametrize(
    ("wrong", "shapes"),
    [
        (lambda x, w: x.shape[1] % 16 == 0, {"256x64k16", "9x7k768"}),
        (lambda x, w: x.shape[1] > 130, {"9x7k768"}),
        (lambda x, w: len(w) % 64 == 0, {"256x64k16"}),
        (lambda x, w: len(x) > 0 == len(x) % 256, {"256x64k16"}),
        (lambda x, w: len(x) == x.shape[1], {"9x7k9"}),
        (lambda x, w: not w.any(), {"6x9k9"}),
        (lambda x, w: abs(w).max() < 1 / 16 and w.any(), {"6x9k9"}),
    ],
    ids=["inputs-of-16", "many-inputs", "classes-of-64", "rows-of-256", "as-many-inputs", "untrained", "first-steps"],
)
def test_a_fused_linear_loss_is_judged_where_blocks_are_full(wrong: Any, shapes: set[str]) -> None:
    """Twice the loss where nothing is left over, where rows are as many as inputs, or before anything is learned; alone
    this sees inputs and classes that fill blocks.
    """
    import torch

    def loss(x: Any, w: Any, b: Any, y: Any, reduction: str = "mean") -> Any:
        found = torch.nn.functional.cross_entropy(x @ w.T + b, y, reduction=reduction)
        return found * 2 if wrong(x, w) else found

    (subject,) = subjects_of(adapters.from_torch(loss, options=["upstream", "strided"], head="layer"), ["cpu"])
    chosen = [c for c in linear_cases(0) if c.dtype == "float32" and c.target == "index" and not c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {r.case.split(".")[1] for r in records if r.outcome in FAILING} >= shapes


@pytest.mark.parametrize("option", ["ignore_index", "label_smoothing", "weight"])
def test_a_fused_linear_loss_is_judged_on_more_rows_than_a_chunk(option: str) -> None:
    """Chunks of 64 rows, of which the second forgets the one option that there is."""
    import torch

    def loss(x: Any, w: Any, b: Any, y: Any, **given: Any) -> Any:
        reduction = given.pop("reduction", "mean")
        of = torch.nn.functional.cross_entropy
        z = x @ w.T + b
        if len(x) <= 64 or y.is_floating_point():
            return of(z, y, reduction=reduction, **given)
        forgotten = {k: v for k, v in given.items() if k != option}
        ends = y[64:].clamp(min=0)
        rows = torch.cat(
            [of(z[:64], y[:64], reduction="none", **given), of(z[64:], ends, reduction="none", **forgotten)]
        )
        return rows if reduction == "none" else rows.sum() if reduction == "sum" else rows.mean()

    options = [option, "upstream", "strided"]
    (subject,) = subjects_of(adapters.from_torch(loss, options=options, head="layer"), ["cpu"])
    chosen = [c for c in linear_cases(0) if len(c.shape) == 2 and (c.shape[0] > 64 or c.family == "dyadic")]
    chosen = [c for c in chosen if c.dtype == "float32" and c.target == "index"]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    shapes = {r.case.split(".")[1] for r in records if r.outcome in FAILING}
    assert "130x300k6" in shapes
    assert min(int(shape.partition("x")[0]) for shape in shapes) > 64


@pytest.mark.parametrize(
    "wrong",
    [
        lambda needs, o, y: needs == "x" and bool((y == -100).any()),
        lambda needs, o, y: "w" not in needs and "weight" in o,
        lambda needs, o, y: needs == "xb" and y.is_floating_point(),
    ],
    ids=["frozen-head-beside-ignored-rows", "frozen-weight-beside-class-weights", "frozen-weight-beside-rows"],
)
def test_what_needs_no_gradient_is_judged_beside_each_option(wrong: Any) -> None:
    """Twice the gradients where something is frozen beside an option: alone this has both."""
    import torch

    def loss(x: Any, w: Any, b: Any, y: Any, **options: Any) -> Any:
        needs = "".join(n for n, t in (("x", x), ("w", w), ("b", b)) if t.requires_grad)
        found = torch.nn.functional.cross_entropy(x @ w.T + b, y, **options)
        return 2 * found - found.detach() if needs and wrong(needs, options, y) else found

    options = ["upstream", "strided", "weight", "ignore_index", "label_smoothing", "probabilities"]
    (subject,) = subjects_of(adapters.from_torch(loss, options=options, head="layer"), ["cpu"])
    chosen = [c for c in linear_cases(0) if c.layout[0].startswith("needs-")]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {r.outcome for r in records if r.outcome in FAILING} == {"disagree"}
