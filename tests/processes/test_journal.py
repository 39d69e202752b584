"""What a run found before it was cut short is kept, shown, and gone on from; shards are put together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from xentcheck.cases import Case
from xentcheck.cli import cli
from xentcheck.cli import request as run_command
from xentcheck.errors import OutputError, RunFileError
from xentcheck.records.findings import LawResult
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import summarize
from xentcheck.running.subjects import Subject
from xentcheck.studies.law_study import laws

CASES = [
    f"gaussian.5x3.{dtype}.index.plain.{reduction}.up-one.contig.s0"
    for dtype in ("f32", "f64", "bf16")
    for reduction in ("mean", "sum")
]
RUN = ("run", "--adapter", "numpy", "--case", "gaussian*")


@pytest.fixture(autouse=True)
def few_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Six cases of six signatures, laws and probes."""
    monkeypatch.setattr("xentcheck.cases.selection.cases", lambda profile, seed: list(map(Case.parse, CASES)))
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Any:
    """The exit code of a command, in this process."""
    return cli.main(list(arguments), standalone_mode=False)


def content(name: str) -> list[dict[str, Any]]:
    """The lines of a run file without what equal runs may differ in."""
    lines = [json.loads(line) for line in Path(name).read_text().splitlines()]
    lines[0].pop("host")
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.fixture
def whole() -> bytes:
    """A journal of all tasks, as it is just before the run file takes its place."""
    kept = []
    original = run_command.Journal.complete

    def complete(journal: Any, run: RunFile) -> None:
        kept.append(journal.path.read_bytes())
        original(journal, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_command.Journal, "complete", complete)
        assert call(*RUN, "--out", "right.jsonl") == 0
    return kept[0]


