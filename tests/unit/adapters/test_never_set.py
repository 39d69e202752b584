"""Parameters that no problem sets: found in the signature, handed on to a run, told beside its verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from samples import record, run

from xentcheck.adapters.declaring import declaration, declare
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.adapters.wrap.functions import from_torch
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.reports.analysis.summary import summarize
from xentcheck.running.environment import environment
from xentcheck.running.subjects import subjects_of


def whole(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None: ...


def more(
    logits: Any, labels: Any, *, label_smooth: float = 0.0, reduction: str = "mean", z_loss: float = 0.0
) -> None: ...


def by_axis(logits: Any, labels: Any, axis: int = -1, where: Any = None) -> None: ...


def fused(
    x: Any, linear_weight: Any, target: Any, bias: Any = None, ce_weight: Any = None, chunks: int = 1
) -> None: ...


def any_keyword(input: Any, target: Any, softcap: float = 0.0, **options: Any) -> None: ...


def upstream(logits: Any, target: Any, upstream: Any = 1.0) -> None: ...


class Loss:
    def __init__(self, reduction: str = "mean", z_loss: float = 0.0) -> None: ...


FOUND = [
    (whole, "torch", ()),
    (more, "jax", ("label_smooth", "z_loss")),
    (by_axis, "jax", ("where",)),
    (fused, "torch", ("chunks",)),
    (any_keyword, "torch", ("softcap",)),
    (upstream, "numpy", ()),
    (upstream, "torch", ("upstream",)),
    (Loss, "torch", ("z_loss",)),
]


@pytest.mark.parametrize(("implementation", "framework", "names"), FOUND, ids=lambda x: getattr(x, "__name__", ""))
def test_parameters_that_no_problem_sets_are_found(
    implementation: Any, framework: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the arrays and the options that are passed by keyword; no framework is asked."""
    monkeypatch.setattr("xentcheck.adapters.base.Adapter.unavailable", lambda adapter: "not here")
    assert adapter_of(implementation, framework).never_set == names


def test_a_function_that_is_wrapped_by_name_has_them_too() -> None:
    """`from_torch` and its like, without `adapter_of`."""
    assert from_torch(more).never_set == ("label_smooth", "z_loss")


def test_they_travel_to_the_run_and_are_told_beside_its_verdict() -> None:
    """Over the declaration of another process; a function whose parameters are all set is not named."""
    there, here = NumpyAdapter(), NumpyAdapter()
    there.never_set = ("z_loss", "chunks")
    declare(here, declaration(there))
    about = environment(subjects_of(here))
    (told,) = summarize(replace(run(record()), header=replace(run().header, environment=about))).not_asked
    assert told.startswith("numpy: never set: z_loss, chunks; a wrapper that passes them on as weight, ")
    assert summarize(run(record())).not_asked == ()
    assert "never set" not in str(environment(subjects_of(NumpyAdapter())))


def test_an_option_that_comes_only_with_what_is_lacking_is_told_by_dtype() -> None:
    """Weights that a run of bfloat16 has only together with smoothing were never judged there, and nobody said so."""
    both, alone = "few-active.3x3k3.{}.index.{}.mean.up-neg.contig.s0".format, {"lacks": ("option", "label_smoothing")}
    narrow = record(dtype="bfloat16", case=both("bf16", "w+lsh"), outcome="unsupported", **alone)
    wide = [record(case=both("f64", "w"), dtype="float64"), record(case="odd", outcome="unsupported", **alone)]
    told = summarize(run(narrow, *wide)).not_asked
    assert told[1:] == (
        "torch was not judged on weight in bfloat16: each case with it needs something else that is lacking; with a "
        "parameter label_smoothing there are more",
    )
    met = record(dtype="bfloat16", case=both("bf16", "w"), quantity="dC/dz")
    assert len(summarize(run(narrow, met, *wide)).not_asked) == 1


def test_a_fused_linear_loss_is_not_told_of_fused_linear_losses() -> None:
    """It lacks the logits and the network; a loss of logits lacks the layer, which a parameter includes."""
    heads = {
        name: record(case=name, outcome="unsupported", lacks=("head", name)) for name in ("logits", "network", "layer")
    }
    fused = summarize(run(record(), heads["logits"], heads["network"])).not_asked
    of_logits = summarize(run(record(), heads["network"], heads["layer"])).not_asked
    assert fused == ("torch was not judged on head logits, network (2 of 3 comparisons)",)
    assert of_logits[0].endswith("; head layer is for fused linear losses, which have a parameter bias")
