"""Comparing baselines: each kind of change is told, what the machine cannot reproduce is not, worse is exit code 1."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import probe, record, run

import xentcheck
from xentcheck.cli.commands import run as command_run
from xentcheck.cli.main import cli
from xentcheck.errors import OutputError, RunFileError
from xentcheck.records.file import RunWriter
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reports.baselines.baseline import Baseline, baseline_of, path_of
from xentcheck.reports.baselines.compare import KINDS, Change, Comparison, compare
from xentcheck.reports.baselines.file import load
from xentcheck.reports.formats.html import comparison_html


def graded(**changes: Any) -> Record:
    """A comparison whose grade is the highest."""
    return record(**{"share": 0.5, "ulp": 2.0, "shares": {"fused": 0.5}, **changes})


def one(**changes: Any) -> RunFile:
    """A run of one comparison."""
    return run(graded(**changes))


def found_in(base: RunFile | list[RunFile], new: RunFile) -> Comparison:
    """The comparison of one or several runs of an installation with a run of another."""
    return compare(baseline_of(base if isinstance(base, list) else [base]), baseline_of([new]))


BASE = one()
CHANGES = {
    "worse": [one(share=8.0, outcome="disagree")],
    "moved": [one(share=0.6), one(ulp=3.0)],
    "better": [one(share=0.4), one(ulp=1.0)],
    "new": [run(*BASE.records, graded(quantity="cost"))],
    "gone": [run(record(quantity="cost", share=0.5, ulp=2.0))],
    "fewer": [run(*BASE.records, record(case="b", outcome="unsupported", share=None, ulp=None))],
    "cases": [one(case="b"), run(*BASE.records, graded(case="b", share=0.1, ulp=1.0))],
    "answer": [one(outcome="vacuous")],
    "lower": [one(shares={"fused": 1.5, "stash": 0.5}), one(shares={"fused": 1.5, "stash": 1.5})],
    "grade": [one()],
    "failure": [one(outcome="disagree"), replace(BASE, failures=("deviation x matches no comparison",))],
}


BEFORE = {
    "fewer": run(*BASE.records, record(case="b", share=0.1, ulp=1.0)),
    "worse": one(share=7.0, outcome="disagree"),
    "grade": one(shares={"fused": 1.5, "stash": 0.5}),
}
"""Where a change is none to BASE."""

BAD = ("failure", "gone", "fewer", "worse", "lower")
"""What makes a comparison fail, written out: of another list the test below would believe anything."""


@pytest.mark.parametrize(("kind", "number"), [(kind, i) for kind, runs in CHANGES.items() for i in range(len(runs))])
def test_each_kind_of_change_is_told(kind: str, number: int) -> None:
    """It is found, and only what is worse fails."""
    header = replace(BASE.header, catalogue=("fused", "stash"))
    new = CHANGES[kind][number]
    base = BEFORE.get(kind, BASE)
    header = replace(header, planned=len(base.records))
    found = found_in(replace(base, header=header), replace(new, header=replace(header, planned=len(new.records))))
    assert kind in {change.kind for change in found.changes}
    assert found.ok == (kind not in BAD)
    assert f"1 {kind}" in found.verdict


def test_every_kind_has_a_test() -> None:
    """The table above leaves none out."""
    assert set(CHANGES) == set(KINDS)


def test_nothing_changes_between_a_run_and_itself() -> None:
    """Whatever the order of its records."""
    convention = record(case="c", outcome="convention", convention="all-ignored", returned="nan", share=None)
    both = run(record(), record(case="b"), convention)
    turned = replace(both, records=both.records[::-1])
    assert found_in(both, turned).changes == ()
    assert found_in(both, turned).verdict == "nothing changed"
    assert list(baseline_of([both]).lines()) == list(baseline_of([turned]).lines())


def test_a_failure_that_goes_away_is_better_and_one_that_stays_is_nothing() -> None:
    """Only changes are told."""
    bad = one(outcome="disagree")
    assert {c.kind for c in found_in(bad, BASE).changes} == {"better"}
    assert found_in(bad, bad).changes == ()


def test_failures_that_go_away_together_are_one_line() -> None:
    """As those that come: of one row, and with one cause; those that are not met again as well."""
    wrong = [record(case=f"c{i}", outcome="disagree", suspects=(f"B2{i // 2}: divides",)) for i in range(4)]
    right = [record(case=f"c{i}") for i in range(4)]
    mended = [c for c in found_in(run(*wrong), run(*right)).changes if c.before.startswith("disagree")]
    assert [(c.kind, c.what) for c in mended] == [("better", "c0 and 1 more"), ("better", "c2 and 1 more")]
    lost = [c for c in found_in(run(*wrong), run(record(case="x"))).changes if c.before.startswith("disagree")]
    assert [(c.kind, c.what) for c in lost] == [("cases", "c0 and 1 more"), ("cases", "c2 and 1 more")]


@given(st.sampled_from(["crash", "timeout", "error", "disagree"]), st.integers(0, 3), st.text(max_size=5))
def test_one_more_failure_is_never_nothing(outcome: str, number: int, text: str) -> None:
    """Whichever comparison fails, and for what is wrong with the run as a whole: alone this tries any text of it."""
    records = [record(case=f"c{i}") for i in range(4)]
    base = run(*records)
    records[number] = replace(records[number], outcome=outcome)
    assert not found_in(base, run(*records)).ok
    assert not found_in(base, replace(base, failures=(f"x{text}",))).ok


def test_nan_is_worse_than_any_number() -> None:
    """And stays what it was."""
    wrong = run(record(share=float("nan"), ulp=2.0, outcome="disagree"))
    right = run(record(share=1.5, ulp=2.0, outcome="disagree"))
    assert [c.kind for c in found_in(right, wrong).changes] == ["worse"]
    assert found_in(wrong, wrong).changes == ()


@pytest.mark.parametrize(("share", "kinds"), [(0.3, ["better"]), (0.4, []), (0.45, []), (0.5, []), (0.51, ["moved"])])
def test_what_runs_of_one_installation_span_is_no_change(share: float, kinds: list[str]) -> None:
    """The range of all runs of the base, and not a knob, says what the machine cannot reproduce."""
    base = [run(record(share=x, ulp=2.0)) for x in (0.4, 0.5)]
    assert [c.kind for c in found_in(base, run(record(share=share, ulp=2.0))).changes] == kinds


def test_the_share_decides_and_the_ulp_where_it_stays() -> None:
    """A worst case that is nearer to its bound has moved whatever its ULPs, which are information."""
    moves = [(0.3, 9.0, "better"), (0.6, 1.0, "moved"), (0.5, 3.0, "moved")]
    for share, ulp, kind in moves:
        assert [c.kind for c in found_in(BASE, one(share=share, ulp=ulp)).changes] == [kind]


def test_answers_to_probes_and_degenerate_cases_are_told() -> None:
    """By the same implementation; those of another one are no change."""
    base = replace(BASE, probes=(probe(), probe(adapter="torch", value="0")))
    new = replace(BASE, probes=(probe(value="inf"), probe(adapter="other", value="1")))
    (change,) = found_in(base, new).changes
    assert (change.kind, change.where.partition("/")[0]) == ("answer", probe().adapter)
    told = {"outcome": "convention", "convention": "all-ignored", "share": None}
    nan, zero = (record(**told, returned=x) for x in ("nan", "0"))
    (change,) = found_in(run(nan), run(zero)).changes
    assert (change.kind, change.before, change.after) == ("answer", "nan", "0")


def test_versions_and_settings_that_differ_are_told() -> None:
    """They are no change by themselves."""
    header = replace(BASE.header, environment={"python": "3.11", "adapters": {"jax": {"version": "0.9"}}})
    other = replace(BASE.header, environment={"python": "3.11", "adapters": {"jax": {"version": "0.10"}}})
    found = found_in(replace(BASE, header=header), replace(BASE, header=other))
    told = [(c.what, c.before, c.after) for c in found.versions]
    assert told == [("environment adapters jax version", "0.9", "0.10")]
    assert found.changes == ()


def written(path: Path, whole: RunFile) -> str:
    with RunWriter(path, whole.header) as writer:
        for r in whole.records:
            writer.add(r)
        for text in whole.failures:
            writer.failure(text)
    return str(path)


def test_the_command_says_it_in_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for nothing, 1 for worse; run files and baselines alike; Markdown and HTML on request."""
    pytest.importorskip("jinja2")
    base = written(tmp_path / "base.jsonl", BASE)
    worse = written(
        tmp_path / "worse.jsonl", one(share=6.0, outcome="disagree", suspects=("B20: divides by all rows",))
    )
    moved = written(tmp_path / "moved.jsonl", one(share=0.6))
    saved = tmp_path / "saved.jsonl"
    baseline_of([BASE]).save(saved)
    page, markdown = tmp_path / "page.html", tmp_path / "page.md"
    assert cli.main(["compare", base, str(saved)], standalone_mode=False) == 0
    assert capsys.readouterr().out == "nothing changed\n"
    command = ["compare", str(saved), worse, "--markdown", str(markdown), "--html", str(page)]
    assert cli.main(command, standalone_mode=False) == 1
    out = capsys.readouterr().out
    assert (
        "dC/dz " + record().case + ": nothing -> disagree, divides by all rows [B20]\n   again " + record().replay
        in out
    )
    assert markdown.read_text().startswith(
        "<!-- xentcheck: comparison -->\n\n**WORSE: 1 failure, 1 worse**\n\n| change |"
    )
    assert '<tr class="worse"><td>worse</td>' in page.read_text()
    assert cli.main(["compare", base, moved], standalone_mode=False) == 0
    out = capsys.readouterr().out
    assert "0.5 of the bound, 2 ULP -> 0.6 of the bound, 2 ULP\n   again " + record().replay in out
    assert out.endswith("no worse: 1 moved\n")
    assert cli.main(["compare", base, worse, "--repeat", worse], standalone_mode=False) == 0
    with pytest.raises(OutputError, match="cannot be written"):
        cli.main(["compare", base, base, "--markdown", base + "/x"], standalone_mode=False)


