"""The summary: each reason to fail a run fails it alone, and nothing counts as agreement that is none."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from samples import record, run, varied

from xentcheck.records.findings import LawResult
from xentcheck.records.record import SHARE_EDGES
from xentcheck.records.run import RunFile
from xentcheck.records.words import describe
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.reports.sections.heat import heat_map
from xentcheck.vocabulary import FAILING, OUTCOMES


def test_an_agreeing_run_is_ok() -> None:
    """The counterpart of every test below."""
    s = summarize(run(record()))
    assert s.ok
    assert s.verdict == "agreed: 1 of 1 comparisons within their derived bounds"


BAD = {
    **{outcome: run(record(), record(outcome=outcome, case="z")) for outcome in FAILING},
    "a failure of the run": run(record(), failures=("deviation x matches no comparison",)),
    "fewer records than planned": run(record(), planned=2),
    "nothing executed": run(record(outcome="unavailable"), record(outcome="convention", case="z")),
    "no record": run(),
    "more records than planned": run(record(), planned=0),
    "agreement at nan": run(record(share=math.nan)),
    "agreement beyond its bound": run(record(share=1.0000001)),
    "agreement without a comparison": run(record(), record(share=None, case="z")),
    "vacuous beyond its bound": run(record(), record(outcome="vacuous", share=2.0, case="z")),
    "deviations alone": run(record(), record(adapter="other", outcome="deviation", share=9.0)),
    "a blind group": run(record(rejected=("doubled",))),
    "not exercised in full": run(record(applicable=("zero",), rejected=("zero",)), profile="full"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_reason_fails_the_run_alone(name: str) -> None:
    """Whatever else agrees."""
    s = summarize(BAD[name])
    assert not s.ok
    assert s.verdict.startswith("FAILED: ")


GREEN = {"deviation", "convention", "vacuous", "trivial", "agree", "unsupported", "unavailable"}
COMPARED = {"disagree", "deviation", "vacuous", "trivial", "agree"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_fails_a_run_or_it_does_not(outcome: str) -> None:
    """Crashes, timeouts, errors and disagreements do; those without numbers are no comparison that was executed."""
    s = summarize(run(record(), record(outcome=outcome, case="z")))
    assert s.ok == (outcome in GREEN)
    assert s.executed == 1 + (outcome in COMPARED)
    assert {*GREEN, *COMPARED, "crash", "timeout", "error"} == set(OUTCOMES)


def test_an_implementation_of_which_nothing_agrees_is_named() -> None:
    """All of it may be excused by entries that are too wide; beside one agreement a deviation is one."""
    alone = record(adapter="other", outcome="deviation", share=9.0)
    assert summarize(run(record(), alone)).reasons == ("other/eager/cpu/float32: nothing agrees; 1 recorded deviation",)
    assert summarize(run(record(), alone, record(adapter="other", case="z"))).ok


@pytest.mark.parametrize("part", [{"selection": ("z",)}, {"shard": "1/2"}])
def test_a_part_of_a_profile_may_be_excused_as_a_whole(part: dict[str, Any]) -> None:
    """A known fault fails no run of its own cases; the verdict does not say that they agree."""
    excused = run(record(outcome="deviation", share=9.0))
    s = summarize(replace(excused, header=replace(excused.header, **part)))
    assert s.ok
    assert s.verdict.startswith("excused: none of 1 comparisons agrees, ")


def test_deviations_have_no_part_in_a_grade() -> None:
    """They are listed by themselves."""
    known = record(outcome="deviation", share=9.0, shares={"fused": 9.0, "stash": 9.0}, case="z")
    (grade,) = summarize(run(record(shares={"fused": 0.5, "stash": 0.5}), known)).grades
    assert grade.contract == "fused"


def test_not_exercised_is_only_listed_in_quick() -> None:
    """quick is no full coverage."""
    s = summarize(run(record(applicable=("zero",), rejected=("zero",))))
    assert s.ok
    assert s.not_exercised[0].not_exercised == ("doubled",)


def test_a_group_is_not_blind_if_one_comparison_rejects() -> None:
    """Power is a property of the group."""
    assert summarize(run(record(rejected=("doubled",)), record(case="z"))).ok


def test_unavailable_comparisons_have_no_power() -> None:
    """An implementation that is not there makes no group blind."""
    missing = record(adapter="jax", group="jax/...", outcome="unavailable", rejected=(), case="z")
    assert summarize(run(record(), missing)).ok


def test_vacuous_and_trivial_are_counted_apart() -> None:
    """They are executed, but no agreement."""
    s = summarize(run(record(), record(outcome="vacuous", case="y"), record(outcome="trivial", case="z")))
    assert s.verdict == "agreed: 1 of 3 comparisons within their derived bounds (1 vacuous, 1 trivial)"


@pytest.mark.parametrize(
    ("share", "grade"), [(0.5, "fused"), (1.0, "fused"), (1.0000001, "stash"), (math.nan, "stash"), (math.inf, "stash")]
)
def test_a_grade_is_the_first_contract_that_all_meet(share: float, grade: str) -> None:
    """nan excludes a contract; the witness is the comparison that excludes the one before."""
    s = summarize(run(record(shares={"fused": share, "fused-lse": share, "stash": 1.0})))
    assert s.grades[0].contract == grade
    assert (s.grades[0].witness is None) == (grade == "fused")


def test_a_contract_that_none_meets_is_no_grade() -> None:
    """Outside of everything."""
    assert (
        summarize(run(record(shares=dict.fromkeys(("fused", "fused-lse", "stash", "stable"), 2.0)))).grades[0].contract
        == "none"
    )


def test_a_contract_that_was_never_tried_is_no_grade() -> None:
    """Nothing excludes it, and nothing speaks for it."""
    (grade,) = summarize(run(record(shares={"stash": 0.5}))).grades
    assert grade.contract == "stash"


def test_nan_is_the_witness_against_a_contract() -> None:
    """It is above every number, in any order."""
    pair = record(shares={"fused": 3.0, "stash": 0.1}), record(shares={"fused": math.nan, "stash": 0.1}, case="n")
    for records in (pair, pair[::-1]):
        (grade,) = summarize(run(*records)).grades
        assert grade.witness is not None
        assert (grade.contract, grade.witness.case) == ("stash", "n")


def test_worst_ulp_is_nan_if_one_is() -> None:
    """nan does not hide behind a number, in any order."""
    pair = record(ulp=math.nan), record(ulp=2.0, case="z")
    for records in (pair, pair[::-1]):
        (row,) = summarize(run(*records)).rows
        assert row.ulp is not None
        assert math.isnan(row.ulp)


def test_a_group_of_another_place_does_not_help() -> None:
    """What one implementation's cases reject says nothing of another's."""
    other = record(adapter="jax", group="jax/...", rejected=("doubled",))
    assert [g.name for g in summarize(run(record(), other)).blind] == ["jax/..."]


def test_limits_of_shares_come_from_the_counts_of_all_elements() -> None:
    """99 % of the elements are below an edge, over all comparisons of a row."""
    few, many = [0] * len(SHARE_EDGES), [0] * len(SHARE_EDGES)
    few[6], many[1], many[0] = 2, 50, 48
    (row,) = summarize(run(record(share_counts=tuple(few)), record(case="y", share_counts=tuple(many)))).rows
    assert row.most == SHARE_EDGES[7]


def test_known_deviations_have_no_part_in_the_worst() -> None:
    """Neither in the share nor in the ULPs nor in the median; they are kept by themselves."""
    known = record(outcome="deviation", share=6750.0, ulp=1e7, case="known")
    (row,) = summarize(run(record(share=0.2), record(share=0.4, case="y"), known)).rows
    assert row.worst is not None
    assert row.known is not None
    assert (row.worst.case, row.known.case, row.ulp, row.failing) == ("y", "known", 1.5, 0)
    assert row.median == pytest.approx(0.3)
    (alone,) = summarize(run(known)).rows
    assert (alone.worst, alone.ulp, alone.median) == (None, None, None)


def test_families_have_grades_of_their_own() -> None:
    """Softmax and gradient of one place are graded apart; the proof names the comparison, the hint what to promise."""
    names = ("fused", "fused-lse", "stash", "stable")
    a, g = (
        record(quantity=q, case=case, contract="stash", shares=dict(zip(names, shares, strict=True)))
        for q, case, shares in (("a", "x", (0.5, 0.5, 0.2, 0.1)), ("dC/dz", "y", (3.0, 3.5, 0.9, 0.1)))
    )
    summary = summarize(run(a, g))
    assert [(x.family, x.contract, x.hint) for x in summary.grades] == [("all", "stash", "")]
    soft, gradient = summary.family_grades
    assert (soft.family, soft.contract, soft.proof) == ("softmax", "fused", "")
    assert soft.hint == "meets fused, stricter than the declared stash"
    assert (gradient.family, gradient.contract, gradient.hint) == ("gradient", "stash", "")
    assert gradient.proof == "fused-lse exceeded 3.5 times by dC/dz of y"


def test_rows_hold_the_worst() -> None:
    """The record of the largest share, nan above all, and the largest ULP."""
    s = summarize(run(record(), record(case="y", share=0.9, ulp=0.5), record(case="z", share=0.1, ulp=7.0)))
    (row,) = s.rows
    assert row.worst is not None
    assert (row.worst.case, row.ulp, row.counts) == ("y", 7.0, {"agree": 3})
    worst = summarize(run(record(share=5.0), record(case="n", share=math.nan))).rows[0].worst
    assert worst is not None
    assert worst.case == "n"


def test_the_order_of_records_does_not_matter() -> None:
    """The same summary from the reversed run."""
    sample = varied()
    assert summarize(RunFile(sample.header, sample.records[::-1], sample.failures)) == summarize(sample)


def test_a_failure_is_told_in_the_units_of_its_own_element() -> None:
    """Not in those of the comparison's largest; below the normal range there are none, and 0 is below it."""
    bad = {"outcome": "disagree", "share": 12.0, "ulp": 1e9}
    assert "12 of the bound, 8.39e+06 ULP" in describe(record(**bad))
    assert describe(record(**bad, expected=(0.0).hex())).endswith("12 of the bound, subnormal")
    assert "1 ULP" in describe(record(**bad, dtype="bfloat16", got="0x1.02p-2"))
    wider = record(**bad, dtype="bfloat16", result_dtype="float32", got="0x1.02p-2")
    assert "6.55e+04 ULP" in describe(wider)
    assert ">1e+16 ULP" in describe(record(**bad, got="nan"))


