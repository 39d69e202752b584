"""Change the code one line at a time, and see whether the tests notice: `python benchmarks/mutate.py --jobs 2`.

Changes are made by rules (`mutation/rules.py`) and by hand (`mutation/by_hand.toml`), each in a copy of the tree, where
the test modules of the changed file run until one fails. Survivors are printed unless the table says why no test can
notice them. Each result is a line of a file, so that a killed run goes on where it stopped; a result holds as long as
neither the line nor the tests that it rests on have changed. The exit code is 1 if less than 95 % of the other changes
are killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import pytest
from mutation.equivalent import EQUIVALENT
from mutation.rules import Change, changes
from mutation.tests_of import EACH, SHARE, TESTS, place_of

ROOT = Path(__file__).parents[1]
PACKAGES = {"reference": "reference", "adapters": "adapters", "reports": "reports", "museum": "tests/museum"}
COPIED = ("reference", "adapters", "reports", "src", "tests", "docs", "benchmarks", "examples", "pyproject.toml")
ENOUGH = 0.95
LIMIT = 900
"""Seconds for the tests of a change; running for longer counts as killed."""

STRANGE = 99
"""Exit code of a child in which pytest itself raises."""

PRELOADED = ("numpy", "ml_dtypes", "flint", "click", "rich.progress", "torch")
"""What tests import and no change concerns."""

WITHOUT = ("-p", "no:cacheprovider", "-p", "no:budgets")
"""Plugins that tests of a change run without: what a test costs where loops are compiled anew says nothing of it."""

FOLDER = ROOT
"""A worker's copy of the tree."""

PASSING: set[str] = set()
"""Tests that are known to pass there without a change."""


def by_hand(root: Path = ROOT) -> list[Change]:
    """The changes of the table. Raises ValueError for one whose text is not in its file exactly once."""
    found = []
    for file, entries in tomllib.loads((Path(__file__).parent / "mutation" / "by_hand.toml").read_text()).items():
        source = (root / file).read_text()
        for entry in entries:
            before = entry["before"]
            if source.count(before) != 1:
                raise ValueError(f"{file} has {source.count(before)} times: {before!r}")
            line = source[: source.index(before)].count("\n") + 1
            found.append(Change(file, line, before, entry["after"], entry["about"], by_hand=True))
    return found


