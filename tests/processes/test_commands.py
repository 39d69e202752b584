"""The commands of the command line: exit codes, what they write, and runs that do not depend on the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import xentcheck

from xentcheck.cli.main import main

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
    return tmp_path


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
    for _ in range(2):  # the second time in the place of the first
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
