"""Power by size: what a comparison proves holds for its size, and a size of which nothing could have failed is red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from samples import record, run

from xentcheck import adapters
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reserved import reserved_for
from xentcheck.cases.profiles.sizes import sized_cases
from xentcheck.records.sizes import STEPS, size_of
from xentcheck.reports.analysis.power import power_of
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.formats.markdown import markdown
from xentcheck.reports.formats.write import to_json
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, FAILING

SMALL, LARGE = size_of(10, 5), size_of(4096, 3)
CLAIMED = ((30, 5), (1000, 5), (30000, 5), (30001, 5), (30, 101), (1000, 101), (30000, 101))
"""The sizes that `quick` has sharp cases of in every dtype; more than 4096 rows have some in float32, and more than 100
rows of more than 30000 classes are in `full`.
"""


def sized(size: str, *rejected: str, **changes: Any) -> Any:
    """A comparison of a size that rejects some wrong answers."""
    outcome = "agree" if "zero" in rejected else "vacuous"
    return record(size=size, rejected=rejected, case=f"{size}{rejected}", **{"outcome": outcome, **changes})


def test_the_steps_end_where_they_say() -> None:
    """30, 1000 and 30000 classes, 100 rows, and 4096 in wide dtypes; each belongs to the step that it ends."""
    classes = (30, 31, 1000, 1001, 30000, 30001)
    ends = [size_of(c, n) for c in classes for n in (100, 101, 4096, 4097)]
    narrow = [size_of(c, n, "float16") for c in classes for n in (100, 101, 4097)]
    assert (len(set(ends)), len(set(narrow))) == (12, 8)
    assert {*ends, *narrow} == set(STEPS)
    assert (size_of(1, 1), size_of(10, 0)) == ("1-30 classes/1-100 rows", "")


@pytest.mark.parametrize("dtype", DTYPES)
def test_quick_has_sharp_cases_of_each_size_that_it_claims(dtype: str) -> None:
    """For all implementations: with and without upstream gradients and options; each quantity."""
    found: dict[str, set[str]] = {}
    plain: dict[str, set[str]] = {}
    for case in cases("quick"):
        if case.dtype != dtype or case.inputs or reserved_for(case):
            continue
        rows = int(np.prod([case.shape[0], *case.shape[2:]])) if len(case.shape) > 1 else 1
        size = size_of(case.classes, rows, dtype)
        found.setdefault(size, set()).update(quantities_of(case))
        if not case.options and case.upstream == "one" and case.target == "index":
            plain.setdefault(size, set()).update(quantities_of(case))
    every = {"a", "log_a", "loss", "cost", "dC/dz"}
    claimed = {size_of(*size, dtype) for size in CLAIMED}
    assert {size for size in found if every <= found[size]} >= claimed
    assert {size for size in plain if every <= plain[size]} >= claimed


def test_what_a_small_comparison_rejects_is_not_proven_of_a_large_one() -> None:
    """The group of the large ones is blind on its own."""
    s = summarize(run(sized(SMALL, "zero", "doubled"), sized(LARGE, "zero")))
    assert not s.ok
    assert [(g.name.rpartition("dC/dz/")[2], g.blind) for g in s.blind] == [(LARGE, ("doubled",))]


def test_a_size_that_nothing_decided_is_red_and_told() -> None:
    """In the verdict, the reasons, JSON and Markdown; once, and not as a blind group beside."""
    found = run(sized(SMALL, "zero", "doubled"), sized(LARGE, "doubled"))
    s = summarize(found)
    line = "torch eager cpu float32: no dC/dz above 1000 classes could have failed"
    assert not s.ok
    assert s.reasons == (line,)
    assert s.verdict.endswith(f"; undecided: {line}")
    assert line in to_json(found)
    assert line in markdown(found)


def test_selected_cases_tell_what_they_do_not_decide_without_failing() -> None:
    """They need not have a profile's power, but their verdict is no plain green."""
    found = run(sized(SMALL, "zero", "doubled"), sized(LARGE))
    s = summarize(replace(found, header=replace(found.header, selection=("*",))))
    assert s.ok
    assert s.verdict.endswith("undecided: torch eager cpu float32: no dC/dz above 1000 classes could have failed")


