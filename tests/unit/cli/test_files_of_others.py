"""What a command writes takes the place of a file of its own kind, and of no other: one line, exit code 2, all kept."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from command import xentcheck

from xentcheck.cli.main import COMMANDS, command_named
from xentcheck.errors import OutputError
from xentcheck.records.paths import RUN_FILE, keep_others

CASE = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"
FEW = ("--adapter", "numpy", "--case", CASE)
NUMPY = ("--adapter", "numpy", "--dtype", "float32")

WRITTEN = {
    "run --out": (("run", *FEW, "--out", "x.jsonl"), "x.jsonl", "run file"),
    "run --out, journal": (("run", *FEW, "--out", "x.jsonl"), "x.jsonl.partial", "journal"),
    "run --resume, journal": (("run", *FEW, "--resume", "--out", "x.jsonl"), "x.jsonl.partial", "journal"),
    "run --save": (("run", *FEW, "--save", "./x.jsonl"), "x.jsonl", "baseline"),
    "run --report, page": (("run", *FEW, "--report", "x"), "x/report.html", "report page"),
    "run --report, Markdown": (("run", *FEW, "--report", "x"), "x/report.md", "report page"),
    "run --report, data": (("run", *FEW, "--report", "x"), "x/report.json", "report"),
    "merge --out": (("merge", "run.jsonl", "--out", "x.jsonl"), "x.jsonl", "run file"),
    "report --out": (("report", "run.jsonl", "--out", "x"), "x/report.md", "report page"),
    "table --out, page": (("table", "run.jsonl", "--out", "x.md"), "x.md", "table page"),
    "table --out, data": (("table", "run.jsonl", "--out", "x.json"), "x.json", "table"),
    "compare --markdown": (("compare", "run.jsonl", "run.jsonl", "--markdown", "x.md"), "x.md", "comparison page"),
    "compare --html": (("compare", "run.jsonl", "run.jsonl", "--html", "x.html"), "x.html", "comparison page"),
    "gate --markdown": (("gate", "./base.jsonl", *NUMPY[:2], "--markdown", "x.md"), "x.md", "gate page"),
    "gate --report": (("gate", "./base.jsonl", *NUMPY[:2], "--report", "x"), "x/report.html", "report page"),
    "replay --script": (("replay", CASE, *NUMPY[:2], "--script", "x.py"), "x.py", "script"),
    "accuracy --out": (("accuracy", *NUMPY, "--rounds", "0", "--out", "x.md"), "x.md", "accuracy page"),
    "faults --out": (("faults", "--framework", "numpy", "--out", "x.md"), "x.md", "faults page"),
    "explain --html": (("explain", "--html", "x.html"), "x.html", "derivation page"),
}
"""By option: a command, the file that it would write, and the kind of that file."""

CHEAP = ("run --out", "run --save", "table --out, page", "table --out, data", "compare --markdown", "compare --html")
CHEAP += ("gate --markdown", "accuracy --out", "explain --html")
"""Options that are tried twice; of a report, a script and a merged run other tests do it."""

ELSEWHERE = {"fuzz --saved", "gate --update"}
"""Options whose file is read first: one of another kind is no saved cases, and no baseline."""

READ = {"--deviations", "--repeat"}
"""Options that name files, and write none."""

NOTES = b"# Agreement\n\n<!-- xentcheck --> \"tool\": 'xentcheck', what I found by hand\n"
"""A file of somebody's own, which speaks of the tool in the first lines."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run file and its baseline."""
    folder = tmp_path_factory.mktemp("runs")
    done = xentcheck("run", *FEW, "--out", "run.jsonl", "--save", "./base.jsonl", cwd=folder)
    assert done.returncode == 0
    return folder


@pytest.fixture
def here(runs: Path, tmp_path: Path) -> Path:
    """A folder of a test's own with the two."""
    for path in runs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("option", WRITTEN)
def test_no_file_of_another_kind_is_replaced(option: str, here: Path) -> None:
    """Of somebody else, or of xentcheck's own: told before anything is run, and nothing else is written."""
    command, name, kind = WRITTEN[option]
    path = here / name
    path.parent.mkdir(exist_ok=True)
    others = [b"\xff\xfe notes", NOTES]
    if kind != "journal":  # which is a run file that is not whole
        others += [(here / other).read_bytes() for other in ("run.jsonl", "base.jsonl")]
    for text in others:
        if kind == {"run.jsonl": "run file", "base.jsonl": "baseline"}.get(_source(text, here)):
            continue
        path.write_bytes(text)
        before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}
        done = xentcheck(*command, cwd=here)
        assert done.returncode == 2
        assert done.stderr == f"xentcheck: {name} is there, and is no {kind} of xentcheck: it is kept; allowed: " + (
            "another --out\n" if kind == "journal" else "another name\n"
        )
        assert done.stdout == ""
        assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file()} == before


def _source(text: bytes, here: Path) -> str:
    return next((p.name for p in (here / "run.jsonl", here / "base.jsonl") if p.read_bytes() == text), "")


@pytest.mark.parametrize("option", CHEAP)
def test_what_a_command_wrote_before_is_replaced(option: str, here: Path) -> None:
    """The second call writes the same file again, which this test alone does with each command and kind of file."""
    command, name, _ = WRITTEN[option]
    path = here / name
    assert xentcheck(*command, cwd=here).returncode == 0
    first = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*first[:2], b"of a run before"]))
    assert xentcheck(*command, cwd=here).returncode == 0
    assert path.read_bytes().splitlines()[1:3] == first[1:3]


@pytest.mark.parametrize("kind", ["own", "run file"])
def test_a_baseline_is_written_in_the_place_of_one(kind: str, here: Path) -> None:
    """`gate --update`: a run file, which may stand for a baseline, is kept; alone this updates one."""
    base = here / {"own": "base.jsonl", "run file": "run.jsonl"}[kind]
    before = base.read_bytes()
    done = xentcheck("gate", f"./{base.name}", *NUMPY[:2], "--update", cwd=here)
    assert (done.returncode, base.read_bytes()) == (0 if kind == "own" else 2, before)
    if kind == "run file":
        assert done.stderr == "xentcheck: run.jsonl is there, and is no baseline of xentcheck: it is kept; " + (
            "allowed: another name\n"
        )


def test_saved_cases_take_the_place_of_no_other_file(here: Path) -> None:
    """`fuzz --saved` reads its file first."""
    (here / "x.txt").write_bytes(NOTES)
    done = xentcheck("fuzz", *NUMPY[:2], "--minutes", "0.001", "--saved", "x.txt", cwd=here)
    assert done.returncode == 2
    assert done.stderr.startswith("xentcheck: saved cases x.txt, line 1: case id ")
    assert (here / "x.txt").read_bytes() == NOTES


def test_a_file_that_cannot_be_read_is_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder may be written to: what is in it is not known, and not thrown away."""

    def refuse(path: Path, *how: str, **named: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=r"and cannot be read \(Permission denied\): it is kept$"):
        keep_others(here / "run.jsonl", RUN_FILE)


def test_each_option_that_names_a_file_is_in_the_table() -> None:
    """A new one is tried as well."""
    named = {
        f"{name} {option.opts[-1]}"
        for name in COMMANDS
        for option in command_named(name).params
        if isinstance(option, click.Option) and isinstance(option.type, click.Path) and option.opts[-1] not in READ
    }
    tried = {option.partition(",")[0] for option in WRITTEN} | ELSEWHERE
    assert named <= tried
    assert tried - named == {"run --resume", "run --save", "gate --update"}
