"""Numbers too large, control characters, full disks and closed pipes: one clear line and exit code 2, or quiet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import xentcheck

MAIN = "from xentcheck.cli import main; main()"
CASE = "gaussian.*.f32.index.plain.sum.*"
DIGITS = "9" * 5000


def run(*arguments: str, folder: Path, **named: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=120, **named)  # type: ignore[call-overload, no-any-return]  # as given


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "-j", "1" + "0" * 23),
        ("run", "-j", DIGITS),
        ("run", "--timeout", "1e10"),
        ("run", "--seed", DIGITS),
        ("run", "--accuracy", DIGITS),
        ("run", "--adapter", "numpy", "--large", "5by\x1b[31m3"),
        ("audit", "--atol", "1", "--rtol", "1", "--shape", f"{DIGITS},3"),
        ("audit", "--atol", "1", "--rtol", "1", "--shape", "1000000000000000000,3"),
        ("project", "numpy", "--shape", "3,1000000000000000000"),
        ("project", "numpy", "--shape", "0,3"),
        ("project", "numpy", "--shape", "3,4,5"),
        ("project", "numpy", "--shape", "3,4", "--probes", DIGITS),
        ("fuzz", "--minutes", "1e300"),
        ("explain", "--logits", "[" * 5000),
        ("replay", "\x1b[31mred", "--adapter", "numpy"),
        ("replay", "x" * 5000, "--adapter", "numpy"),
        ("report", "\x1b[31mred.jsonl"),
    ],
    ids=lambda arguments: " ".join(arguments)[:30].replace("\x1b", "ESC"),
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """What, where, what is allowed; no traceback, no escape sequence, and exit code 2."""
    done = xentcheck(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("xentcheck: ")
    assert line.isprintable()
    assert done.stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize(
    "arguments",
    [("run", "--list-cases"), ("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4,5")],
    ids=lambda words: words[0],
)
def test_a_full_disk_behind_standard_output_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """No traceback, and no exit code of agreement."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", MAIN, *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "xentcheck: standard output cannot be written: No space left on device\n"


def test_whoever_has_read_enough_is_told_nothing(tmp_path: Path) -> None:
    """`| head -1`: no traceback, no line."""
    command = f'"{sys.executable}" -c "{MAIN}" run --list-cases --profile full | head -1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_whoever_reads_no_table_is_told_nothing(tmp_path: Path) -> None:
    """Tables end by a SystemExit of rich, where other lines end by an OSError."""
    replay = "replay edges.1x10.f32.index.plain.mean.up-one.contig.s0 --adapter numpy"
    command = f'"{sys.executable}" -c "{MAIN}" {replay} | true'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_behind_a_file_is_one_line(tmp_path: Path) -> None:
    """A run file that cannot be written ends the run with what and why."""
    done = run("run", "--adapter", "numpy", "--case", CASE, "--out", "/dev/full", folder=tmp_path)
    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_file_of_brackets_or_escapes_harms_nobody(tmp_path: Path) -> None:
    """Nested brackets are refused; what was recorded with escape sequences does not reach a terminal or a page raw."""
    assert xentcheck("run", "--adapter", "numpy", "--case", CASE, "--out", "run.jsonl", cwd=tmp_path).returncode == 0
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    (tmp_path / "deep.jsonl").write_text("\n".join([lines[0], "[" * 100_000, *lines[1:]]))
    done = xentcheck("report", "deep.jsonl", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    changed = [json.loads(line) for line in lines]
    for line in changed:
        if line["kind"] == "record":
            line.update(outcome="error", reason="\x1b[31mred\udcff <b>", adapter="a\x1b]0;title\x07\udc80")
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    done = xentcheck("report", "odd.jsonl", "--out", "pages", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for page in ("report.md", "report.html"):
        text = (tmp_path / "pages" / page).read_text()
        assert "\x1b" not in text
        assert "red" in text