def test_the_explanation_says_what_is_needed_to_act() -> None:
    """Place, quantity, case, index, numbers, and the replay."""
    bad = record(outcome="disagree", reason="1 of 50 elements exceed their bound", share=12.0)
    text = summarize(run(bad)).explanation()
    for part in (
        "torch/eager/cpu/float32",
        "dC/dz",
        bad.case,
        "[0, 3]",
        "got 0.5",
        "exact 0.25",
        "bound 1",
        bad.replay,
    ):
        assert part in text


def test_numbers_that_say_nothing_more_are_not_written_out() -> None:
    """A share of 9.8e13 and an infinite number of ULP: on the terminal, in a line, and in the heat map."""
    r = record(outcome="disagree", share=9.8e13, ulp=math.inf, expected=(1.0).hex(), got=(2.0).hex(), bound=(0.0).hex())
    console = Console(width=100, record=True, file=io.StringIO())
    print_summary(run(r), console)
    shown = console.export_text()
    line = next(line for line in shown.splitlines() if "dC/dz" in line)
    assert line.split()[-2:] == [">1e+06", ">1e+16"]
    assert ": >1e+06 of the bound" in shown
    assert ", >1e+06 of the bound, " in describe(r)
    assert [cell.text for *_, cells in heat_map(summarize(run(r))).rows for cell in cells] == ["✗ >1e+06"]