def test_a_run_that_was_cut_anywhere_ends_with_the_same_bytes(whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each line, and within lines: what is whole is not computed again, what is not whole is."""
    ends = [i for i, byte in enumerate(whole) if byte == 10]
    asked: list[int] = []
    original = run_command.execute

    def execute(tasks: Any, subjects: Any) -> Any:
        asked.append(len(tasks))
        return original(tasks, subjects)

    monkeypatch.setattr(run_command, "execute", execute)
    held: dict[str, list[LawResult]] = {}

    def once(subject: Subject, dtype: str) -> list[LawResult]:
        """What equal laws find of one implementation; how it is found is not what is tested here."""
        held.setdefault(dtype, [] if dtype in held else list(laws(subject, dtype)))
        return held[dtype]

    monkeypatch.setattr("xentcheck.studies.law_study.laws", once)
    for cut in (0, 3, ends[0], *(end + 1 for end in ends), ends[-1] - 5):
        Path("cut.jsonl.partial").write_bytes(whole[:cut])
        assert call(*RUN, "--out", "cut.jsonl", "--resume") == 0
        assert content("cut.jsonl") == content("right.jsonl")
        assert not Path("cut.jsonl.partial").exists()
        Path("cut.jsonl").unlink()
    assert {*asked} == {*range(9)}  # laws, probes, six groups: none, one, ... all were left


def test_a_resumed_run_that_is_cut_again_goes_on(whole: bytes) -> None:
    """What a resumed run appends is as good as what was there."""
    Path("cut.jsonl.partial").write_bytes(whole[: whole.index(b'"kind": "timing"') + 5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xentcheck.running.comparison.run.build", lambda case: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(*RUN, "--out", "cut.jsonl", "--resume")
    assert b'"name": "probes"' in Path("cut.jsonl.partial").read_bytes()
    assert call(*RUN, "--out", "cut.jsonl", "--resume") == 0
    assert content("cut.jsonl") == content("right.jsonl")


def test_a_run_file_stays_until_the_next_one_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies leaves the file of the run before as it was."""
    precious = '{"kind": "header", "tool": "xentcheck", "precious": 1}'
    Path("run.jsonl").write_text(precious)
    monkeypatch.setattr("xentcheck.running.comparison.run.build", lambda case: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(*RUN, "--out", "run.jsonl")
    assert Path("run.jsonl").read_text() == precious
    assert Path("run.jsonl.partial").exists()


@pytest.mark.parametrize(
    ("other", "field"),
    [(("--seed", "1"), "seed"), (("--dtype", "float32"), "dtypes"), (("--accuracy", "1"), "plan"), ((), "")],
)
def test_a_journal_of_another_run_is_refused(whole: bytes, other: tuple[str, ...], field: str) -> None:
    """Its findings would not be of this run; without --resume it is thrown away."""
    Path("cut.jsonl.partial").write_bytes(whole[: len(whole) // 2])
    if field:
        with pytest.raises(RunFileError, match=f"of another run: its {field} differs"):
            call(*RUN, "--out", "cut.jsonl", "--resume", *other)
        assert Path("cut.jsonl.partial").read_bytes() == whole[: len(whole) // 2]
    assert call(*RUN, "--out", "cut.jsonl", *other) == 0
    assert not Path("cut.jsonl.partial").exists()


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.partial"])
@pytest.mark.parametrize("content", ['{"a":1}', '{"a":1}\n'])
def test_a_file_of_somebody_else_is_no_run_to_go_on_with(name: str, content: str) -> None:
    """It is bad input, and stays as it was; an empty one is nobody's, and the start of a header is a cut journal."""
    Path(name).write_text(content)
    with pytest.raises((OutputError, RunFileError), match=r"is kept; allowed: |is no header of xentcheck"):
        call(*RUN, "--out", "run.jsonl", "--resume")
    assert Path(name).read_text() == content
    Path(name).write_text("")
    assert call(*RUN, "--out", "run.jsonl", "--resume") == 0


HOLDS = """
import sys, time
from pathlib import Path
from xentcheck.records.file import Header
from xentcheck.running.journal import Journal
plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
with Journal(Path("run.jsonl"), Header(**plain, planned=0)):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_two_runs_to_one_file_are_refused() -> None:
    """The second one, in one line, and without a change to what the first one has found."""
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdout.readline()
        before = Path("run.jsonl.partial").read_bytes()
        for arguments in ((), ("--resume",)):
            with pytest.raises(OutputError, match=r"run\.jsonl\.partial is being written by another run"):
                call(*RUN, "--out", "run.jsonl", *arguments)
        assert Path("run.jsonl.partial").read_bytes() == before
        first.stdin.close()
    assert call(*RUN, "--out", "run.jsonl") == 0


def test_a_partial_run_is_shown_and_says_so(whole: bytes) -> None:
    """From its journal, and from a file that was cut; it is never ok."""
    Path("cut.jsonl.partial").write_bytes(whole[: whole.rindex(b'"kind": "record"') + 3])
    with pytest.raises(RunFileError, match="cannot be read"):
        RunFile.load(Path("cut.jsonl"))
    for name in ("cut.jsonl", "cut.jsonl.partial"):
        run = RunFile.load(Path(name), partial=True)
        assert 0 < len(run.records) < run.header.planned
        assert f"partial: {len(run.records)} of {run.header.planned} planned comparisons" in summarize(run).reasons
    complete = Path("right.jsonl").read_bytes()
    Path("right.jsonl").write_bytes(complete[: complete.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(RunFileError, match=r"truncated.*--partial"):
        RunFile.load(Path("right.jsonl"))
    assert not summarize(RunFile.load(Path("right.jsonl"), partial=True)).ok
    Path("right.jsonl").write_bytes(complete)
    assert RunFile.load(Path("right.jsonl"), partial=True) == RunFile.load(Path("right.jsonl"))


def test_a_device_is_written_to_and_not_replaced() -> None:
    """`--out /dev/stdout` and pipes."""
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        assert call(*RUN, "--out", "pipe") == 0
        assert reader.stdout is not None
        assert b'"kind": "end"' in reader.stdout.read()
    assert Path("pipe").is_fifo()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shards_put_together_are_the_whole_run(count: int) -> None:
    """The same bytes as in one piece, whatever the order of the files."""
    assert call(*RUN, "--out", "whole.jsonl") == 0
    names = []
    for k in range(count, 0, -1):
        call(*RUN, "--shard", f"{k}/{count}", "--out", f"part{k}.jsonl")
        names.append(f"part{k}.jsonl")
    assert call("merge", *names, "--out", "merged.jsonl") == 0
    assert content("merged.jsonl") == content("whole.jsonl")
    if count == 2:  # also into what cannot be read again
        os.mkfifo("pipe")
        with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
            assert call("merge", *names, "--out", "pipe") == 0
            assert reader.stdout is not None
            assert reader.stdout.read() == Path("merged.jsonl").read_bytes()


def test_other_files_are_not_put_together() -> None:
    """Twice, missing, of another division, of another run, no shard, or cut short: one line each."""
    for shard in ("1/2", "2/2", "1/3"):
        call(*RUN, "--shard", shard, "--out", f"{shard.replace('/', '_')}.jsonl")
    call(*RUN, "--shard", "2/2", "--seed", "1", "--out", "seed.jsonl")
    call(*RUN, "--out", "whole.jsonl")
    run = RunFile.load(Path("1_2.jsonl"))
    RunFile(run.header, run.records[:1], timings=run.timings[:2]).save(Path("cut.jsonl"))
    replace(run, records=run.records[::-1]).save(Path("back.jsonl"))
    for names, text in (
        (("1_2", "1_2"), "are both shard 1/2"),
        (("1_2",), "shard 2 of 2 is missing"),
        (("1_2", "1_3"), "is of 2; allowed: shards of one division"),
        (("1_2", "seed"), "is of another run than 1_2.jsonl: they differ in seed"),
        (("whole",), "is no shard of a run"),
        (("cut", "2_2"), "do not have equal parts of the tasks"),
        (("2_2", "back"), "back.jsonl has records of .* that are not in the order of its tasks"),
    ):
        with pytest.raises(RunFileError, match=text):
            call("merge", *(f"{name}.jsonl" for name in names), "--out", "merged.jsonl")
        assert not Path("merged.jsonl").exists()


def test_a_failure_survives_the_merge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What disagrees in a shard disagrees in the whole, and its exit code is 1."""
    (tmp_path / "halved.py").write_text(
        "import numpy as np\n"
        "from xentcheck.adapters.numpy.adapter import value_and_gradient\n"
        "def halved(*given, **named):\n"
        "    value, gradient = value_and_gradient(*given, **named)\n"
        "    return value, gradient / gradient.dtype.type(2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = ("run", "--impl", "halved:halved", "--framework", "numpy", "--isolation", "none", "--case", "gaussian*")
    codes = [call(*mine, "--shard", f"{k}/2", "--out", f"{k}.jsonl") for k in (1, 2)]
    assert 1 in codes
    assert call("merge", "1.jsonl", "2.jsonl", "--out", "merged.jsonl") == 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/1001", "9" * 5000 + "/1"])
def test_a_bad_shard_is_refused(text: str) -> None:
    """One line, whatever its length."""
    with pytest.raises(click.ClickException) as caught:
        call("run", "--shard", text)
    assert caught.value.exit_code == 2
    assert len(caught.value.format_message()) < 200
