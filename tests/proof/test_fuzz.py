"""Fuzzing and strategies: problems that an implementation supports; faults found, saved, and run first next time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import xentcheck
from xentcheck.adapters.needs import needed_options
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.cli.main import cli
from xentcheck.errors import AdapterError, CaseError, OutputError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem
from xentcheck.strategies import cases, problems
from xentcheck.studies.fuzzing import Saved, SavedFile
from xentcheck.vocabulary import DTYPES, HEADS, OPTIONS, REDUCTIONS

SOURCE = """
from xentcheck.reference import cross_entropy, cross_entropy_grad

def loss(logits, target, label_smoothing=0.0, upstream=1.0):
    value = cross_entropy(logits, target, label_smoothing=label_smoothing)
    return value, cross_entropy_grad(logits, target, label_smoothing=label_smoothing, upstream=upstream) * FACTOR
"""


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(OPTIONS)), st.sampled_from(HEADS), st.data())
def test_cases_can_be_built_and_need_what_was_allowed(options: set[str], head: str, data: st.DataObject) -> None:
    """Whatever subset of options, on every head; ids round trip."""
    case = data.draw(cases(options=options, heads=[head], dtypes=["float32"]))
    problem = build(case)
    assert problem.head == head
    assert needed_options(problem) <= options
    assert Case.parse(str(case)) == case


def first(strategy: Any, condition: Any) -> Any:
    """Some example, not shrunk."""
    return find(strategy, condition, settings=settings(phases=[Phase.generate], max_examples=2000, deadline=None))


NEEDED = {
    "negative_weight": {"weight"},
    "wide_sentinel": {"ignore_index"},
    "smoothed_probabilities": {"probabilities", "label_smoothing"},
    "signed_targets": {"probabilities"},
}
"""Options that go with another one only."""


def test_strategies_reach_every_option_dtype_and_reduction() -> None:
    """Each can be found, alone."""
    for option in set(OPTIONS) - {"empty_batch"}:
        allowed = {option} | NEEDED.get(option, set())
        assert first(cases(options=allowed), lambda case, o=option: o in needed_options(build(case)))
    assert first(cases(), lambda case: 0 in case.shape)
    for dtype in DTYPES:
        assert first(problems(dtypes=[dtype]), lambda p: True).dtype == dtype
    for reduction in REDUCTIONS:
        assert first(problems(reductions=[reduction]), lambda p: p.weight is not None).reduction == reduction
    for condition in (
        lambda p: np.isneginf(np.asarray(p.logits)).any(),
        lambda p: p.probabilities,
        lambda p: p.probabilities and p.label_smoothing,
        lambda p: p.probabilities and (p.target < 0).any(),
        lambda p: not p.kept.all(),
        lambda p: len(p.logits_shape) == 1,
        lambda p: len(p.logits_shape) == 3,
        lambda p: not p.logits.flags.c_contiguous,
    ):
        assert first(problems(), condition)
    for given_ in ({"dtypes": "float32"}, {"options": ["wings"]}, {"reductions": ["median"]}, {"heads": ["tail"]}):
        with pytest.raises(AdapterError, match=r"^(dtypes|options|reductions|heads) (is|has) .*; allowed: "):
            cases(**given_)  # type: ignore[arg-type]


def values_of(p: Problem, factor: float = 1.0) -> dict[str, Any]:
    """The reference's answer."""
    options: dict[str, Any] = {
        "weight": p.weight,
        "ignore_index": p.ignore_index,
        "reduction": p.reduction,
        "label_smoothing": p.label_smoothing,
    }
    gradient = cross_entropy_grad(p.logits, p.target, **options, upstream=p.upstream)
    value = "loss" if p.reduction == "none" else "cost"
    return {value: cross_entropy(p.logits, p.target, **options), "dC/dz": gradient * np.asarray(factor, p.dtype)}


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_reference_agrees_on_every_problem(p: Problem) -> None:
    """In all dtypes, with every option."""
    with np.errstate(over="ignore"):
        values = values_of(p)
    xentcheck.assert_values_agree(p, values, contract="fused")


def test_a_wrong_value_disagrees_on_the_smallest_problem() -> None:
    """Hypothesis shrinks it; what is no quantity of it is bad input."""

    def disagrees(p: Problem) -> bool:
        try:
            xentcheck.assert_values_agree(p, values_of(p, 1.01), contract="fused")
        except xentcheck.Disagreement:
            return True
        return False

    once = settings(database=None, deadline=None)
    smallest = find(problems(dtypes=["float32"], options=["unbatched"]), disagrees, settings=once, random=Random(0))
    assert smallest.logits_shape in ((1, 2), (2,))
    with pytest.raises(xentcheck.Disagreement, match=r"^mine/eager/cpu/float32 dC/dz of problem: disagree, "):
        xentcheck.assert_values_agree(smallest, values_of(smallest, 1.01), name="mine")
    with pytest.raises(AdapterError, match=r"problem has no quantity 'hvp'; allowed: a, log_a, "):
        xentcheck.assert_values_agree(smallest, {"hvp": 0})
    with pytest.raises(AdapterError, match="nothing to judge"):
        xentcheck.assert_values_agree(smallest, {})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to fuzz in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def fuzz(module: str, *options: str) -> tuple[str, ...]:
    """A command, in this process."""
    return ("fuzz", "--impl", f"{module}:loss", "--framework", "numpy", "--isolation", "none", *options)