def test_hostile_text_stays_text() -> None:
    """Names come from files of anybody."""
    pytest.importorskip("jinja2")
    evil = "<script>alert(1)</script>|`"
    page = comparison_html(Comparison((Change("worse", evil, evil, evil, evil),), ()))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Ranges, infinities and nan, texts of several runs; a name alone lies in `baselines`."""
    runs = [
        run(record(share=float("inf"), ulp=float("nan"), outcome="disagree"), record(quantity="a", share=0.25)),
        run(record(share=0.5, ulp=2.0), record(quantity="a", share=0.5)),
    ]
    made = baseline_of(runs)
    made.save(tmp_path / "x" / "saved.jsonl")
    read = load(tmp_path / "x" / "saved.jsonl")
    assert list(read.lines()) == list(made.lines())
    assert compare(made, read).changes == ()
    assert path_of("x") == Path("baselines/x.jsonl")
    lines = (tmp_path / "x" / "saved.jsonl").read_text().splitlines()
    assert lines[1:-1] == sorted(lines[1:-1], key=lambda line: (line.startswith('{"row"') is False, 0))
    with pytest.raises(OutputError, match=r"baseline .* cannot be written"):
        made.save(tmp_path / "x" / "saved.jsonl" / "y.jsonl")


@pytest.mark.parametrize(("outcome", "told"), [("disagree", "FAILED: 1 disagree"), ("crash", "FAILED: 1 crash")])
def test_a_repeat_that_fails_fails_the_command(
    outcome: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that goes wrong on its second run, and a worker that dies there."""
    monkeypatch.chdir(tmp_path)
    runs = [xentcheck.Run(BASE), xentcheck.Run(run(record(outcome=outcome)))]
    monkeypatch.setattr(command_run, "execute_request", lambda *given: runs.pop(0))
    assert cli.main(["run", "--adapter", "numpy", "--save", "x", "--repeats", "2"], standalone_mode=False) == 1
    assert f"\nrun 2 of 2: {told}" in capsys.readouterr().out


