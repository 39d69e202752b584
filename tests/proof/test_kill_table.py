"""The kill table: what catches each planted fault first, and what other checks make of it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from samples import fault, record, run

from xentcheck.api import Run
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.cli.commands import faults as command_faults
from xentcheck.cli.commands.faults import faults_command
from xentcheck.cli.main import cli
from xentcheck.errors import OutputError
from xentcheck.museum.catalogue import MUSEUMS, Planted, planted
from xentcheck.records.findings import RIGHT, FaultResult
from xentcheck.reports.formats.markdown import markdown
from xentcheck.reports.sections.faults import fault_section, fault_text
from xentcheck.running.collect import collect
from xentcheck.running.deviations import Deviations
from xentcheck.running.tasks import Finished, run_task
from xentcheck.studies.kill_table import faults, rivals
from xentcheck.studies.kill_table.faults import FaultSearch, by_name, first_kill, result_of, witnesses
from xentcheck.studies.kill_table.rivals import RIVALS, verdicts

QUICK = tuple(cases("quick"))


@pytest.fixture
def only() -> Iterator[pytest.MonkeyPatch]:
    """Profiles of a few cases, which blind the hunt."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def blinded(patch: pytest.MonkeyPatch, *families: str) -> None:
    patch.setattr(faults, "_cases", lambda profile: tuple(c for c in QUICK if c.family in families))


FEW = ("A01-no-shift", "B20-divides-by-all-rows", "E54-zero-gradient", "J06-gradient-in-a-static-buffer")
"""Faults that stand for all: of a value and a gradient, of a gradient, and of a law."""


def few(patch: pytest.MonkeyPatch) -> None:
    """A museum of few faults and the right implementation."""
    chosen = {name: p for name, p in by_name("numpy").items() if name in (*FEW, RIGHT)}
    patch.setattr(faults, "by_name", lambda framework: chosen)


def test_the_first_case_and_its_check_are_named() -> None:
    """What is named does catch the fault, and no case before it does."""
    found = by_name("numpy")["A01-no-shift"]
    kill = first_kill(found, QUICK)
    assert kill is not None
    check, case = kill
    before = [c for c in QUICK[: [str(c) for c in QUICK].index(case)] if found.meets(c)]
    assert before
    assert first_kill(found, before) is None
    assert first_kill(found, [Case.parse(case)]) == (check, case)


def test_the_right_implementation_is_caught_by_nothing(only: pytest.MonkeyPatch) -> None:
    """It stands in the table under its own name, and would fail it if a profile raised an alarm."""
    blinded(only, "ties")
    assert result_of(by_name("numpy")[RIGHT], ("quick",), rivals=False).ok
    assert not fault(fault=RIGHT).ok


def test_a_fault_that_a_profile_misses_is_said(only: pytest.MonkeyPatch) -> None:
    """Without the cases that expose it a fault slips through, and its result says so."""
    blinded(only, "ties")
    result = result_of(by_name("numpy")["A01-no-shift"], ("quick",), rivals=False)
    assert not result.ok
    assert str(result) == "numpy: the planted fault A01-no-shift is missed by quick"
    assert result_of(by_name("numpy")["E54-zero-gradient"], ("quick",), rivals=False).ok


def test_a_missed_fault_is_exit_code_1(only: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the table, the counts, and each fault that slipped through."""
    few(only)
    blinded(only, "ties")
    code = cli.main(["faults", "--framework", "numpy", "--profile", "quick"], standalone_mode=False)
    out = capsys.readouterr().out
    assert code == 1
    assert "numpy: the planted fault A01-no-shift is missed by quick" in out
    assert re.search(rf"quick catches [1-{len(FEW) - 1}] of {len(FEW)}\.", out)
    assert "ties.5x1003.f32.index.plain.none.up-rand.contig.s0" in out


def test_a_table_that_cannot_be_written_is_told_before_the_hunt(tmp_path: Path) -> None:
    """A folder in its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_faults, "execute", lambda *args: pytest.fail("it hunts first"))
        with pytest.raises(OutputError, match="cannot be written"):
            faults_command(["numpy"], ["quick"], rivals=False, jobs=1, out=tmp_path)


