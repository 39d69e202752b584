"""The museum on whole profiles: what kills each fault, and that no right implementation raises an alarm.

`python benchmarks/museum.py` compares with the tables that the gate judges by, tests/museum/kills.json and
closest.json; `--write` makes them anew. The exit code is 1 if a side of a fault is accused by no case of `full`, if
less than 90 % of the faults are caught by `quick`, if a right implementation raises an alarm, or if a table is stale.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import PROFILES, cases
from xentcheck.museum import tables
from xentcheck.records.findings import is_right
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import load
from xentcheck.studies.kill_table.faults import LAW, by_name, frameworks_of, subjects_for, witnesses
from xentcheck.vocabulary import DTYPES, EXECUTED, FAILING

HERE = Path(__file__).parents[1] / "tests" / "museum"
QUICK_SHARE = 0.9

Row = dict[str, Any]


def kills_of(framework: str, fault: str) -> dict[str, str]:
    """Side -> what accuses it, in `quick` if that does, and in `full` if not; what the table has is tried first."""
    planted = by_name(framework)[fault]
    known = {case for rows in tables.read(tables.KILLS).values() for case in rows.get(fault, {}).values()}
    found: dict[str, str] = {}
    for profile in ("quick", "full"):
        if found.keys() < planted.fault.caught:
            chosen = sorted(profile_cases(profile), key=lambda case: str(case) not in known)
            found = witnesses(planted, chosen) | found
    return found


def lacks(framework: str, fault: str) -> bool:
    """Whether the table has not every side of a fault, or a case that `quick` has no longer."""
    row = tables.read(tables.KILLS).get(framework, {}).get(fault, {})
    gone = {case for side, case in row.items() if side != LAW} - set(map(str, profile_cases("quick")))
    return bool(gone) or row.keys() != by_name(framework)[fault].fault.caught


@cache
def profile_cases(profile: str) -> tuple[Case, ...]:
    """The cases of a profile, made once."""
    return tuple(cases(profile))


def silence_of(framework: str, names: Sequence[str], profile: str, dtype: str) -> tuple[list[str], dict[str, Row]]:
    """The alarms of right implementations in one dtype, and for each the case that uses up most of its bound.

    What is made of a framework's own functions has its known faults: such a disagreement is no alarm.
    """
    subjects = [subjects_for(by_name(framework)[name])[0] for name in names]
    faults = [entry for entry in load() if entry.adapter == framework]
    alarms: list[str] = []
    closest: dict[str, Row] = {}
    for case in profile_cases(profile):
        if case.inputs or case.dtype != dtype:
            continue
        problem = build(case)
        for r in run_case(case, [s for s in subjects if not s.adapter.unsupported(problem)]):
            if r.outcome in FAILING and not any(entry.selects(replace(r, adapter=framework)) for entry in faults):
                alarms.append(f"{framework} {r.adapter}: {r.quantity} of {case}: {r.outcome} {r.reason}, {r.share}")
            elif r.outcome in EXECUTED and (r.share or 0.0) > closest.get(r.adapter, {}).get("share", 0.0):
                closest[r.adapter] = {"share": r.share, "case": str(case)}
    return alarms, closest


def stale(table: dict[str, dict[str, Any]], name: str, write: bool) -> list[str]:
    """Write a table, or say where the one that is there differs; frameworks that were not asked for stay."""
    if write:
        (HERE / name).write_text(tables.text_of(tables.read(name) | table), encoding="utf-8")
        return []
    known = tables.read(name)
    return [
        f"{name}: {framework} {row} is {known.get(framework, {}).get(row)}, and was found to be {found}"
        for framework, rows in table.items()
        for row, found in rows.items()
        if known.get(framework, {}).get(row) != found
    ]


def kill_problems(table: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The sides that nothing accuses, and a profile `quick` that catches too little."""
    quick = {str(case) for case in profile_cases("quick")}
    for framework, rows in table.items():
        caught = 0
        for fault, row in rows.items():
            caught += all(side == LAW or case in quick for side, case in row.items()) and bool(row)
            if missing := by_name(framework)[fault].fault.caught - set(row):
                yield f"{framework} {fault}: {', '.join(sorted(missing))} is accused by no case of full"
        click.echo(f"{framework}: quick catches {caught} of {len(rows)} on every side")
        if caught < QUICK_SHARE * len(rows):
            yield f"{framework}: quick catches only {caught} of {len(rows)}"


@click.command()
@click.option("--framework", "frameworks", multiple=True, help="all that are installed if none is named")
@click.option("--fault", "only", default="", help="only those whose name starts so")
@click.option(
    "--missing", is_flag=True, help="only faults of which the table lacks a side or names a case that is gone"
)
@click.option("--part", type=click.Choice(("kills", "silence")), help="only the faults, or only the right ones")
@click.option("--profile", default="full", show_default=True, type=click.Choice(PROFILES), help="of the right ones")
@click.option("--write", is_flag=True, help="write the tables that the gate judges by")
@click.option("-j", "jobs", default=1, show_default=True, type=click.IntRange(min=1), help="processes")
def main(
    frameworks: tuple[str, ...], only: str, missing: bool, part: str | None, profile: str, write: bool, jobs: int
) -> None:
    """Hunt every fault and run every right implementation."""
    names = [(f, name) for f in frameworks_of(frameworks) for name in by_name(f) if name.startswith(only)]
    faults = [(f, name) for f, name in names if not is_right(name) and part != "silence"]
    if missing:
        faults = [x for x in faults if lacks(*x)]
    silent = [(f, name) for f, name in names if name.startswith("none-") and part != "kills"]
    right = [(f, d) for f in dict.fromkeys(f for f, _ in silent) for d in DTYPES]
    problems: list[str] = []
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        rights = [(f, d, pool.submit(silence_of, f, [n for g, n in silent if g == f], profile, d)) for f, d in right]
        hunted = zip(faults, pool.map(kills_of, *zip(*faults, strict=True)) if faults else (), strict=True)
        kills: dict[str, dict[str, Any]] = {}
        for (framework, fault), found in hunted:
            kills.setdefault(framework, {})[fault] = found
            click.echo(f"{framework} {fault}: {found}")
        closest: dict[str, dict[str, Any]] = {}
        for framework, dtype, done in rights:
            alarms, near = done.result()
            problems += alarms
            click.echo(f"{framework} {dtype}: {len(near)} right implementations, {len(alarms)} alarms")
            for name, row in near.items():
                closest.setdefault(framework, {}).setdefault(name, []).append(row["case"])
    problems += [*kill_problems(kills)]
    partly = bool(only) or missing
    for table, name in ((kills, tables.KILLS), (closest, tables.CLOSEST)):
        kept = {f: {n: row for n, row in tables.read(name).get(f, {}).items() if n in by_name(f)} for f in table}
        whole = {f: kept[f] | rows for f, rows in table.items()} if partly else table
        problems += stale(whole, name, write)
    for line in problems:
        click.echo(line)
    sys.exit(int(bool(problems)))


if __name__ == "__main__":
    main()