def by_rule(each: int, root: Path = ROOT) -> list[Change]:
    """Some changes of each file, spread over its rules, always the same ones; 0: all."""
    found = []
    for file in TESTS:
        made = sorted(changes(file, (root / file).read_text()), key=lambda c: c.order)
        found += made[: SHARE.get(file, EACH) * each // EACH if each else None]
    return found


def changed(change: Change, source: str) -> str:
    """The file with the change in it."""
    if change.by_hand:
        return source.replace(change.before, change.after, 1)
    lines = source.splitlines(keepends=True)
    lines[change.line - 1] = lines[change.line - 1].replace(change.before, change.after, 1)
    return "".join(lines)


def copied(folder: Path) -> Path:
    """A copy of the tree in which `xentcheck` can be imported from `src`."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
        elif source.exists():
            shutil.copy(source, folder / name)
    for package, place in PACKAGES.items():
        (folder / "src" / "xentcheck" / package).symlink_to(folder / place)
    return folder


def judged(change: Change) -> str:
    """The test that fails in the worker's copy of the tree with the change, or an empty string.

    Raises RuntimeError if that test fails without the change, too.
    """
    path = FOLDER / change.file
    source = path.read_text()
    try:
        path.write_text(changed(change, source))
        killer = fails(TESTS[change.file])
    finally:
        path.write_text(source)
    name = killer.partition("[")[0]
    if killer and name not in PASSING:
        if broken := fails((killer,)):
            raise RuntimeError(f"{broken} fails without a change")
        PASSING.add(name)
    return killer


def failing(tests: Sequence[str], folder: Path) -> str:
    """The first of some tests, in their order, that fails in a process forked from one with the imports done."""
    out = folder / "output.txt"
    child = os.fork()
    if not child:
        try:
            signal.alarm(LIMIT)
            with out.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.chdir(folder)
            os.environ["PYTHONPATH"] = str(folder / "src")
            sys.path.insert(0, str(folder / "src"))
            os._exit(int(pytest.main(["-x", "-q", "--tb=no", "--assert=plain", *WITHOUT, *tests])))
        finally:
            os._exit(STRANGE)
    _, status = os.waitpid(child, 0)
    if not status:
        return ""
    if os.waitstatus_to_exitcode(status) == STRANGE:
        raise RuntimeError(f"pytest does not start: {out.read_text()[-500:]}")
    failed = re.search(r"^(?:FAILED|ERROR) tests/(?:\w+/)*(\w+)\.py(::\S.*?)?(?: - |$)", out.read_text(), re.MULTILINE)
    return f"{failed[1]}{failed[2] or ''}" if failed else Path(tests[0]).name.partition(".py")[0]


def at_work(temporary: str) -> None:
    """Give a worker a copy of the tree of its own."""
    global FOLDER
    sys.dont_write_bytecode = True
    FOLDER = Path(temporary) / str(os.getpid())
    FOLDER.mkdir()
    copied(FOLDER)


def fails(tests: Sequence[str]) -> str:
    """The first of some tests, each a module or a part of one, that fails in the worker's copy as it is."""
    named = (test.partition("::") for test in tests)
    paths = [f"{FOLDER / place_of(module)}{separator}{name}" for module, separator, name in named]
    return failing(paths, FOLDER)


def digest(change: Change, killer: str) -> str:
    """Of the change and of the tests that its result rests on: the one that failed, or all that did not."""
    names = (killer,) if killer else TESTS[change.file]
    tests = [ROOT / place_of(module) for module in dict.fromkeys(name.partition("::")[0] for name in names)]
    text = "".join(test.read_text() for test in tests if test.exists())
    asked = "" if killer else " ".join(names)
    return sha256(f"{change.key} {change.line} {asked}{text}".encode()).hexdigest()[:16]


@click.command()
@click.option("--each", default=EACH, show_default=True, help="Changes by rule of a file; 0 for all.")
@click.option("--only", multiple=True, help="Only files whose name holds this text.")
@click.option("--jobs", "-j", default=1, show_default=True, help="Copies of the tree that work at a time.")
@click.option("--out", type=Path, default=ROOT / "benchmarks" / "results" / "mutations.jsonl", show_default=True)
@click.option("--show", is_flag=True, help="Print the changes without running a test.")
def main(each: int, only: tuple[str, ...], jobs: int, out: Path, show: bool) -> None:
    """Change the code one line at a time, and see whether the tests notice."""
    todo = [c for c in (*by_hand(), *by_rule(each)) if not only or any(text in c.file for text in only)]
    if show:
        for change in todo:
            print(f"{change.file}:{change.line} [{change.rule}]\n  - {change.before}\n  + {change.after}")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for line in out.read_text().splitlines() if out.exists() else ():
        entry = json.loads(line)
        known[entry["change"], entry["line"]] = entry
    for name in PRELOADED:
        with suppress(ImportError):
            import_module(name)
    found = {}
    for change in todo:
        entry = known.get((change.key, change.line), {})
        if entry.get("digest") == digest(change, entry.get("killed_by", "")):
            found[change] = entry["killed_by"]
    new = [c for c in todo if c not in found]
    before = {c: digest(c, "") for c in new}
    with (
        TemporaryDirectory() as temporary,
        out.open("a") as file,
        ProcessPoolExecutor(jobs, get_context("fork"), at_work, (temporary,)) as pool,
    ):
        for change, killer in zip(new, pool.map(judged, new), strict=True):
            found[change] = killer
            rests_on = digest(change, killer) if killer else before[change]
            line = {"change": change.key, "line": change.line, "digest": rests_on, "killed_by": killer}
            file.write(json.dumps(line) + "\n")
            file.flush()
    results = [(change, found[change]) for change in todo]
    sys.exit(report(results))


def report(results: list[tuple[Change, str]]) -> int:
    """Print what was killed by what and what survived; the exit code."""
    equivalent = [c for c, killer in results if not killer and c.key in EQUIVALENT]
    survived = [c for c, killer in results if not killer and c.key not in EQUIVALENT]
    for module, n in Counter(k.partition("::")[0] for _, k in results if k).most_common():
        print(f"{n:5} killed by {module}")
    for change in equivalent:
        print(f"equivalent: {change.key}\n  {EQUIVALENT[change.key]}")
    for change in survived:
        print(f"survived: {change.file}:{change.line} [{change.rule}]\n  - {change.before}\n  + {change.after}")
    counted = len(results) - len(equivalent)
    share = 1.0 - len(survived) / counted if counted else 0.0
    print(
        f"{len(results)} changes: {counted - len(survived)} killed, {len(survived)} survived ({share:.1%} killed), ",
        end="",
    )
    print(f"{len(equivalent)} equivalent")
    return int(not share >= ENOUGH)


if __name__ == "__main__":
    main()