def test_the_terminal_shows_no_known_deviation_as_the_worst_share_and_no_ulps_of_subnormal_numbers() -> None:
    """Beside 0 failures stands the share of what agrees; a row whose exact values are all subnormal says so."""
    known = record(outcome="deviation", share=6750.0, ulp=3e35, case="known")
    console = Console(width=100, record=True, file=io.StringIO())
    print_summary(run(record(ulp=None), known), console)
    (line,) = (line for line in console.export_text().splitlines() if "dC/dz" in line and "torch eager" in line)
    assert line.split()[-5:] == ["1", "0", "1", "0.25", "subnormal"]


def test_where_the_same_call_returns_another_result_that_is_the_cause() -> None:
    """Of all failures at that place, whatever their numbers looked like; of those elsewhere it is none."""
    found = [
        record(outcome="disagree", suspects=("A10: right to about 11 bits",), dtype=dtype, case=f"c{dtype}")
        for dtype in ("float32", "float64")
    ]
    place = {"adapter": found[0].adapter, "variant": found[0].variant, "device": found[0].device}
    law = LawResult(**place, dtype="float32", law="repeated", share=2.0, detail="")
    summary = summarize(replace(run(*found), laws=(law,)))
    assert {(r.dtype, r.suspects[0][:3]) for r in summary.failing} == {("float32", "A15"), ("float64", "A10")}
    for share in (0.5, math.nan):  # nan: it could not be asked
        other = summarize(replace(run(*found), laws=(replace(law, share=share),)))
        assert {r.suspects[0][:3] for r in other.failing} == {"A10"}