def test_counts_within_the_range_of_the_base_are_no_change() -> None:
    """As for shares: only what leaves the range is told."""
    many, few = run(record(), record(case="b")), run(record(), record(case="b", outcome="unsupported", share=None))
    assert "fewer" not in {c.kind for c in found_in([many, few], few).changes}
    assert "fewer" in {c.kind for c in found_in([many, many], few).changes}


def test_fewer_cases_of_the_same_plan_are_worse() -> None:
    """With another selection they are other cases."""
    many, few = run(record(), record(case="b")), run(record())
    assert [c.kind for c in found_in(many, few).changes] == ["fewer"]
    chosen = replace(few, header=replace(few.header, selection=("a*",)))
    assert [c.kind for c in found_in(many, chosen).changes] == ["cases"]


def test_a_failure_that_is_not_met_again_is_not_better() -> None:
    """Its case may not have been run."""
    bad = run(record(case="b", outcome="disagree"), record())
    chosen = replace(run(record()), header=replace(BASE.header, selection=("a*",)))
    kinds = {(c.kind, c.what) for c in found_in(bad, chosen).changes}
    assert ("cases", "b") in kinds
    assert "better" not in {kind for kind, _ in kinds}


def test_an_empty_baseline_is_no_agreement() -> None:
    """Nothing against something is all gone."""
    found = compare(baseline_of([BASE]), Baseline({}, {}))
    assert [c.kind for c in found.changes] == ["gone"]
    assert not found.ok


