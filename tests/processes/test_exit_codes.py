"""Exit codes: what each command ends with when all agrees, when something does not, and on bad input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import samples

from xentcheck import adapters
from xentcheck.adapters.spec import resolve
from xentcheck.cases import Case
from xentcheck.cli.main import COMMANDS, cli, main
from xentcheck.errors import AdapterError
from xentcheck.studies.explain import steps
from xentcheck.studies.fuzzing import Fuzzed

MINE = """
from xentcheck.reference import cross_entropy, cross_entropy_grad

def halved(logits, target, upstream=1.0, reduction="mean"):
    gradient = cross_entropy_grad(logits, target, upstream=upstream, reduction=reduction)
    return cross_entropy(logits, target, reduction=reduction), gradient / 2

def fails(logits, target, upstream=1.0):
    raise RuntimeError("no device")

def zeros(logits, target, ignore_index=-100, upstream=1.0, reduction="mean"):
    return logits.sum() * 0, logits * 0
"""
CASE = "gaussian.5x3.f32.index.plain.mean.up-one.contig.s0"
RIGHT = ("--adapter", "numpy")
WRONG = ("--impl", "exits_with:halved", "--framework", "numpy")
FAILS = ("--impl", "exits_with:fails", "--framework", "numpy")
ZEROS = ("--impl", "exits_with:zeros", "--framework", "numpy")
NONE = ("--isolation", "none")
SHAPE = ("--shape", "4,5", "--probes", "2")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with implementations, a profile of one case, neither laws nor probes, and no framework."""
    (tmp_path / "exits_with.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "exits_with", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two files of one size in one second the first is kept
    monkeypatch.setattr("xentcheck.cases.selection.cases", lambda profile, seed: [Case.parse(CASE)])
    monkeypatch.setattr("xentcheck.studies.law_study.laws", lambda *given: iter(()))
    monkeypatch.setattr("xentcheck.studies.probes.probe", lambda *given: iter(()))
    monkeypatch.setattr(adapters, "names", lambda: ("numpy",))
    monkeypatch.setattr(adapters, "available", lambda: {"numpy": adapters.get("numpy")})
    for name in steps.COLUMNS.keys() - {"numpy"}:
        monkeypatch.delitem(steps.COLUMNS, name)


def call(*arguments: str) -> Any:
    """The exit code of a command, in this process."""
    return cli.main(list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ("run", *RIGHT, "--case", CASE)),
        (1, ("run", *WRONG, *NONE, "--case", CASE)),
        (1, ("run", *FAILS, *NONE, "--case", CASE)),
        (1, ("run", *RIGHT, *WRONG, *NONE, "--case", CASE)),
        (0, ("run", "--list-cases")),
        (0, ("replay", CASE, *RIGHT)),
        (1, ("replay", CASE, *WRONG, *NONE)),
        (1, ("replay", CASE, *FAILS, *NONE)),
        (0, ("adapters",)),
        (0, ("grade", "numpy", "--profile", "quick")),
        (1, ("grade", *WRONG, "--profile", "quick")),
        (1, ("grade", *FAILS, "--profile", "quick")),
        (0, ("accuracy", *RIGHT, "--dtype", "float16", "--rounds", "0")),
        (1, ("accuracy", *FAILS, "--dtype", "float16", "--rounds", "0")),
        (0, ("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4,5")),
        (1, ("audit", "--atol", "1", "--rtol", "1e-6", "--shape", "4,5")),
        (0, ("project", "numpy", *SHAPE)),
        (1, ("project", *WRONG, *SHAPE)),
        (1, ("project", "numpy", "--shape", "4,1", "--probes", "2")),
        (1, ("run", *ZEROS, *NONE, "--case", CASE)),
        (0, ("explain",)),
        (0, ("explain", "--steps")),
        (2, ()),
    ],
    ids=lambda value: value if isinstance(value, int) else " ".join(value)[:40],
)
def test_each_command_ends_with_its_code(code: int, arguments: tuple[str, ...]) -> None:
    """0 for agreement, 1 for anything else that was found: alone this calls every command."""
    assert call(*arguments) == code


