"""Comparing runs: each kind of change is told, what the machine cannot reproduce is not, and worse is exit code 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples import probe, record, run

import xentcheck
from xentcheck.cli import cli
from xentcheck.museum.catalogue import planted
from xentcheck.reports.compare import KINDS, compare
from xentcheck.reports.runfile import RunFile, RunWriter


def one(**changes: Any) -> RunFile:
    """A run of one comparison."""
    return run(record(**{"share": 0.5, "ulp": 2.0, "shares": {"fused": 0.5}, **changes}))


BASE = one()
CHANGES = {
    "worse": [run(record(share=0.6, ulp=2.0)), run(record(share=0.5, ulp=3.0)), one(outcome="disagree")],
    "better": [run(record(share=0.4, ulp=2.0)), run(record(share=0.5, ulp=1.0))],
    "new": [run(*BASE.records, record(case="b"))],
    "gone": [run()],
    "answer": [one(outcome="vacuous")],
    "grade": [one(shares={"fused": 1.5, "stash": 0.5})],
    "failure": [replace(BASE, failures=("deviation x matches no comparison",))],
}


@pytest.mark.parametrize(("kind", "number"), [(kind, i) for kind, runs in CHANGES.items() for i in range(len(runs))])
def test_each_kind_of_change_is_told(kind: str, number: int) -> None:
    """It is found, alone of its kind, and only what is worse fails."""
    header = replace(BASE.header, catalogue=("fused", "stash"))
    base = replace(BASE, header=header)
    found = compare([base], replace(CHANGES[kind][number], header=header))
    assert kind in {change.kind for change in found.changes}
    assert found.ok == (kind not in ("worse", "failure"))
    assert f"1 {kind}" in found.verdict


def test_every_kind_has_a_test() -> None:
    """The table above leaves none out."""
    assert set(CHANGES) == set(KINDS)


def test_nothing_changes_between_a_run_and_itself() -> None:
    """Whatever the order of its records."""
    convention = record(case="c", outcome="convention", reason="all-ignored: nan", share=None)
    both = run(record(), record(case="b"), convention)
    turned = replace(both, records=both.records[::-1])
    assert compare([both], turned).changes == ()
    assert compare([both], turned).verdict == "nothing changed"


def test_a_failure_that_goes_away_is_better_and_one_that_stays_is_nothing() -> None:
    """Only changes are told."""
    bad = one(outcome="disagree")
    assert [c.kind for c in compare([bad], BASE).changes] == ["better"]
    assert compare([bad], bad).changes == ()


def test_nan_is_worse_than_any_number() -> None:
    """And stays what it was."""
    wrong = run(record(share=float("nan"), ulp=2.0))
    assert [c.kind for c in compare([run(record(share=0.5, ulp=2.0))], wrong).changes] == ["worse"]
    assert compare([wrong], wrong).changes == ()


@pytest.mark.parametrize(("share", "kinds"), [(0.3, ["better"]), (0.4, []), (0.45, []), (0.5, []), (0.51, ["worse"])])
def test_what_runs_of_one_installation_span_is_no_change(share: float, kinds: list[str]) -> None:
    """The range of all runs of the base, and not a knob, says what the machine cannot reproduce."""
    base = [run(record(share=x, ulp=2.0)) for x in (0.4, 0.5)]
    assert [c.kind for c in compare(base, run(record(share=share, ulp=2.0))).changes] == kinds


def test_changed_answers_to_probes_are_told() -> None:
    """By the same implementation; those of another one are no change."""
    base = replace(BASE, probes=(probe(), probe(adapter="torch", value="0")))
    new = replace(BASE, probes=(probe(value="inf"), probe(adapter="other", value="1")))
    (change,) = compare([base], new).changes
    assert (change.kind, change.where.partition("/")[0]) == ("answer", probe().adapter)


def test_versions_and_settings_that_differ_are_told() -> None:
    """They are no change by themselves."""
    header = replace(BASE.header, environment={"python": "3.11", "adapters": {"jax": {"version": "0.9"}}})
    other = replace(BASE.header, environment={"python": "3.11", "adapters": {"jax": {"version": "0.10"}}})
    found = compare([replace(BASE, header=header)], replace(BASE, header=other))
    assert [(c.what, c.before, c.after) for c in found.versions] == [("adapters jax version", "0.9", "0.10")]
    assert found.changes == ()


def written(path: Path, whole: RunFile) -> str:
    with RunWriter(path, whole.header) as writer:
        for r in whole.records:
            writer.add(r)
        for text in whole.failures:
            writer.failure(text)
    return str(path)


def test_the_command_says_it_in_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for nothing, 1 for worse; Markdown on request, which hostile text cannot break."""
    base = written(tmp_path / "base.jsonl", BASE)
    worse = written(tmp_path / "worse.jsonl", one(share=0.6))
    page = tmp_path / "page.md"
    assert cli.main(["compare", base, base], standalone_mode=False) == 0
    assert capsys.readouterr().out == "nothing changed\n"
    assert cli.main(["compare", base, worse, "--markdown", str(page)], standalone_mode=False) == 1
    assert "0.5 of the bound, 2 ULP -> agree, 0.6 of the bound" in capsys.readouterr().out
    assert page.read_text().startswith("**WORSE: 1 worse**\n\n| change |")
    assert cli.main(["compare", base, worse, "--repeat", worse], standalone_mode=False) == 0


def test_runs_of_numpy_do_not_differ_and_a_planted_fault_always_does() -> None:
    """Two runs of one installation are equal; with any fault in NumPy's museum something got worse."""
    right, *faults = [p for p in planted("numpy") if p.fault.dtype == "float32" and p.found_in == "logits"]
    base = xentcheck.check(right.adapter(), dtypes=["float32"]).file
    assert compare([base], xentcheck.check(right.adapter(), dtypes=["float32"]).file).changes == ()
    for fault in faults[::16]:
        wrong = fault.adapter()
        wrong.name = base.records[0].adapter
        assert not compare([base], xentcheck.check(wrong, dtypes=["float32"]).file).ok
