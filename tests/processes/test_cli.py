"""The command line: exit codes, bad input in one line, and runs that do not depend on the number of workers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from command import xentcheck

from xentcheck.cli.main import COMMANDS, cli, command_named, main

CASE = "ties.2x3.f64.index.plain.mean.up-one.contig.s0"
WRONG = """
import os
import sys
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def zeros(logits, target, **options):
    upstream = options.pop("upstream", 1.0)
    return cross_entropy(logits, target, **options), np.zeros_like(logits)

def crash(logits, target, **options):
    raise RuntimeError("out of registers")

def leave(logits, target, **options):
    sys.exit(0)

def end(logits, target, **options):
    os._exit(0)

def close(logits, target, **options):
    os.close(1)

number = 3
"""


def process(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    code = "from xentcheck.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with implementations of one's own."""
    (tmp_path / "mine.py").write_text(WRONG)
    (tmp_path / "unsound.py").write_text("def f(:\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    for name in ("odd.json", "odd.jsonl"):
        (tmp_path / name).write_text('{"a":1}')
    (tmp_path / "future.toml").write_text("schema = 2\n")
    return tmp_path


BAD_INPUT = {
    "adapter": (["run", "--adapter", "foo"], "unknown adapter 'foo'; allowed: numpy, torch, jax"),
    "profile": (["run", "--profile", "x"], "unknown profile 'x'; allowed: quick, full, deep"),
    "dtype": (["run", "--dtype", "int8"], "dtype 'int8' is not judged; allowed: float64, float32"),
    "device": (["run", "--device", "tpu"], "no adapter has a device among tpu; allowed: cpu, cuda, gpu"),
    "jobs": (
        ["run", "-j", "none"],
        "Invalid value for -j: 'none'; allowed: a number of processes from 1 to 1000, or auto",
    ),
    "impl": (
        ["run", "--impl", "mine:zeros"],
        "framework= is needed, as neither torch nor jax is imported; allowed: torch, jax, numpy",
    ),
    "timeout": (["run", "--adapter", "numpy", "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the"),
    "isolation": (["run", "--isolation", "jail"], "Invalid value for '--isolation': 'jail' is not one of 'process'"),
    "framework": (
        ["run", "--impl", "mine:zeros", "--framework", "x"],
        "unknown framework 'x'; allowed: torch, jax, numpy",
    ),
    "impl form": (
        ["run", "--impl", "mine", "--framework", "numpy"],
        "implementation 'mine' is not of the form package.module:function, as my_file:my_loss",
    ),
    "impl absent": (
        ["run", "--impl", "mine:absent", "--framework", "numpy"],
        "implementation 'mine:absent' cannot be imported: module 'mine' has no attribute 'absent'; allowed: zeros, ",
    ),
    "command": (["rn"], "unknown command 'rn'; allowed: init, run, merge, "),
    "impl missing": (
        ["run", "--impl", "nowhere:f", "--framework", "numpy"],
        "implementation 'nowhere:f' cannot be imported: No module named 'nowhere'",
    ),
    "impl no function": (
        ["run", "--impl", "mine:number", "--framework", "numpy"],
        "implementation 'mine:number' is of type int; allowed: a function or an adapter",
    ),
    "case": (["replay", "gaussian.5x3", "--adapter", "numpy"], "case id 'gaussian.5x3' has 2 fields; allowed: "),
    "family": (
        ["replay", CASE.replace("ties", "knots"), "--adapter", "numpy"],
        "unknown family 'knots' in a case; allowed: gaussian, ",
    ),
    "variant": (
        ["replay", CASE, "--adapter", "numpy", "--variant", "jit"],
        "adapter numpy has no variant 'jit'; allowed: eager",
    ),
    "no subject": (["replay", CASE], "replay needs one implementation: --adapter NAME, or --impl with --framework"),
    "run file of somebody": (
        ["run", "--adapter", "numpy", "--out", "mine.py"],
        "mine.py is there, and xentcheck did not",
    ),
    "baseline of somebody": (["run", "--adapter", "numpy", "--save", "./odd.jsonl"], "odd.jsonl is there, and xentch"),
    "script of somebody": (["replay", CASE, "--adapter", "numpy", "--script", "mine.py"], "mine.py is there, and xent"),
    "merged into somebody's": (["merge", "a.jsonl", "--out", "odd.jsonl"], "odd.jsonl is there, and xentcheck did not"),
    "table of somebody": (["table", "numpy", "--out", "odd.json"], "odd.json is there, and xentcheck did not write it"),
    "page of somebody": (["explain", "--html", "mine.py"], "mine.py is there, and is no page, which ends with .md, "),
    "accuracies of somebody": (
        ["accuracy", "--adapter", "numpy", "--out", "mine.py"],
        "mine.py is there, and is no page, which",
    ),
    "faults of somebody": (["faults", "--framework", "numpy", "--out", "mine.py"], "mine.py is there, and is no page"),
    "run file": (["report", "absent.jsonl"], "run file absent.jsonl cannot be read: No such file or directory"),
    "comparison": (["compare", "absent.jsonl", "mine.py"], "run file absent.jsonl cannot be read: No such file or"),
    "foreign file": (["report", "mine.py"], "run file mine.py, line 1 is not JSON"),
    "output": (
        ["run", "--adapter", "numpy", "--out", "mine.py/run.jsonl"],
        "run file mine.py/run.jsonl cannot be written",
    ),
    "report folder": (
        ["run", "--adapter", "numpy", "--report", "mine.py/out"],
        "report folder mine.py/out cannot be written",
    ),
    "target": (["explain", "--target", "3"], "target"),
    "logits": (
        ["explain", "--logits", "a,b"],
        "Invalid value for --logits: 'a,b'; allowed: numbers separated by commas",
    ),
    "deviations": (
        ["run", "--adapter", "numpy", "--deviations", "absent.toml"],
        "deviation file absent.toml cannot be read: No such file or directory",
    ),
    "deviations of the future": (
        ["run", "--adapter", "numpy", "--deviations", "future.toml"],
        "deviation file future.toml has schema 2; allowed: 1 (written for another version)",
    ),
    "command line": (
        ["run", "--impl", "'unbalanced", "--framework", "process"],
        'command "\'unbalanced" is no command line: No closing quotation',
    ),
    "too large": (
        ["replay", "gaussian.999999999x10.f32.index.plain.mean.up-neg.contig.s0", "--adapter", "numpy"],
        "case gaussian.999999999x10.f32.index.plain.mean.up-neg.contig.s0 cannot be built: an array of it has 99999999",
    ),
    "no timeout": (
        ["run", "--adapter", "numpy", "--timeout", "nan"],
        "Invalid value for --timeout: nan; allowed: a ",
    ),
    "no name": (
        ["run", "--adapter", "numpy", "--save", ""],
        "--save is '', which names nothing",
    ),
    "no implementation": (["run", "--impl", ""], "--impl is '', which names nothing"),
    "leaves": (
        ["run", "--impl", "leaves:f", "--framework", "numpy", "--isolation", "none"],
        "implementation 'leaves:f' cannot be imported: SystemExit: 0",
    ),
    "leaves its process": (
        ["run", "--impl", "leaves:f", "--framework", "numpy"],
        "implementation 'leaves:f' cannot be imported: SystemExit: 0",
    ),
    "save": (["run", "--adapter", "numpy", "--save", "mine.py/x.jsonl"], "mine.py/x.jsonl cannot be written: "),
    "script": (["replay", CASE, "--adapter", "numpy", "--script", "mine.py/x.py"], "mine.py/x.py cannot be written: "),
    "syntax": (
        ["run", "--impl", "unsound:f", "--framework", "numpy"],
        "implementation 'unsound:f' cannot be imported: SyntaxError: ",
    ),
    "fuzz minutes": (
        ["fuzz", "--minutes", "0"],
        "Invalid value for '--minutes': 0.0 is not in the range 0<x<=1000000.0.",
    ),
    "fuzz forever": (["fuzz", "--minutes", "nan"], "Invalid value for --minutes: nan; allowed: a number of minutes"),
    "fuzz where": (
        ["fuzz", "--adapter", "numpy", "--saved", "mine.py/x.txt"],
        "mine.py/x.txt cannot be written: ",
    ),
    "repeats": (["run", "--adapter", "numpy", "--repeats", "2"], "--repeats goes with --save NAME: "),
    "fuzz saved": (["fuzz", "--adapter", "numpy", "--saved", "mine.py"], "saved cases mine.py, line 2: case id "),
    "no case": (
        ["run", "--case", "knots.*"],
        "no case matches 'knots.*'; allowed: a glob of some of the ",
    ),
    "museum": (["faults", "--framework", "mxnet"], "no faults are planted in 'mxnet'; allowed: numpy, torch, jax"),
    "faults profile": (["faults", "--profile", "slow"], "unknown profile 'slow'; allowed: quick, full, deep"),
    "faults output": (
        ["faults", "--framework", "numpy", "--profile", "quick", "--out", "mine.py/x.md"],
        "mine.py/x.md cannot be written",
    ),
    "project shape": (
        ["project", "numpy", "--shape", "8"],
        "Invalid value for --shape: '8'; allowed: N,C, two numbers",
    ),
    "project device": (
        ["project", "numpy", "--shape", "4,10", "--device", "tpu"],
        "adapter numpy has no device 'tpu'; allowed: cpu",
    ),
    "replay device": (
        ["replay", CASE, "--adapter", "numpy", "--device", "tpu"],
        "adapter numpy has no device 'tpu'; allowed: cpu",
    ),
    "one device of two": (
        ["run", "--adapter", "numpy", "--device", "cpu", "--device", "tpu"],
        "no adapter has a device among tpu; allowed: cpu, cuda, gpu",
    ),
    "project too large": (
        ["project", "numpy", "--shape", "99999999,99999999"],
        "1 rows of 99999999 classes at a time, 20 probes; allowed: 33554432 logits at a time",
    ),
    "project too many probes": (
        ["project", "numpy", "--shape", "4,10", "--probes", "999999999"],
        "1 rows of 10 classes at a time, 999999999 probes; allowed: 33554432 logits at a time",
    ),
    "project too many rows": (
        ["project", "numpy", "--shape", "99999999,9999", "--rows", "99999999"],
        "99999999 rows of 9999 classes at a time, 20 probes; allowed: 33554432 logits at a time",
    ),
    "audit too large": (
        ["audit", "--atol", "1", "--rtol", "0", "--shape", "99999999,99999999"],
        "shape is (99999999, 99999999); allowed: N,C, both from 1, C to 4000000",
    ),
    "audit nothing": (
        ["audit", "--atol", "1e-5", "--rtol", "0", "--shape", "5,1"],
        "the right gradient of 5x1 logits is 0: nothing to audit; allowed: 2 classes or more",
    ),
    "too wide a layer": (
        ["replay", "gaussian.5x10k99999999.f32.index.plain.mean.up-neg.contig.s0", "--adapter", "numpy"],
        "case gaussian.5x10k99999999.f32.index.plain.mean.up-neg.contig.s0 cannot be built: an array of it has 9999",
    ),
    "project nothing": (["project", "--shape", "8,8"], "project needs one implementation: ADAPTER, or --impl with"),
    "project dtype": (["project", "numpy", "--shape", "8,8", "--dtype", "float16"], "dtype 'float16' is too narrow"),
    "option": (["run", "--bogus"], "No such option '--bogus'."),
    "contract": (
        ["replay", CASE, "--adapter", "numpy", "--contract", "bfloat16=swift"],
        "--contract: unknown contract 'swift'; allowed: ",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(name: str, here: Path) -> None:
    """What, where, what is allowed; no traceback."""
    arguments, text = BAD_INPUT[name]
    done = xentcheck(*arguments, cwd=here)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"xentcheck: {text}")


NAMING = [
    (name, param.opts[-1])
    for name, command in {name: command_named(name) for name in COMMANDS}.items()
    for param in command.params
    if isinstance(param, click.Option) and not param.is_flag
]


@pytest.mark.parametrize("text", ["", " ", "\t"])
@pytest.mark.parametrize(("command", "option"), NAMING)
def test_no_option_takes_an_empty_text_for_its_default(command: str, option: str, text: str) -> None:
    """As of a variable that is not set: every option of every command, also as one word, and every argument."""
    for words in ([option, text], *([[f"{option}={text}"]] if option.startswith("--") else [])):
        with pytest.raises(click.UsageError, match=f"^{re.escape(f'{option} is {text!r}, which names nothing')}$"):
            cli.main([command, *words], standalone_mode=False)
    with pytest.raises(click.UsageError, match=r"^an argument is '', which names nothing$"):
        cli.main([command, "x", ""], standalone_mode=False)


def test_a_loss_that_leaves_is_an_error_of_its_case(here: Path) -> None:
    """`sys.exit(0)` is no exit code of the run's, in a debugger's process either."""
    command = ("run", "--impl", "mine:leave", "--framework", "numpy", "--isolation", "none")
    done = xentcheck(*command, "--case", "ties.5x10.f32.index.plain.*", cwd=here)
    assert done.returncode == 1
    assert "SystemExit: 0" in done.stdout


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("end", "something that was called ended the run by os._exit(0)"),
        ("close", "its output was closed by something that it called: [Errno 9] Bad file descriptor"),
    ],
)
def test_a_loss_that_takes_the_process_or_its_output_is_no_green_run(here: Path, function: str, told: str) -> None:
    """One line, where there is no process of its own to end: only a whole process shows its exit code."""
    command = ("run", "--impl", f"mine:{function}", "--framework", "numpy", "--isolation", "none")
    done = process(*command, "--case", "ties.5x10.f32.index.plain.*", cwd=here)
    assert done.returncode == 2
    *progress, last = done.stderr.splitlines()
    assert last == f"xentcheck: {told}"
    assert all(line.startswith("checking: ") for line in progress)


def test_whatever_else_leaves_is_no_green_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last net, below all commands."""
    monkeypatch.setattr(sys, "argv", ["xentcheck", "adapters"])
    monkeypatch.setattr("xentcheck.cli.commands.adapters.adapters_command", lambda: sys.exit(0))
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err == "xentcheck: something that was imported called sys.exit(0)\n"


FEW = ("--case", "gaussian.5x10.*")


def run(folder: Path, name: str, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and lines of a run file."""
    out = folder / name
    done = xentcheck("run", "--dtype", "float32", *arguments, "--out", str(out), cwd=folder)
    return done.returncode, [json.loads(line) for line in out.read_text().splitlines()]


def test_a_wrong_gradient_fails_the_run_and_replays(here: Path) -> None:
    """Zeros for a gradient: exit code 1, and the printed command shows the same disagreement."""
    code, lines = run(here, "run.jsonl", "--impl", "mine:zeros", "--framework", "numpy", *FEW)
    assert code == 1
    bad = [line for line in lines if line.get("outcome") == "disagree"]
    assert {line["quantity"] for line in bad} == {"dC/dz"}
    replayed = xentcheck(*bad[0]["replay"].split()[1:], cwd=here)
    assert replayed.returncode == 1
    assert "dC/dz: disagree" in replayed.stdout


def test_an_exception_of_the_implementation_is_an_error_record(here: Path) -> None:
    """The run goes on, says what was raised, and fails."""
    code, lines = run(here, "run.jsonl", "--impl", "mine:crash", "--framework", "numpy", *FEW)
    assert code == 1
    reasons = {line["reason"] for line in lines if line.get("outcome") == "error"}
    assert reasons == {"RuntimeError: out of registers"}
    assert lines[-1] == {"kind": "end", "records": lines[0]["planned"]}


def test_the_run_file_does_not_depend_on_the_number_of_workers(here: Path) -> None:
    """Byte for byte, timings and host aside; so do the reports made from it."""
    found = []
    for jobs in ("1", "2"):
        code, lines = run(here, f"run{jobs}.jsonl", "--adapter", "numpy", "-j", jobs, "--accuracy", "1", *FEW)
        assert code == 0
        assert [line["quantity"] for line in lines if line["kind"] == "accuracy"] == ["a", "log_a", "loss", "dC/dz"]
        lines[0].pop("host")
        found.append([json.dumps(line) for line in lines if line["kind"] != "timing"])
    assert found[0] == found[1]


def test_selected_cases_run_alone_and_need_no_power(here: Path) -> None:
    """A glob narrows a run, also one that is blind in its group; the header says by what."""
    pattern = "ties.5x10.f32.*"
    listed = xentcheck("run", "--list-cases", "--case", pattern).stdout.split()
    assert listed
    code, lines = run(here, "run.jsonl", "--adapter", "numpy", "--case", pattern)
    assert code == 0
    assert lines[0]["selection"] == [pattern]
    assert {line["case"] for line in lines if line["kind"] == "record"} == set(listed)


ZEROS = """
[[deviation]]
adapter = "zeros"
quantity = "dC/dz"
case = "{case}"
reason = "zeros, until the kernel is written"
link = "https://example.org/1"
expires = {expires}
"""


@pytest.mark.parametrize(
    ("case", "expires", "code", "failure"),
    [
        ("ties.*", "2999-12-31", 0, ""),
        ("ties.*", "2020-12-31", 1, "expired on 2020-12-31"),
        ("ties.5x3.*", "2999-12-31", 1, ""),
        ("*", "2999-12-31", 0, ""),
    ],
)
def test_known_faults_of_ones_own_are_excused(case: str, expires: str, code: int, failure: str, here: Path) -> None:
    """A deviation file of the user: what it selects is a deviation until its last day, and nothing else is."""
    (here / "known.toml").write_text(ZEROS.format(case=case, expires=expires))
    arguments = ("--impl", "mine:zeros", "--framework", "numpy", "--case", "ties.5x10.*", "--deviations", "known.toml")
    found, lines = run(here, "run.jsonl", *arguments)
    assert found == code
    assert bool(failure) == any(line["kind"] == "failure" and failure in line["text"] for line in lines)


def test_the_first_failure_stops_the_run(here: Path) -> None:
    """With and without workers; what was not run is no agreement."""
    arguments = ("--impl", "mine:zeros", "--framework", "numpy", *FEW)
    all_of_it = len(run(here, "all.jsonl", *arguments)[1])
    for jobs in ("1", "2"):
        code, lines = run(here, f"x{jobs}.jsonl", *arguments, "-x", "-j", jobs)
        assert code == 1
        assert len(lines) < all_of_it / 2
        assert {"kind": "failure", "text": "stopped at the first failure"} in lines


def test_the_verdict_as_json_is_all_that_stdout_holds(here: Path) -> None:
    """For programs; people read stderr."""
    done = xentcheck("run", "--adapter", "numpy", "--dtype", "float32", "--case", "ties.*", "--json", cwd=here)
    assert json.loads(done.stdout)["ok"] is True
    assert "agreed: " in done.stderr


def test_run_writes_the_report(here: Path) -> None:
    """--report leaves the three files, and `report` makes them again from the run file."""
    pytest.importorskip("matplotlib")
    code, _ = run(here, "run.jsonl", "--adapter", "numpy", "--report", "out", *FEW)
    assert code == 0
    first = {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    assert sorted(first) == ["report.html", "report.json", "report.md"]
    assert xentcheck("report", "run.jsonl", "--out", "again", cwd=here).returncode == 0
    assert {path.name: path.read_bytes() for path in (here / "again").iterdir()} == first


def test_an_accuracy_without_a_result_is_not_an_empty_table(here: Path) -> None:
    """An implementation that raises: said by name, exit code 1."""
    options = ("--impl", "mine:crash", "--framework", "numpy", "--dtype", "float32", "--rounds", "1")
    done = xentcheck("accuracy", *options, cwd=here)
    assert done.returncode == 1
    assert "nothing to measure: crash eager cpu float32" in done.stderr
    assert done.stdout == ""


def test_a_console_without_utf8_shows_what_it_can(here: Path) -> None:
    """Tables in ASCII, and what an implementation says escaped: no traceback."""
    (here / "loud.py").write_text("def f(logits, target): raise ValueError('\u0444 \u2260 \u0446')\n", encoding="utf-8")
    code = "from xentcheck.cli.main import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for command in (
        ("run", "--impl", "loud:f", "--framework", "numpy", "--case", "gaussian.5x10.f32.index.plain.mean.*"),
        ("replay", "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0", "--impl", "loud:f", "--framework", "numpy"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], capture_output=True, check=False, cwd=here, env=environment
        )
        assert done.returncode == 1
        assert rb"ValueError: \u0444 \u2260 \u0446" in done.stdout
        assert b"Traceback" not in done.stderr


def test_the_version_is_that_of_the_package() -> None:
    """`--version`, on one line."""
    done = process("--version")
    assert done.returncode == 0
    assert done.stdout == f"xentcheck, version {version('xentcheck')}\n"


def test_replay_and_adapters_print_their_tables() -> None:
    """Every quantity with its bound; every adapter with its version and contract, whole on a narrow terminal."""
    replayed = xentcheck("replay", CASE, "--adapter", "numpy")
    assert replayed.returncode == 0
    assert all(f"{q}: agree" in replayed.stdout for q in ("a", "log_a", "cost", "dC/dz"))
    listed = xentcheck("adapters")
    assert listed.returncode == 0
    assert all(word in listed.stdout for word in (np.__version__, "cpu bfloat16: stash-sum", "jit, eager"))
