"""Implementations in processes of their own: a crash or a hang is one call; the answers are those of this process."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from command import xentcheck as command_line

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.process.adapter import PATIENCE, SILENT, ProcessAdapter
from xentcheck.adapters.process.program import Program
from xentcheck.adapters.process.wire import Message
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.adapters.wrap.trying.refusals import TRIED, plain, tried
from xentcheck.cases import Case, selection
from xentcheck.errors import AdapterError, ProcessEnded, ProcessTimeout, ProtocolError
from xentcheck.records.findings import ALL_LAWS
from xentcheck.records.record import Record
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.studies.law_study import laws
from xentcheck.vocabulary import DTYPES

NODE = Path(__file__).parents[2] / "examples" / "node"

IMPLEMENTATION = """
import ctypes, os, signal, sys, time, warnings
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def right(logits, target, **options):
    print("printed")
    warnings.warn("soon gone", DeprecationWarning)
    upstream = options.pop("upstream", 1.0)
    loss = cross_entropy(logits, target, **options)
    return loss, cross_entropy_grad(logits, target, **options, upstream=upstream)

def ends(how):
    def loss(logits, target, **options):
        if logits.ndim == 1:
            print("dying", file=sys.stderr, flush=True)
            how()
        return right(logits, target, **options)
    return loss

segfault = ends(lambda: ctypes.string_at(0))
leave = ends(lambda: os._exit(3))
killed = ends(lambda: os.kill(os.getpid(), signal.SIGKILL))
hang = ends(lambda: time.sleep(1000))
raising = ends(lambda: 1 / 0)
closing = ends(lambda: [os.close(fd) for fd in range(20)])

def complex_loss(logits, target, **options):
    loss, gradient = right(logits, target, **options)
    return loss, gradient.astype(complex)

def never(logits, target, **options):
    time.sleep(60)

def reading(logits, target, **options):
    assert sys.stdin.read() == ""
    return right(logits, target, **options)

def writing(logits, target, **options):
    found = right(logits, target, **options)
    target[...] = 0
    return found