def test_two_runs_without_a_comparison_are_not_the_same(tmp_path: Path) -> None:
    """Nothing changed between them, as there is nothing; one that compared something can be compared with itself."""
    names = [written(tmp_path / name, run(record(outcome="unsupported"))) for name in ("base.jsonl", "new.jsonl")]
    with pytest.raises(RunFileError, match="has a comparison; allowed: runs that compared something"):
        cli.main(["compare", *names], standalone_mode=False)
    agreeing = written(tmp_path / "agreeing.jsonl", run(record()))
    assert cli.main(["compare", agreeing, agreeing], standalone_mode=False) == 0


def test_comparing_less_is_worse() -> None:
    """What was compared and is unsupported now: not better, whatever the worst share of the rest."""
    base = run(*(record(case=f"c{i}", share=0.1 * i) for i in range(1, 5)))
    new = run(
        record(case="c1", share=0.1), *(record(case=f"c{i}", outcome="unsupported", share=None) for i in (2, 3, 4))
    )
    found = found_in(base, new)
    assert [c.kind for c in found.changes] == ["fewer"]
    assert not found.ok
    assert [c.kind for c in found_in(new, base).changes if c.kind == "fewer"] == []


def test_failures_of_one_cause_are_told_once_with_the_worst_case() -> None:
    """Its command, the cause, and how many more; what fails in another way stands by itself."""
    cause = {"outcome": "disagree", "suspects": ("B20: divides by all rows",)}
    cases = [record(case=f"c{i}", share=float(i), replay=f"xentcheck replay c{i} --adapter torch") for i in range(5)]
    wrong = [replace(r, **cause) if i > 1 else r for i, r in enumerate(cases)]
    crashed = replace(wrong[0], outcome="crash", share=None)
    found = [c for c in found_in(run(*cases), run(crashed, *wrong[1:])).changes if c.kind == "failure"]
    assert [(c.what, c.after, c.again) for c in found] == [
        ("c0", "crash", "xentcheck replay c0 --adapter torch"),
        ("c4 and 2 more", "disagree, divides by all rows [B20]", "xentcheck replay c4 --adapter torch"),
    ]


def test_a_baseline_keeps_the_worst_case_also_where_it_is_a_known_deviation() -> None:
    """Its share and the line that repeats it are those of one comparison."""
    known = record(outcome="deviation", share=6750.0, case="known", replay="again known")
    (span,) = baseline_of([run(record(share=0.25, case="usual", replay="again usual"), known)]).rows.values()
    assert (span.case, span.replay) == ("known", "again known")
    assert span.share[1] == 6750.0


def test_a_grade_is_lower_only_where_the_order_is_known() -> None:
    """By the catalogue of either side; "none" is the lowest, and what is excused beyond its bound only moves."""
    stash, storage, none = (one(shares={"stash": x, "storage": y}) for x, y in ((0.5, 0.5), (1.5, 0.5), (1.5, 1.5)))
    known = {"catalogue": ("stash", "storage")}
    headed = [replace(r, header=replace(r.header, **known)) for r in (stash, storage, none)]
    assert [[c.kind for c in found_in(a, b).changes] for a, b in pairwise(headed)] == [["lower"], ["lower"]]
    assert [c.kind for c in found_in(headed[2], headed[0]).changes] == ["grade"]
    first, second = (baseline_of([r]) for r in headed[:2])
    nameless = [replace(b, header={**b.header, "catalogue": []}) for b in (first, second)]
    assert compare(nameless[0], second).changes[0].again == record().replay
    assert [c.kind for c in compare(*nameless).changes] == ["grade"]
    forms = {"catalogue": ("stash", "storage", "stable")}
    for dtype, kind in (("float32", "moved"), ("float64", "moved"), ("float16", "lower"), ("bfloat16", "lower")):
        sides = [replace(r, records=(replace(r.records[0], dtype=dtype),)) for r in (stash, storage)]
        found = found_in(*(replace(r, header=replace(r.header, **forms)) for r in sides))
        assert [(c.kind, c.before, c.after) for c in found.changes] == [(kind, "stash", "storage")]
    excused = [one(outcome="deviation", share=x) for x in (7.0, 8.0)]
    assert [c.kind for c in found_in(*excused).changes] == ["moved"]
