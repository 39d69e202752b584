"""The Python interface: check, assert_agrees, Run; and a matrix that can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.cases import Case
from xentcheck.errors import AdapterError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.environment import environment
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.accuracy import largest_errors
from xentcheck.studies.projection.check import check_projection
from xentcheck.vocabulary import DTYPES


def right(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The reference itself."""
    upstream = options.pop("upstream", 1.0)
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=upstream, **options)


def wrong(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """A gradient a thousandth too large."""
    loss, gradient = right(logits, target, **options)
    return loss, gradient * gradient.dtype.type(1.001)


@pytest.mark.usefixtures("ordinary")
def test_a_right_function_agrees() -> None:
    """check says ok, its summary says so in words, and assert_agrees is silent."""
    adapter = adapters.from_numpy(right)
    run = xentcheck.check(adapter, dtypes=["float32"])
    assert run.ok
    assert run.summary().startswith("agreed: ")
    assert {record.dtype for record in run.records} == {"float32"}
    xentcheck.assert_agrees(adapter, dtypes=["float32"])


@pytest.mark.usefixtures("ordinary")
def test_a_wrong_function_raises_with_all_that_is_needed() -> None:
    """Disagreement is an AssertionError and names case, index, numbers and replay."""
    with pytest.raises(AssertionError) as caught:
        xentcheck.assert_agrees(adapters.from_numpy(wrong), dtypes=["float64"])
    assert isinstance(caught.value, xentcheck.Disagreement)
    for part in ("FAILED", "wrong/eager/cpu/float64 dC/dz of ", "got ", "exact ", "bound ", "ULP", "replay"):
        assert part in str(caught.value)


def test_the_replay_line_finds_the_function_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A command for what another process can import; Python, which works, for a local function."""
    case = "gaussian.5x3.f32.index.plain.mean.up-one.contig.s0"

    def local(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        return wrong(logits, target, **options)

    lines = {}
    for function in (wrong, local):
        adapter = adapters.from_numpy(function)
        (subject,) = subjects_of(adapter, ["cpu"])
        lines[function.__name__] = subject.replay(Case.parse(case))
    assert lines["wrong"].startswith(f"xentcheck replay {case} --impl {__name__}:wrong --framework numpy --device cpu")
    place = 'framework="numpy", device="cpu", variant="eager"'
    assert lines["local"] == f'xentcheck.replay(local, "{case}", {place})'
    for at_hand in (adapters.from_numpy(local), local):
        assert eval(lines["local"], {"xentcheck": xentcheck, "local": at_hand}) == 1
        assert "dC/dz: disagree" in capsys.readouterr().out
    (nameless,) = subjects_of(adapter_of(lambda logits, target: wrong(logits, target), "numpy"), ["cpu"])
    assert nameless.replay(Case.parse(case)) == f'xentcheck.replay(implementation, "{case}", {place})'


@pytest.mark.usefixtures("ordinary")
def test_what_is_not_declared_is_unsupported_and_not_agreement() -> None:
    """options= leaves cases out by name; a function that supports no dtype compares nothing and fails."""
    run = xentcheck.check(adapters.from_numpy(right, options={"upstream"}), dtypes=["float32"])
    reasons = {record.reason for record in run.records if record.outcome == "unsupported"}
    assert {"option label_smoothing", "option ignore_index", "option strided"} <= reasons
    assert run.ok
    nothing = xentcheck.check(adapters.from_numpy(right, dtypes=["float64"]), dtypes=["float32"])
    assert not nothing.ok
    assert "no comparison was executed" in nothing.verdict.reasons


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"profile": "slow"}, xentcheck.XentcheckError, "unknown profile 'slow'; allowed: quick, full, deep"),
        (
            {"dtypes": ["int8"]},
            xentcheck.XentcheckError,
            f"dtype 'int8' is not judged; allowed: {', '.join(DTYPES)}",
        ),
        ({"profile": ""}, xentcheck.XentcheckError, "unknown profile ''; allowed: quick, full, deep"),
        ({"dtypes": []}, xentcheck.XentcheckError, f"dtypes is empty; allowed: some of {', '.join(DTYPES)}"),
        ({"devices": []}, AdapterError, "devices is empty; allowed: cpu, cuda, gpu"),
        ({"devices": 5}, AdapterError, "devices is 5; allowed: cpu, cuda, gpu"),
        ({"devices": ["cpu", "tpu"]}, AdapterError, "adapter numpy has no device among tpu; allowed: cpu"),
        ({"devices": "tpu"}, AdapterError, "adapter numpy has no device among tpu; allowed: cpu"),
        ({"dtypes": 5}, xentcheck.XentcheckError, f"dtypes is 5; allowed: some of {', '.join(DTYPES)}"),
        ({"seed": 1.5}, xentcheck.XentcheckError, "seed is 1.5; allowed: a whole number from 0"),
        ({"seed": -1}, xentcheck.XentcheckError, "seed is -1; allowed: a whole number from 0"),
        ({"executor": 2}, AdapterError, "executor is of type int; allowed: one of `concurrent.futures`"),
        ({"deviations": 7}, xentcheck.XentcheckError, "deviations is of type int; allowed: a TOML file"),
        ({"deviations": " "}, AdapterError, "deviations is ' ', which names nothing; allowed: a TOML file"),
    ],
)
def test_bad_arguments_raise_typed_errors(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """The same text as on the command line."""
    with pytest.raises(error) as caught:
        xentcheck.check("numpy", **options)
    assert str(caught.value) == text


@pytest.mark.parametrize("call", [xentcheck.check, xentcheck.assert_agrees])
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_adapter(call: Any, name: str) -> None:
    """Nor an empty framework or contract that of a function."""
    with pytest.raises(AdapterError, match=f"^unknown adapter '{name}'; allowed: "):
        call(name)
    with pytest.raises(AdapterError, match=f"^unknown framework '{name}'; allowed: "):
        call(right, name)
    with pytest.raises(AdapterError, match=f"^unknown contract '{name}'; allowed: "):
        call(right, "numpy", contract=name)


def test_what_leaves_is_an_error() -> None:
    """`sys.exit(0)` in a loss or in what an adapter says of itself ends neither the run nor the process."""

    def leave(logits: Any, target: Any) -> Any:
        sys.exit(0)

    adapter = adapter_of(leave, "numpy")
    assert adapter.capabilities.reductions == ("mean", "sum", "none")
    records = run_case(Case.parse("ties.2x3.f64.index.plain.mean.up-one.contig.s0"), subjects_of(adapter))
    assert {(r.outcome, r.reason) for r in records} == {("error", "SystemExit: 0")}
    with pytest.raises(AdapterError, match=r"^leave cannot be projected: "):
        check_projection(adapter, (2, 3), probes=1)
    assert largest_errors(subjects_of(adapter)[0], "float32", rounds=1) == []
    for name in ("settings", "devices", "unavailable"):
        broken = adapter_of(leave, "numpy")
        setattr(broken, name, lambda: sys.exit(0))
        with pytest.raises(AdapterError, match=r"^adapter leave fails: SystemExit: 0$"):
            environment(subjects_of(broken))


def test_the_user_may_interrupt() -> None:
    """KeyboardInterrupt is nobody's answer."""

    def interrupted(logits: Any, target: Any) -> Any:
        raise KeyboardInterrupt

    subjects = subjects_of(adapters.from_numpy(interrupted))
    with pytest.raises(KeyboardInterrupt):
        run_case(Case.parse("ties.2x3.f64.index.plain.mean.up-one.contig.s0"), subjects)


@pytest.mark.usefixtures("ordinary")
def test_inputs_that_change_are_a_disagreement() -> None:
    """A function that overwrites its labels is right in its numbers, and wrong."""

    def overwriting(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        result = right(logits, target, **options)
        target[...] = 0
        return result

    run = xentcheck.check(adapters.from_numpy(overwriting), dtypes=["float32"])
    assert "the call changed its input target" in {
        record.reason for record in run.records if record.outcome == "disagree"
    }


def matrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The matrix under pytest in a process of its own."""
    test = Path(__file__).parents[1] / "proof" / "test_matrix.py"
    command = [sys.executable, "-m", "pytest", "-q", str(test), "--xentcheck-adapter", "numpy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


@pytest.mark.nightly
def test_the_matrix_writes_the_same_run_file_by_any_number_of_workers(tmp_path: Path) -> None:
    """The same bytes, timings and host aside."""
    found = []
    for workers in ("0", "2"):
        out = tmp_path / f"run{workers}.jsonl"
        done = matrix("-n", workers, "--xentcheck-out", str(out))
        assert done.returncode == 0, done.stdout[-2000:]
        assert "agreed: " in done.stdout
        found.append([line for line in out.read_text().splitlines() if '"kind": "header"' not in line])
    assert len(found[0]) > 2000
    assert found[0] == found[1]


def test_bad_input_is_a_usage_error_of_pytest() -> None:
    """Exit code 4, one line, no traceback, of a process of its own; other options are in `test_pytest_sessions`."""
    done = matrix("--xentcheck-profile", "slow")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unknown profile 'slow'; allowed: quick, full, deep" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