def test_a_replay_that_decides_nothing_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Weights on a loss without weights, conventions, one class: no agreement, and why is told; a decided one is 0."""
    Path("exits_with.py").write_text(
        MINE + "def plain(logits, target, upstream=1.0):\n    return halved(logits, target)\n"
    )
    sys.modules.pop("exits_with", None)
    weighted = CASE.replace("plain", "w")
    assert call("replay", weighted, "--impl", "exits_with:plain", "--framework", "numpy", *NONE) == 1
    assert "nothing was decided: cost, dC/dz: unsupported" in capsys.readouterr().out
    for case, why in (
        (CASE.replace("5x3", "0x10"), "a convention, which is not judged"),
        (CASE.replace("plain", "allign"), "a convention, which is not judged"),
        (CASE.replace("5x3", "5x1"), "zero is right, or there are no elements"),
        (CASE.replace("gaussian", "saturated-hit"), "a result of zeros would pass as well"),
    ):
        assert call("replay", case, *ZEROS, *NONE) == 1
        assert why in capsys.readouterr().out.partition("nothing was decided: ")[2]
    assert call("replay", weighted, *RIGHT) == 0


def test_selected_cases_of_which_nothing_could_have_failed_end_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One class has a loss and a gradient of zeros: whatever returns zeros would pass."""
    single = CASE.replace("5x3", "5x1")
    monkeypatch.setattr("xentcheck.cases.selection.cases", lambda profile, seed: [Case.parse(single)])
    assert call("run", *ZEROS, *NONE, "--case", "*.5x1.*") == 1
    assert "\nzeros eager cpu float32: no cost or dC/dz could have failed\n" in capsys.readouterr().out


def test_a_grade_beside_a_broken_law_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """All comparisons agree, and the run does not: alone this grades what breaks a law."""
    monkeypatch.setattr("xentcheck.studies.law_study.laws", lambda *given: iter([samples.law(share=2.0)]))
    assert call("grade", "numpy", "--profile", "quick") == 1


def test_compare_ends_with_1_if_something_got_worse() -> None:
    """From a right run to a wrong one of the same name, and not back: alone this compares two runs by command."""
    for name, factor in (("right", 1), ("wrong", 2)):
        Path("exits_with.py").write_text(MINE.replace("gradient / 2", f"gradient / {factor}"))
        sys.modules.pop("exits_with", None)
        resolve.cache_clear()
        assert call("run", *WRONG, *NONE, "--out", f"{name}.jsonl") == factor - 1
    for base, new, code in (("right", "right", 0), ("right", "wrong", 1), ("wrong", "right", 0)):
        assert call("compare", f"{base}.jsonl", f"{new}.jsonl") == code


def test_an_adapter_that_fails_ends_the_list_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are listed."""

    def get(name: str) -> Any:
        raise AdapterError("it fails")

    monkeypatch.setattr(adapters, "get", get)
    assert call("adapters") == 1


@pytest.mark.parametrize(
    ("agreeing", "failing", "trivial", "code"), [(3, 0, 0, 0), (3, 1, 0, 1), (0, 0, 0, 1), (3, 0, 9, 0), (0, 0, 9, 1)]
)
def test_fuzz_ends_with_1_if_a_case_fails_or_none_could_have(
    agreeing: int, failing: int, trivial: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found decides, not how long it took."""
    from samples import record

    found = Fuzzed(cases=3, failing=[record(outcome="error")] * failing)
    found.counts.update({"agree": agreeing, "error": failing, "trivial": trivial})
    monkeypatch.setattr("xentcheck.studies.fuzzing.fuzz", lambda *given, **named: found)
    assert call("fuzz", *RIGHT) == code


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_bad_input_ends_every_command_with_2(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, before anything is run."""
    monkeypatch.setattr(sys, "argv", ["xentcheck", command, "--no-such-option"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("xentcheck: No such option")
    assert told.count("\n") == 1


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (1, 1), (None, 0)])
def test_main_hands_on_what_a_command_returns(returned: int | None, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command returns is what a shell sees."""
    monkeypatch.setattr(type(cli), "main", lambda *given, **named: returned)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