@pytest.mark.parametrize(
    ("outcomes", "ok"),
    [(("vacuous",), False), (("vacuous", "trivial"), False), (("trivial",), True), (("vacuous", "agree"), True)],
)
def test_selected_cases_of_which_nothing_could_have_failed_fail(outcomes: tuple[str, ...], ok: bool) -> None:
    """Zeros would pass all of them; where zero is right, nothing is left open."""
    records = [sized(SMALL, *(["zero"] if o == "agree" else []), outcome=o) for o in outcomes]
    found = run(sized(SMALL, "zero", quantity="cost"), *records)
    s = summarize(replace(found, header=replace(found.header, selection=("*",))))
    assert s.ok == ok
    assert s.reasons == (() if ok else ("torch eager cpu float32: no dC/dz could have failed",))


@pytest.mark.parametrize(
    ("header", "other", "ok"),
    [
        ({"selection": ("*",)}, {"outcome": "trivial", "rejected": ()}, False),
        ({"selection": ("*",)}, {"elements": 0}, False),
        ({"selection": ("*",)}, {}, True),
        ({"shard": "1/2"}, {"outcome": "trivial", "rejected": ()}, True),
        ({"selection": ("z",), "shard": "1/2"}, {"outcome": "trivial", "rejected": ()}, False),
    ],
)
def test_a_place_at_which_nothing_could_have_failed_fails_selected_cases(
    header: dict[str, Any], other: dict[str, Any], ok: bool
) -> None:
    """Though zero is right in all of it, as with one class; of a shard, which nobody chose, the whole run decides, and
    of a shard of selected cases nothing else does.
    """
    found = run(sized(SMALL, outcome="trivial"), replace(sized(SMALL, "zero", quantity="cost"), **other))
    s = summarize(replace(found, header=replace(found.header, **header)))
    assert s.ok == ok
    assert s.reasons == (() if ok else ("torch eager cpu float32: no cost or dC/dz could have failed",))


@pytest.mark.parametrize("reductions", [("mean", "sum", "none"), ("mean", "sum")])
def test_who_has_every_option_and_reduction_shows_each_option_at_each_size(reductions: tuple[str, ...]) -> None:
    """Whoever lacks a reduction shows it at some size, as whoever lacks an option does."""
    every = ("zero", "weights_left_out", "smoothing_left_out", "ignored_rows_leak", "upstream_ignored")
    found = [
        sized(size, *(every if size == SMALL else ("zero",)), required=every, applicable=every, group=f"p/{kind}/{r}")
        for size in (SMALL, LARGE)
        for kind in ("index", "probabilities")
        for r in reductions
    ]
    blind = {g.blind for g in power_of(found).groups() if LARGE in g.name}
    assert blind == ({tuple(sorted(every[1:]))} if "none" in reductions else {()})


def test_the_rejections_of_a_vacuous_comparison_do_not_count() -> None:
    """Nor do those of one without elements, or where zero is right."""
    decided = sized(SMALL, "zero")
    others = [
        sized(SMALL, "doubled"),
        sized(SMALL, "doubled", outcome="trivial"),
        sized(SMALL, "zero", "doubled", elements=0),
    ]
    for other in others:
        assert {g.blind for g in power_of([decided, other]).groups()} == {("doubled",)}
    assert {g.blind for g in power_of([decided, sized(SMALL, "zero", "doubled")]).groups()} == {()}


@pytest.mark.parametrize(
    ("blind", "words"),
    [
        ({(0, 0)}, "no dC/dz of 1 to 30 classes could"),
        ({(1, 0), (2, 0)}, "no dC/dz of 31 to 30000 classes could"),
        ({(1, 0), (2, 0), (3, 0)}, "no dC/dz above 30 classes could"),
        ({(1, 1)}, "no dC/dz above 30 classes in more than 100 rows could"),
        ({(0, 1), (1, 1)}, "no dC/dz in more than 100 rows could"),
        (set(STEPS.values()), "no dC/dz could"),
    ],
)
def test_the_extent_is_told_in_words(blind: set[tuple[int, int]], words: str) -> None:
    """Neighbouring steps as one."""
    met = {(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1)}
    names = {step: name for name, step in STEPS.items()}
    found = [sized(names[step], *(() if step in blind else ("zero",))) for step in sorted(met)]
    (sentence,) = power_of(found).undecided()
    assert sentence == f"torch eager cpu float32: {words} have failed"


