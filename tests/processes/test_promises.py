"""Contracts that somebody names: on the command line, in Python and under pytest; what replays them says so."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.promises import parsed, promised, promising
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.cases import Case
from xentcheck.cli.main import cli
from xentcheck.errors import AdapterError
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reference.bounds.contracts import CATALOGUE, DEFAULT
from xentcheck.reproduce import replay as command_replay
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.running.subjects import subjects_of
from xentcheck.running.tasks import CaseGroup
from xentcheck.studies.fuzzing import Fuzzed

pytest_plugins = ["pytester"]

MINE = """
import numpy as np
from xentcheck.adapters import from_numpy

def stored(logits, target, upstream=1.0):
    "Keeps log a in storage, which `stash` allows and `fused` does not."
    z = logits.astype(np.float32)
    z = z - z.max(1, keepdims=True)
    log_a = (z - np.log(np.exp(z).sum(1, keepdims=True))).astype(logits.dtype).astype(np.float32)
    y = np.eye(z.shape[1], dtype=np.float32)[target]
    gradient = (np.exp(log_a) - y) * (np.float32(upstream) / np.float32(len(z)))
    return -(log_a * y).sum(1).mean(dtype=np.float32).astype(logits.dtype), gradient.astype(logits.dtype)

promised = from_numpy(stored, name="promised", reductions=["mean"], options=["upstream"], contract="stash")
"""
CASE = "gaussian.5x10.bf16.index.plain.mean.up-one.contig.s0"
OTHER = CASE.replace("bf16", "f32")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an implementation, which the process is in."""
    (tmp_path / "stored_here.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stored_here", raising=False)
    return tmp_path


def run(*arguments: str) -> tuple[int, list[Record]]:
    """`xentcheck run` on the two cases, in this process: its exit code and its records."""
    code = cli.main(["run", *arguments, "--case", CASE, "--case", OTHER, "--out", "run.jsonl"], standalone_mode=False)
    return code, list(RunFile.load(Path("run.jsonl")).records)


def contracts(records: list[Record]) -> dict[str, set[str]]:
    """What the records of each dtype are judged by."""
    return {dtype: {r.contract for r in records if r.dtype == dtype} for dtype in {r.dtype for r in records}}


IMPL = ("--impl", "stored_here:stored", "--framework", "numpy")
NONE = ("--isolation", "none")
OWN = adapters.get("numpy").contract_for("cpu", "float32", "cost")
"""What the NumPy adapter declares, for every dtype."""


@pytest.mark.parametrize(
    ("chosen", "given", "found"),
    [
        (("--adapter", "numpy"), (), {"bfloat16": {OWN}, "float32": {OWN}}),
        (("--adapter", "numpy"), ("stable",), {"bfloat16": {"stable"}, "float32": {"stable"}}),
        (("--adapter", "numpy"), ("bfloat16=stash",), {"bfloat16": {"stash"}, "float32": {OWN}}),
        ((*IMPL, *NONE), (), {"bfloat16": {DEFAULT}, "float32": {DEFAULT}}),
        ((*IMPL, *NONE), ("stash", "bfloat16=storage"), {"bfloat16": {"storage"}, "float32": {"stash"}}),
        ((*IMPL, *NONE), ("bfloat16=storage",), {"bfloat16": {"storage"}, "float32": {DEFAULT}}),
        (
            ("--impl", "stored_here:promised", "--framework", "numpy", *NONE),
            ("float32=fused-lse",),
            {"bfloat16": {"stash"}, "float32": {"fused-lse"}},
        ),
    ],
    ids=["built-in", "built-in all", "built-in one dtype", "nothing", "both", "one dtype", "one of its own"],
)
def test_what_is_named_beats_what_is_declared(
    mine: Path, chosen: tuple[str, ...], given: tuple[str, ...], found: dict[str, set[str]]
) -> None:
    """For the dtypes that it names; the others keep what the adapter says, or the default."""
    assert contracts(run(*chosen, *(word for name in given for word in ("--contract", name)))[1]) == found