def test_what_is_caught_is_written(only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit code 0 and a row for each fault; the law that a static buffer breaks is named."""
    few(only)
    blinded(only, "ties", "common-offset")
    out = tmp_path / "museum.md"
    code = cli.main(["faults", "--framework", "numpy", "--profile", "quick", "--out", str(out)], standalone_mode=False)
    text = out.read_text()
    assert code == 0
    assert f"quick catches {len(FEW)} of {len(FEW)}." in text
    assert text.count("| numpy |") == len(FEW) + 1
    assert "law independent" in text


def test_what_misses_a_contract_is_missed() -> None:
    """A fault that only one of its contracts rejects does not count as caught."""
    weak = replace(by_name("numpy")["A02-recombined-offset"].fault, honest="fused-lse")
    assert first_kill(Planted(weak, "numpy"), [c for c in QUICK if weak.among(c)]) is None
    assert witnesses(Planted(weak, "numpy"), QUICK) == {}
    case = [c for c in QUICK if str(c) == "common-offset.5x10.f32.index.plain.mean.up-one.contig.s0"]
    assert witnesses(by_name("numpy")["A02-recombined-offset"], case) == {"value": str(case[0])}


def test_the_catalogue_has_every_fault_once() -> None:
    """At least 60 faults in each framework, each with a sentence on what is wrong."""
    for framework in MUSEUMS:
        found = planted(framework)
        assert len({p.fault.name for p in found}) == len(found) > 60
        assert all(p.text.endswith(".") for p in found)


def test_a_run_with_a_missed_fault_fails() -> None:
    """The run file carries the faults, and the run is not ok with one that slipped through."""
    task = FaultSearch("numpy", "E54-zero-gradient", ("quick",), rivals=False)
    good = run_task(task, ())
    bad = Finished(task, (fault(kills={}),), 0.0)
    for done, reasons in ((good, ()), (bad, ("torch: the planted fault E54-zero-gradient is missed by quick",))):
        all_done = iter([Finished(task, (record(),), 0.0), done])
        made = Run(collect(run(record()).header, all_done, Deviations([])))
        assert made.file.faults == done.findings
        assert made.verdict.reasons == reasons
        assert made.ok == (not reasons)


def test_results_survive_json() -> None:
    """What is written is read again; other shapes are refused."""
    assert FaultResult.from_json(fault().to_json()) == fault()
    for wrong in ({"kills": {"quick": "x"}}, {"issue": 1}, {"more": ""}):
        with pytest.raises((TypeError, ValueError)):
            FaultResult.from_json(fault().to_json() | wrong)


def test_the_table_says_who_missed_what() -> None:
    """A column for each profile and each other check; what was not asked is a dash."""
    found = [fault(), fault(fault="E99-new", kills={}, rivals={}), fault(fault=RIGHT, kills={}, rivals={})]
    section = fault_section(found)
    columns, rows = [column.title for column in section.columns], section.rows
    by = columns.index("quick: by")
    assert [row[by] for row in rows] == ["bound of dC/dz", "missed", "no alarm"]
    assert [row[columns.index("gradcheck fast")] for row in rows] == ["missed", "-", "-"]
    assert fault_text(found) == "quick catches 1 of 2; assert_close 1 of 1; gradcheck fast 0 of 1."
    assert fault_text([]) == ""


def test_a_report_without_faults_has_no_section() -> None:
    """The section is there if faults were planted."""
    assert "Planted faults" not in markdown(run())


@pytest.fixture
def judged(request: pytest.FixtureRequest, only: pytest.MonkeyPatch) -> None:
    """The cases that other checks are asked about: few of one family, of which differences are taken of the small
    ones only; or all, nightly.
    """
    if request.param != "all":
        few = [c for c in QUICK if c.family == "gaussian" and c.shape in rivals.SHAPES]
        only.setattr(rivals, "cases", lambda profile: few)
        chosen = rivals._judged.__wrapped__()
        only.setattr(rivals, "_judged", lambda: chosen)
        only.setattr(rivals, "SHAPES", rivals.SHAPES[1:])
        only.setattr(rivals, "false_alarms", rivals.false_alarms.__wrapped__)


@pytest.mark.parametrize("judged", ["few", pytest.param("all", marks=pytest.mark.nightly)], indirect=True)
@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_other_checks_are_asked_about_the_same_fault(framework: str) -> None:
    """A gradient of zeros is noticed by all of them; recombining an offset by none that compares with differences."""
    pytest.importorskip(framework)
    names = [r.name for r in RIVALS if r.framework == framework]
    assert verdicts(by_name(framework)["B23-backward-always-divides"]) == dict.fromkeys(names, "caught")
    blind = verdicts(by_name(framework)["B20-divides-by-all-rows"])
    assert {name for name, verdict in blind.items() if verdict == "missed"} == set(names) - {"assert_close"}


def test_fast_gradcheck_accepts_a_gradient_of_zeros() -> None:
    """Of a mean over 64x1024 logits, whatever the seed: what the text of the table says."""
    torch = pytest.importorskip("torch")

    class Zero(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the test
        @staticmethod
        def forward(ctx: object, z: object, y: object) -> object:
            return torch.nn.functional.cross_entropy(z, y)

        @staticmethod
        def backward(ctx: object, upstream: object) -> object:
            return torch.zeros(64, 1024, dtype=torch.float64), None

    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(64, 1024, dtype=torch.float64, generator=generator).requires_grad_()
        y = torch.randint(1024, (64,), generator=generator)
        assert torch.autograd.gradcheck(lambda x, y=y: Zero.apply(x, y), (z,), fast_mode=True)


def test_the_page_shows_todays_museum() -> None:
    """Each fault has its row in docs/museum.md, no other has, and nothing else of it is out of date."""
    root = Path(__file__).parents[2]
    written = root / "docs" / "museum.md"
    if not written.is_file():
        pytest.skip("the docs are not installed")
    text = written.read_text(encoding="utf-8")
    named = re.findall(r"^\| ([A-L]\d\S*) \|", text, re.MULTILINE)
    assert named == sorted({p.fault.name for framework in MUSEUMS for p in planted(framework) if p.fault.caught})
    made = runpy.run_path(str(root / "benchmarks" / "museum_page.py"))["page"]()
    assert text == made, "python benchmarks/museum_page.py writes it anew"