def test_rows_of_wide_dtypes_have_a_step_more() -> None:
    """Of sums over many rows, beside others that were decided."""
    many, few = "31-1000 classes/4097- rows", "31-1000 classes/101-4096 rows"
    (sentence,) = power_of([sized(few, "zero"), sized(many)]).undecided()
    assert sentence == "torch eager cpu float32: no dC/dz in more than 4096 rows could have failed"
    (sentence,) = power_of([sized(few), sized(many, "zero")]).undecided()
    assert sentence == "torch eager cpu float32: no dC/dz in 101 to 4096 rows could have failed"


def test_one_sentence_for_the_quantities_that_share_an_extent() -> None:
    """By place."""
    found = [sized(SMALL, "zero", quantity=q) for q in ("loss", "dC/dz")]
    found += [sized(LARGE, quantity=q) for q in ("loss", "dC/dz")]
    assert power_of(found).undecided() == (
        "torch eager cpu float32: no loss or dC/dz above 1000 classes could have failed",
    )


def test_under_a_contract_that_decides_nothing_large_sizes_are_undecided() -> None:
    """`stable` lets any gradient of 1000 classes in bfloat16 pass, and the run says so."""
    from xentcheck.adapters.numpy.adapter import value_and_gradient

    adapter = adapters.from_numpy(value_and_gradient, contract="stable", dtypes=["bfloat16"], options=["upstream"])
    chosen = [c for c in sized_cases(0) if c.dtype == "bfloat16" and c.shape[0] == 3 and c.classes < 5000]
    small = Case.parse("gaussian.1x3.bf16.index.plain.none.up-one.contig.s0")
    records = [r for case in (small, *chosen) for r in run_case(case, subjects_of(adapter))]
    told = [text for text in power_of(records).undecided() if "dC/dz" in text]
    assert told == ["value_and_gradient eager cpu bfloat16: no dC/dz above 30 classes could have failed"]


def zero_above_1003(z: Any, y: Any, **options: Any) -> Any:
    """PyTorch's loss, times 0 for float32 logits of more than 1003 classes."""
    import torch

    loss = torch.nn.functional.cross_entropy(z, y, **options)
    return loss * 0 if z.dtype == torch.float32 and z.shape[min(1, z.ndim - 1)] > 1003 else loss


def test_a_loss_that_is_zero_above_1003_classes_is_caught_by_quick() -> None:
    """In value and gradient, with and without options."""
    pytest.importorskip("torch")
    subjects = subjects_of(adapters.from_torch(zero_above_1003), ["cpu"])
    chosen = [c for c in cases("quick") if c.dtype == "float32" and 1003 < c.classes < 5000 and not c.inputs]
    failing = {r.quantity for c in chosen for r in run_case(c, subjects) if r.outcome in FAILING}
    assert failing == {"loss", "cost", "dC/dz"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_in_place_of_labels_are_decided_at_every_size(dtype: str) -> None:
    """A loss that takes no labels, and whose mean may be one sum over rows and classes, has no blind group: 3 s."""
    adapter = NumpyAdapter()
    adapter.contracts = ()
    adapter.capabilities = replace(adapter.capabilities, labels=False, options=frozenset({"probabilities"}))
    (subject,) = subjects_of(adapter)
    plain = [c for c in cases("quick") if c.dtype == dtype and not c.options and not c.inputs]
    chosen = [c for c in plain if c.target == "index" and c.layout == ("contig",) and subject.takes(c)]
    records = [r for c in chosen for r in run_case(c, [subject])]
    assert [r for r in records if r.outcome in FAILING] == []
    groups = power_of(records).groups()
    assert len({size for size in STEPS for g in groups if g.name.endswith(size)}) > 4
    assert [g for g in groups if g.blind] == []