def test_a_later_promise_beats_an_earlier_one() -> None:
    """One for all dtypes beats that of a single one, too; one for another dtype leaves it."""
    once = promising(adapters.get("numpy"), promised({"bfloat16": "storage-accumulate"}))
    for given, found in (("fused", "fused"), ({"float16": "fused"}, "storage-accumulate")):
        assert promising(once, promised(given)).contract_for("cpu", "bfloat16", "loss") == found


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_the_printed_command_repeats_the_verdict(
    mine: Path, isolation: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same outcome, contract, bound and share, also where another contract gives another verdict."""
    seen: list[Record] = []
    whole = command_replay.run_case

    def watched(*given: Any) -> list[Record]:
        seen.extend(found := whole(*given))
        return found

    monkeypatch.setattr(command_replay, "run_case", watched)
    for given, expected in ((("bfloat16=stash", "fused"), 0), (("fused",), 1)):
        some = [word for name in given for word in ("--contract", name)]
        code, records = run(*IMPL, "--isolation", isolation, *some)
        assert code == expected
        for record in records:
            seen.clear()
            words = shlex.split(record.replay)
            assert words[0] == "xentcheck"
            outcome = cli.main([*words[1:], "--isolation", isolation], standalone_mode=False)
            *_, again = (r for r in seen if r.quantity == record.quantity)
            graded = again.outcome == "disagree"  # what agrees is not asked for its share under other contracts
            assert again == (record if graded else replace(record, shares=again.shares))
            assert again.shares[again.contract] == record.share
            assert outcome == any(r.outcome == "disagree" for r in seen)
    assert "under fused" in capsys.readouterr().out


def test_python_and_other_processes_find_the_same(mine: Path) -> None:
    """check, the command line, a worker process and a spawned one: the same records, to the last bit."""
    import stored_here

    some = {"bfloat16": "stash", "float32": "fused"}
    spec = Spec("stored_here:stored", "numpy", contracts=promised(some))
    group = CaseGroup("", (Case.parse(CASE), Case.parse(OTHER)))
    here = next(execute([group], subjects_of(resolve(spec), None, spec.command))).records
    assert contracts(here) == {"bfloat16": {"stash"}, "float32": {"fused"}}
    (spawned,) = execute_parallel([group], Asked((spec,)), 1)
    assert spawned.records == here
    own_process = resolve(Spec(spec.name, "numpy", 30.0, spec.contracts))
    assert next(execute([group], subjects_of(own_process, None, spec.command))).records == here
    named = execute([group], subjects_of(adapter_of(stored_here.stored, "numpy", contract=some)))
    assert next(named).records == here


def test_a_function_of_this_process_replays_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    """The line is an expression, and judges by what was named."""

    def local(logits: Any, target: Any, upstream: Any = 1.0) -> Any:
        value, gradient = adapters.get("numpy").function(logits, target, upstream=upstream)  # type: ignore[attr-defined]  # NumPy's
        return value, (gradient.astype(np.float32) * np.float32(1.008)).astype(gradient.dtype)

    for contract, code in (("fused", 1), ({"bfloat16": "storage-accumulate"}, 0)):
        adapter = adapters.from_numpy(local, reductions=["mean"], contract=contract)
        (subject,) = subjects_of(adapter)
        line = subject.replay(Case.parse(CASE))
        assert line.endswith(f", contract={contract!r})")
        for other in (adapter, adapters.from_numpy(local, reductions=["mean"])):
            assert eval(line, {"xentcheck": xentcheck, "local": other}) == code
    assert "under storage-accumulate" in capsys.readouterr().out


def test_scripts_hold_the_bound_of_the_contract(mine: Path) -> None:
    """The smallest failure is looked for, and written down, under the contract that was named."""
    arguments = ["replay", CASE, *IMPL, *NONE, "--script", "repro.py"]
    assert cli.main([*arguments, "--contract", "stash"], standalone_mode=False) == 0
    assert not Path("repro.py").exists()
    assert cli.main([*arguments, "--contract", "fused"], standalone_mode=False) == 1
    assert "dC/dz of stored" in Path("repro.py").read_text()


def test_fuzz_grade_and_project_judge_by_it(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command takes the option, with a name, without one, and for the adapters that it takes by itself."""
    requests = []

    def fuzz(subjects: Any, *rest: Any, **more: Any) -> Any:
        requests.append(subjects)
        return Fuzzed()

    monkeypatch.setattr("xentcheck.studies.fuzzing.fuzz", fuzz)
    monkeypatch.setattr(adapters, "available", lambda: {"numpy": adapters.get("numpy")})
    cli.main(["fuzz", "--contract", "storage"], standalone_mode=False)
    cli.main(["fuzz", "--adapter", "numpy", "--contract", "float32=stash"], standalone_mode=False)
    every, one = requests
    assert {s.adapter.contract_for(s.device, "float32", "cost") for s in every} == {"storage"}
    assert [s.adapter.contract_for("cpu", d, "cost") for s in one for d in ("float32", "float64")] == ["stash", OWN]
    assert one[0].command == "--adapter numpy --contract float32=stash"
    shares = [
        xentcheck.check_projection("numpy", (4, 101), probes=1, contract=name).value_share for name in (None, "stable")
    ]
    assert shares[0] > shares[1]
    capsys.readouterr()
    arguments = ["project", "numpy", "--shape", "4,101", "--probes", "1", "--contract", "stable"]
    assert cli.main(arguments, standalone_mode=False) == 0
    assert f"losses at {shares[1]:.3g} of their bound" in " ".join(capsys.readouterr().out.split())


def test_grade_says_what_it_is_judged_by(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract that is exceeded ends with exit code 1."""
    from xentcheck.cases.profiles import named as profiles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "quick", lambda *given: [Case.parse(CASE)], raising=False)
        patch.setattr("xentcheck.cases.selection.cases", lambda profile, seed: [Case.parse(CASE)])
        arguments = ["grade", *IMPL, "--profile", "quick", "--contract"]
        assert cli.main([*arguments, "fused"], standalone_mode=False) == 1
        assert cli.main([*arguments, "bfloat16=storage"], standalone_mode=False) == 0
    assert " storage " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("swift", f"unknown contract 'swift'; allowed: {', '.join(CATALOGUE)}"),
        ({"bfloat16": "swift"}, f"unknown contract 'swift'; allowed: {', '.join(CATALOGUE)}"),
        ({"int8": "fused"}, "contract for dtype 'int8', which is not judged; allowed: float64, "),
        ({}, "contract has no dtype; allowed: a contract for some of float64, "),
        (["fused"], "contract is of type list; allowed: a name, or a dict of dtype to name"),
        ("", "unknown contract ''; allowed: "),
    ],
)
def test_what_is_no_contract_is_refused(given: Any, text: str) -> None:
    """One line, wherever it is given in Python."""
    for use in (
        lambda: xentcheck.check("numpy", contract=given),
        lambda: adapters.from_numpy(print, contract=given),
        lambda: adapter_of("numpy", contract=given),
        lambda: xentcheck.replay(adapters.get("numpy"), CASE, contract=given),
        lambda: xentcheck.check_projection("numpy", (2, 2), contract=given),
    ):
        with pytest.raises(AdapterError) as caught:
            use()
        assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["swift"], "--contract: unknown contract 'swift'; allowed: "),
        (["int8=fused"], "--contract: contract for dtype 'int8', which is not judged; allowed: float64, "),
        (["=fused"], "--contract '=fused' has no dtype; allowed: NAME, or DTYPE=NAME"),
        (["bfloat16="], "--contract: unknown contract ''; allowed: "),
        (["fused", "stash"], "--contract is given twice for all dtypes; allowed: one contract each"),
        (["float16=fused", "float16=fused"], "--contract is given twice for float16; allowed: one contract each"),
    ],
)
def test_what_is_no_contract_on_the_command_line_is_refused(given: list[str], text: str) -> None:
    """One line, and exit code 2 by every command, which raise it before anything is run."""
    some = [word for name in given for word in ("--contract", name)]
    for command in (["run"], ["fuzz"], ["grade", "numpy"], ["replay", CASE], ["project", "numpy", "--shape", "2,2"]):
        with pytest.raises(AdapterError) as caught:
            cli.main([*command, *some], standalone_mode=False)
        assert str(caught.value).startswith(text)
    with pytest.raises(AdapterError):
        parsed(given, "--contract")


def test_pytest_judges_by_it(mine: Path, pytester: pytest.Pytester) -> None:
    """From the command line, and from the ini file; the printed line has it, and a bad one is a usage error."""
    pytester.makepyfile(stored_here=MINE)
    named = {"impl": "stored_here:stored", "framework": "numpy", "isolation": "none", "case": CASE}
    arguments = [word for name, value in named.items() for word in (f"--xentcheck-{name}", value)]
    run = ("--pyargs", "xentcheck.conformance", *arguments, "-k", "not laws")
    both = ("--xentcheck-contract", "bfloat16=stash", "--xentcheck-contract", "fused")
    right = pytester.runpytest_subprocess(*run, *both)
    assert right.ret == pytest.ExitCode.OK
    bad = pytester.runpytest_subprocess(*run, "--xentcheck-contract", "swift")
    assert bad.ret == pytest.ExitCode.USAGE_ERROR
    assert "--xentcheck-contract: unknown contract 'swift'; allowed: " in bad.stderr.str()
    pytester.makeini("[pytest]\nxentcheck_contract = fused\n")
    wrong = pytester.runpytest_subprocess(*run)
    assert wrong.ret == pytest.ExitCode.TESTS_FAILED
    wrong.stdout.fnmatch_lines([f"*xentcheck replay {CASE} * --contract fused --device cpu*"])