"""

ALONE = "gaussian.10.f32.index.plain.none.up-one.contig.s0"
"""The row without a batch, at which `ends` ends."""

OTHERS = (
    "ties.5x10.f32.index.plain.mean.up-neg.contig.s0",
    "gaussian.5x1003.f32.index.plain.none.up-rand.trans+tstr.s0",
    "gaussian.64x3.bf16.index.w+ls+ign.none.up-str.sliced.s0",
    "gaussian.5x10.f16.prob.w.sum.up-neg.contig.s0",
)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with implementations, where the command would be run."""
    (tmp_path / "mine_in_process.py").write_text(IMPLEMENTATION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def isolated(name: str, timeout: float = 30.0) -> ProcessAdapter:
    """One of the implementations, in a process of its own."""
    worker = (sys.executable, "-m", "xentcheck.worker", f"mine_in_process:{name}", "numpy")
    return ProcessAdapter(worker, name=name, timeout=timeout).greet()


def records_of(adapter: adapters.Adapter, *ids: str) -> list[Record]:  # type: ignore[name-defined]  # lazily exported
    """The records of some cases."""
    return [record for text in ids for record in run_case(Case.parse(text), subjects_of(adapter))]


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("name", ["right", "writing"])
def test_answers_are_those_of_this_process(name: str, mine: Path) -> None:
    """Values, layouts, narrow dtypes, overwritten inputs and warnings: the same records but for the command."""
    here = records_of(resolve(Spec(f"mine_in_process:{name}", "numpy")), ALONE, *OTHERS)
    there = records_of(isolated(name), ALONE, *OTHERS)
    assert [{**r.to_json(), "replay": ""} for r in there] == [{**r.to_json(), "replay": ""} for r in here]
    assert {r.warnings for r in there} == {("DeprecationWarning: soon gone",)}
    assert {r.outcome for r in there} == ({"agree"} if name == "right" else {"disagree"})


ENDS = {
    "segfault": ("crash", r"killed by SIGSEGV; stderr ends: dying \| Fatal Python error: Segmentation fault \| "),
    "leave": ("crash", r"it exited with code 3; stderr ends: (printed \| )?dying$"),
    "killed": ("crash", r"killed by SIGKILL \(out of memory\?\); stderr ends: (printed \| )?dying$"),
    "hang": ("timeout", r"no answer after 3 s; stderr ends: (printed \| )?dying$"),
    "raising": ("error", r"ZeroDivisionError: division by zero$"),
    "closing": ("crash", r"it (exited with code|closed its standard output)"),
}


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_the_outcome_of_one_case(name: str) -> None:
    """The case after it runs in a new process."""
    adapter = isolated(name, timeout=1.0)
    outcome, reason = ENDS[name]
    found = records_of(adapter, OTHERS[0], ALONE, OTHERS[0])
    assert [r.outcome for r in found] == ["agree", "agree", outcome, outcome, "agree", "agree"]
    for record in found[2:4]:
        assert re.search(reason, record.reason)


@pytest.mark.usefixtures("mine")
def test_what_ends_every_time_is_not_called_forever() -> None:
    """After so many ends in a row the calls are no longer made, and say so."""
    adapter = isolated("hang", timeout=0.05)
    problem = Problem(logits=np.zeros(3, np.float32), target=np.array(1))
    for _ in range(PATIENCE["timeout"]):
        with pytest.raises(ProcessTimeout, match="no answer after"):
            adapter.compute(problem, ["cost"], device="cpu", variant="eager")
    with pytest.raises(ProcessTimeout, match="not called: the last 3 calls of this kind ended in a timeout"):
        adapter.compute(problem, ["cost"], device="cpu", variant="eager")
    rows = Problem(logits=np.zeros((2, 3), np.float32), target=np.array([1, 0]))
    adapter.timeout = 30.0
    assert adapter.compute(rows, ["cost"], device="cpu", variant="eager").values["cost"].shape == ()


@pytest.mark.usefixtures("mine")
def test_an_answer_that_cannot_travel_disagrees() -> None:
    """A dtype that no message can name is told, and disagrees as in one process."""
    assert {(r.outcome, r.reason) for r in records_of(isolated("complex_loss"), OTHERS[0])} == {
        ("agree", ""),
        ("disagree", "dtype complex128, expected float32"),
    }


@pytest.mark.usefixtures("mine")
def test_what_cannot_start_is_bad_input() -> None:
    """One line, as if it were in this process; an import that ends the process, too."""
    with pytest.raises(
        AdapterError, match=r"^implementation 'nowhere:f' cannot be imported: No module named 'nowhere'$"
    ):
        resolve(Spec("nowhere:f", "numpy", 5.0))
    Path("dies.py").write_text("import os; os._exit(7)")
    with pytest.raises(AdapterError, match=r"^implementation 'dies:f' cannot start: it exited with code 7$"):
        resolve(Spec("dies:f", "numpy", 5.0))
    with pytest.raises(AdapterError, match=r"^program 'no-such-program' is not installed$"):
        adapters.from_process("no-such-program")
    with pytest.raises(AdapterError, match="from_process got no command"):
        adapters.from_process("")


PROGRAM = """
import json, struct, sys
def read():
    length = sys.stdin.buffer.read(8)
    if not length: sys.exit()
    header = json.loads(sys.stdin.buffer.read(struct.unpack("<Q", length)[0]))
    text = header.pop("__metadata__")
    data = sys.stdin.buffer.read(max([e["data_offsets"][1] for e in header.values()], default=0))
    return text, header, data
def write(text, header={}, data=b""):
    line = json.dumps({"__metadata__": text, **header}).encode()
    sys.stdout.buffer.write(struct.pack("<Q", len(line)) + line + data)
    sys.stdout.buffer.flush()
while True:
    text, header, data = read()
    ANSWER
"""
"""A program in the standard library alone, as any other language would have it."""

UNFIT = {
    "other version": ('write({"message": "hello", "protocol": "2"})', r"'\w+.py' speaks protocol '2'; allowed: 1$"),
    "output": ('print("loading"); sys.stdout.flush()', r"cannot start: no message begins with b'loading"),
    "no answer": ("sys.exit()", "cannot start: it exited with code 0$"),
    "other answer": ('write({"message": "howdy"})', "cannot start: .* answers 'hello' with 'howdy'$"),
    "option": (
        'write({"message": "hello", "protocol": "1", "options": "wings"})',
        "declares what cannot be read: options has 'wings'; allowed: weight, ",
    ),
    "contracts": (
        'write({"message": "hello", "protocol": "1", "contracts": \'[["cpu", "fused"]]\'})',
        "declares what cannot be read: not enough values to unpack",
    ),
    "accuracies": (
        'write({"message": "hello", "protocol": "1", "accuracies": \'[["cpu", "*", 1.0]]\'})',
        "declares what cannot be read: not enough values to unpack",
    ),
    "running sums": (
        'write({"message": "hello", "protocol": "1", "running_sums": "-1"})',
        "declares what cannot be read: running_sums is negative",
    ),
    "unknown contract": (
        'write({"message": "hello", "protocol": "1", "contract": "wings"})',
        "unknown contract 'wings'; allowed: accurate, ",
    ),
    "settings": (
        'write({"message": "hello", "protocol": "1", "settings": "[1]"})',
        "declares what cannot be read: 'list' object has no attribute",
    ),
    "variants": (
        'write({"message": "hello", "protocol": "1", "variants": ""})',
        "declares what cannot be read: variants or devices are empty",
    ),
    "too large": (
        'write({"message": "hello"}, {"x": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}})',
        "cannot start: malformed header: ValueError: x ends at byte 1099511627776; allowed: ",
    ),
    "contract": (
        'write({"message": "hello", "protocol": "1", "contracts": "["})',
        "declares what cannot be read: Expecting value",
    ),
}


def program(folder: Path, answer: str) -> str:
    """The command line of a program that gives an answer."""
    path = folder / "program.py"
    path.write_text(PROGRAM.replace("ANSWER", answer))
    return f"{sys.executable} {path}"


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_hello_is_one_line(name: str, tmp_path: Path) -> None:
    """Version, garbage, silence, and words that mean nothing."""
    answer, reason = UNFIT[name]
    with pytest.raises(AdapterError, match=reason) as found:
        adapters.from_process(program(tmp_path, answer))
    assert "\n" not in str(found.value)


HELLO = '{"message": "hello", "protocol": "1", "name": "stdlib"}'


def test_unfit_answers_to_a_problem_are_errors_of_the_case(tmp_path: Path) -> None:
    """Without a quantity, of another kind, or cut short: the case says so, and the run goes on."""
    problem = Problem(logits=np.zeros((1, 2), np.float32), target=np.array([1]))
    for answer, kind, reason in (
        ('write({"message": "compute"})', ProtocolError, "answers without cost"),
        ('write({"message": "hello"})', ProtocolError, "answers 'compute' with 'hello'"),
        ('sys.stdout.buffer.write(b"1234"); sys.stdout.flush(); sys.exit(1)', ProtocolError, "no message begins with"),
        ("sys.exit(1)", ProcessEnded, "it exited with code 1"),
    ):
        both = f"write({HELLO}) if text['message'] == 'hello' else None\n    if text['message'] == 'compute': {answer}"
        adapter = adapters.from_process(program(tmp_path, both))
        with pytest.raises(kind, match=reason):
            adapter.compute(problem, ["cost"], device="cpu", variant="eager")


def test_what_a_program_has_started_ends_with_it(tmp_path: Path) -> None:
    """A child of its own holds the pipes: it does not hold the run."""
    shell = tmp_path / "shell.sh"
    shell.write_text("sleep 60; true\n")
    program = Program(["bash", str(shell)], {})
    start = monotonic()
    with pytest.raises(ProcessTimeout):
        program.exchange(Message({"message": "hello"}), 0.5)
    program.stop()
    assert monotonic() - start < 30


ZERO_LOSS = f"""
    if text["message"] == "hello":
        write({HELLO})
    else:
        n, c = header["logits"]["shape"]
        write({{"message": "compute"}}, {{
            "cost": {{"dtype": "F32", "shape": [], "data_offsets": [0, 4]}},
            "dC/dz": {{"dtype": "F32", "shape": [n, c], "data_offsets": [4, 4 + 4 * n * c]}},
        }}, bytes(4 + 4 * n * c))
"""


def test_a_program_in_the_standard_library_alone_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros disagree; the defaults of hello are the narrowest."""
    few = [case for case in selection.cases("quick") if case.shape == (5, 10)]
    monkeypatch.setattr(selection, "cases", lambda profile, seed=0: few)
    adapter = adapters.from_process(program(tmp_path, ZERO_LOSS.strip()), timeout=5)
    assert adapter.name == "stdlib"
    assert adapter.capabilities.dtypes == ("float32",)
    assert not adapter.capabilities.options
    run = xentcheck.check(adapter, dtypes=["float32"])
    assert not run.ok
    assert run.verdict.counts["disagree"] > 10
    assert {"unsupported", "disagree"} <= set(run.verdict.counts)
    assert "error" not in run.verdict.counts
    assert "crash" not in run.verdict.counts


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["few", "all"])
def test_a_loss_in_javascript(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example agrees with its contract, on one small shape, and on rows that are too long for a call.

    Alone runs the program that is right; that the wrong one is not, and its mistake, is in the README's tests.
    """
    shapes = ((5, 10), (3, 65536))
    every = selection.cases("quick")
    few = [case for case in every if case.shape in shapes and case.dtype in ("float64", "float32")]
    monkeypatch.setattr(selection, "cases", lambda profile, seed=0: every if whole else few)
    right = xentcheck.check(adapters.from_process(["node", str(NODE / "loss.mjs")]))
    assert right.ok
    assert right.verdict.counts["agree"] > 100
    assert any(r.outcome == "agree" and Case.parse(r.case).shape == (3, 65536) for r in right.records)


def test_a_hello_has_the_fields_of_the_documentation() -> None:
    """Everything that a program may declare is explained."""
    text = (NODE.parents[1] / "docs" / "other-languages.md").read_text(encoding="utf-8")
    for word in ("dtypes", "reductions", "devices", "quantities", "options", "contract", "protocols", "upstream"):
        assert f"`{word}`" in text


def test_a_run_survives_a_crash_whatever_the_number_of_workers(mine: Path) -> None:
    """The cases that end the process crash, the others agree; the exit code is 1."""
    some = [word for glob in ("*.1?.f32.index.plain.*", "*.5x10.f32.index.plain.none.*") for word in ("--case", glob)]
    for jobs in ("1", "2"):
        command = ("run", "--impl", "mine_in_process:leave", "--framework", "numpy", *some, "-j", jobs)
        assert command_line(*command, "--out", "run.jsonl", cwd=mine).returncode == 1
        run = xentcheck.Run.load(mine / "run.jsonl")
        ended = {r.case for r in run.records if r.outcome == "crash"}
        called = {r.case for r in run.records if r.outcome != "unsupported"}
        assert ended == {case for case in called if len(Case.parse(case).shape) == 1}
        assert ended
        assert {r.outcome for r in run.records if r.case not in ended} <= {"agree", "convention", "vacuous"}
        assert run.verdict.counts["agree"] > 20


HOLDS = """
import json, subprocess, sys, time
subprocess.Popen(["sleep", "30"], start_new_session=True)
time.sleep(30)
"""


def test_a_pipe_that_somebody_else_holds_open_is_not_waited_for(tmp_path: Path) -> None:
    """A grandchild in a session of its own is not killed with the program; its end is not the program's."""
    (tmp_path / "holds.py").write_text(HOLDS)
    program = Program([sys.executable, str(tmp_path / "holds.py")], {})
    start = monotonic()
    with pytest.raises(ProcessTimeout):
        program.exchange(Message({"message": "hello"}), 2.0)
    program.stop()
    assert monotonic() - start < 20


@pytest.mark.usefixtures("mine")
def test_what_never_answers_is_not_asked_forever() -> None:
    """Whatever the kind of call; what nobody declared is then not tried."""
    adapter = isolated("never", timeout=0.02)
    adapter.guessed = frozenset((*TRIED, *DTYPES))
    assert tried(adapter).refused == {}
    said = []
    for make in (*TRIED.values(), plain):
        with pytest.raises(ProcessTimeout) as found:
            adapter.compute(make("float32"), ["cost"], device="cpu", variant="eager")
        said.append(str(found.value).partition(":")[0])
    assert said == ["no answer after 0.06 s"] * (SILENT - 1) + ["not called"] * (len(TRIED) + 2 - SILENT)
    (record,) = {r.outcome: r for r in records_of(adapter, OTHERS[0])}.values()
    assert (record.outcome, record.check, record.not_called) == ("timeout", "raises", True)
    (law,) = laws(Subject(adapter, "eager", "cpu", ""), "float32")
    reason = f"timeout: ProcessTimeout: not called: it has answered none of {SILENT} calls"
    assert (law.law, law.kept, law.detail) == (ALL_LAWS, False, reason)
    assert str(law).endswith(f" breaks all laws: {reason}")


@pytest.mark.usefixtures("mine")
def test_an_implementation_that_reads_gets_nothing() -> None:
    """Standard input is the protocol's."""
    (record, _) = records_of(isolated("reading"), OTHERS[0])
    assert record.outcome == "agree"


@pytest.mark.usefixtures("mine")
def test_the_limit_of_a_call_is_not_that_of_a_start() -> None:
    """What takes long to import has as long for it whenever it is started."""
    Path("slow_in_process.py").write_text(f"import time\ntime.sleep(4)\n{IMPLEMENTATION}")
    worker = (sys.executable, "-m", "xentcheck.worker", "slow_in_process:leave", "numpy")
    adapter = ProcessAdapter(worker, name="slow", timeout=1.0).greet()
    found = records_of(adapter, OTHERS[0], ALONE, OTHERS[0])
    assert [r.outcome for r in found] == ["agree", "agree", "crash", "crash", "agree", "agree"]