def test_what_fails_is_saved_and_run_first(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found, saved, found again at once; no longer saved once it is mended, and by no other implementation."""
    (here / "fuzzed_wrong.py").write_text("FACTOR = 1.25\n" + SOURCE)
    assert cli.main([*fuzz("fuzzed_wrong", "--minutes", "1", "--most", "3")], standalone_mode=False) == 1
    text = capsys.readouterr().out
    lines = (here / ".xentcheck" / "fuzz.txt").read_text().splitlines()
    saved = [line.partition(" ")[0] for line in lines]
    assert len(saved) == 3
    assert {line.partition(" ")[2] for line in lines} == {"--impl fuzzed_wrong:loss --framework numpy"}
    assert f"xentcheck replay {saved[0]} --impl fuzzed_wrong:loss --framework numpy" in text
    assert "FAILED: 3 cases, saved in .xentcheck/fuzz.txt; " in text
    assert cli.main([*fuzz("fuzzed_wrong", "--minutes", "1", "--most", "3")], standalone_mode=False) == 1
    assert "comparisons of 3 cases agree" in capsys.readouterr().out
    (here / "fuzzed_right.py").write_text(SOURCE.replace("FACTOR", "1"))
    assert cli.main([*fuzz("fuzzed_right", "--minutes", "0.01")], standalone_mode=False) == 0
    assert "saved no longer" not in capsys.readouterr().out
    assert (here / ".xentcheck" / "fuzz.txt").read_text().splitlines() == lines
    monkeypatch.setattr("fuzzed_wrong.FACTOR", 1)
    assert cli.main([*fuzz("fuzzed_wrong", "--minutes", "0.01")], standalone_mode=False) == 0
    assert f"no longer failing, and saved no longer: {', '.join(saved)}" in capsys.readouterr().out
    assert (here / ".xentcheck" / "fuzz.txt").read_text() == ""


def test_the_built_in_ones_agree(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NumPy, for a few seconds; nothing is written."""
    assert cli.main(["fuzz", "--adapter", "numpy", "--minutes", "0.05"], standalone_mode=False) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("agreed: ")
    assert not (here / ".xentcheck").exists()


def test_bad_input_is_one_line(here: Path) -> None:
    """A saved file that is none, or cannot be written."""
    (here / "saved.txt").write_text("ties.5x3.f32.index.plain.mean.up-one.contig.s0\nknots\n")
    with pytest.raises(CaseError, match=r"^saved cases saved.txt, line 2: case id 'knots' has 1 fields; allowed: "):
        SavedFile(Path("saved.txt"))
    (here / "bytes.txt").write_bytes(b"\xff")
    with pytest.raises(CaseError, match=r"^saved cases bytes.txt cannot be read: "):
        SavedFile(Path("bytes.txt"))
    saved = SavedFile(Path("absent"))
    saved.path = Path("bytes.txt/x")
    with pytest.raises(OutputError, match=r"^saved cases bytes.txt/x cannot be written: "):
        saved.write([Saved(Case.parse("ties.5x3.f32.index.plain.mean.up-one.contig.s0"), "")])


def test_nothing_compared_is_no_success(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An implementation that supports nothing: every comparison is unsupported."""
    (here / "fuzzed_none.py").write_text(
        "from xentcheck.adapters.numpy.adapter import NumpyAdapter\n"
        "class Nothing(NumpyAdapter):\n"
        "    def unsupported(self, problem): return 'nothing is'\n"
        "loss = Nothing()\n"
    )
    command = ["fuzz", "--impl", "fuzzed_none:loss", "--framework", "numpy", "--isolation", "none"]
    assert cli.main([*command, "--minutes", "0.02"], standalone_mode=False) == 1
    assert "FAILED: no comparison was executed; 0 of 0 comparisons" in capsys.readouterr().out


def test_cases_are_spread() -> None:
    """Few without rows or with a single class; all options and families among a few hundred."""
    drawn: list[Case] = []

    @settings(max_examples=400, database=None, deadline=None, phases=[Phase.generate], derandomize=True)
    @given(cases())
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    assert sum(0 in case.shape for case in drawn) < len(drawn) / 8
    assert sum(case.classes == 1 for case in drawn) < len(drawn) / 8
    assert {case.family for case in drawn} == set(FAMILIES)
    assert {option for case in drawn for option in case.options} >= {"w", "wn", "wz", "wx", "ign", "ign1", "ls", "dir"}


def test_without_hypothesis_it_says_what_to_install(tmp_path: Path) -> None:
    """One line, exit code 2; the rest of xentcheck does not need it."""
    code = (
        "import sys; sys.modules['hypothesis'] = None; "
        "import xentcheck.cli.commands.run; from xentcheck.cli import main; "
        "sys.argv = ['xentcheck', 'fuzz']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "xentcheck: fuzz needs hypothesis, which is not installed: pip install hypothesis\n"
