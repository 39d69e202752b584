"""Many seeds of a profile on every installed framework: right implementations must raise no alarm.

`python benchmarks/no_alarm.py --seeds 20 --profile full --out benchmarks/results/no_alarm.jsonl`

One JSON line per seed is appended to the file; seeds that it already has for the same versions are not run again, so
that a killed run goes on where it stopped. Each seed combines options anew, so that JAX compiles anew: with -j each
seed has processes of its own, and without it what was compiled stays in memory (13 GB after five seeds of `full`). The
exit code is 1 if any seed asked for has an alarm.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from xentcheck import adapters
from xentcheck.adapters.spec import Spec
from xentcheck.cases.profiles.named import PROFILES, cases
from xentcheck.errors import OutputError
from xentcheck.records.record import Record
from xentcheck.running.deviations import Deviations, load
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.running.tasks import CaseGroup, Finished, groups_of
from xentcheck.vocabulary import EXECUTED, FAILING

Line = dict[str, Any]

START = '{"seed"'
"""How each line of the file starts."""


def seeds_of(profile: str, count: int) -> list[int]:
    """The first seeds whose draws do not overlap: a profile may draw each case from several successive seeds."""
    draws = len({case.seed for case in cases(profile)})
    return [i * draws for i in range(count)]


def finished(out: Path, versions: dict[str, str], profile: str) -> dict[int, Line]:
    """The lines that the file has for these versions, by seed; a line that a killed run left unfinished is cut off.

    Raises OutputError for a file of another kind.
    """
    if not out.exists():
        return {}
    text = out.read_text()
    whole = text[: text.rfind("\n") + 1]
    try:
        if text[len(whole) :] and not text[len(whole) :].startswith(START):
            raise ValueError("an unfinished line")
        lines = [json.loads(line) for line in whole.splitlines()]
        found = {line["seed"]: line for line in lines if (line["versions"], line["profile"]) == (versions, profile)}
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{out} holds something else than lines of this script: {error}") from error
    if whole != text:
        out.write_text(whole)
    return found


def progress(found: Iterator[Finished], total: int, label: str, console: Console) -> Iterator[Finished]:
    """The groups that are done, with a bar on a terminal and a line every tenth of the way elsewhere."""
    if console.is_terminal:
        yield from track(found, label, total, console=console, transient=True)
        return
    for i, done in enumerate(found):
        if i * 10 // total != (i - 1) * 10 // total:
            click.echo(f"{label}: {i} of {total} groups")
        yield done


def run_groups(groups: list[CaseGroup], subjects: list[Subject], jobs: int) -> Iterator[Finished]:
    """All groups, in this process or in several."""
    if jobs == 1:
        return execute(groups, subjects)
    return execute_parallel(groups, Asked(tuple(Spec(name) for name in adapters.available())), jobs)


def measure(profile: str, seed: int, subjects: list[Subject], jobs: int, console: Console) -> Line:
    """Run one seed: counts of comparisons, elements and outcomes, the first alarm, and the largest shares of a bound
    (deviations apart).
    """
    start = perf_counter()
    chosen = cases(profile, seed)
    deviations = Deviations(load())
    outcomes: Counter[str] = Counter()
    elements: Counter[str] = Counter()
    shares: dict[str, float] = {}
    first: Record | None = None
    groups = groups_of(chosen)
    for done in progress(run_groups(groups, subjects, jobs), len(groups), f"seed {seed}", console):
        for record in map(deviations.apply, done.records):
            place = f"{record.adapter}/{record.device}/{record.dtype}"
            outcomes[record.outcome] += 1
            elements[place] += record.elements
            if record.outcome in EXECUTED and record.outcome != "deviation" and record.share is not None:
                shares[place] = max(shares.get(place, 0.0), record.share)
            if record.outcome in FAILING and first is None:
                first = record
    return {
        "seed": seed,
        "profile": profile,
        "seconds": round(perf_counter() - start, 1),
        "cases": len(chosen),
        "comparisons": sum(outcomes[outcome] for outcome in EXECUTED),
        "elements": dict(sorted(elements.items())),
        "outcomes": dict(sorted(outcomes.items())),
        "largest_share": {place: round(share, 6) for place, share in sorted(shares.items())},
        "first_alarm": None if first is None else first.to_json(),
    }


def alarms(line: Line) -> int:
    """How many comparisons of a seed failed; a seed without comparisons counts as one alarm."""
    failed = sum(int(line["outcomes"].get(outcome, 0)) for outcome in FAILING)
    return failed if line["comparisons"] else max(failed, 1)


def told(line: Line) -> str:
    """One line about a seed."""
    text = f"seed {line['seed']}: {line['comparisons']} comparisons, {sum(line['elements'].values())} elements"
    first = line["first_alarm"]
    tail = f"; first: {first['quantity']} of {first['replay']}" if first else ""
    return f"{text}, {alarms(line)} alarms, {line['seconds']} s{tail}"


@click.command()
@click.option("--seeds", default=20, show_default=True, type=click.IntRange(min=1), help="how many seeds, from 0 on")
@click.option("--profile", default="full", show_default=True, type=click.Choice(PROFILES))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON Lines to append to")
@click.option("-j", "jobs", default=1, show_default=True, type=click.IntRange(min=1), help="worker processes")
def main(seeds: int, profile: str, out: Path, jobs: int) -> None:
    """Run the seeds that the file does not have yet, and report on all of them."""
    console = Console()
    installed = adapters.available()
    versions = {"xentcheck": version("xentcheck"), **{name: a.version() for name, a in installed.items()}}
    wanted = seeds_of(profile, seeds)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        known = finished(out, versions, profile)
    except OSError as error:
        click.echo(f"no_alarm: {error}", err=True)
        sys.exit(2)
    subjects = [subject for adapter in installed.values() for subject in subjects_of(adapter)]
    click.echo(f"{', '.join(f'{k} {v}' for k, v in versions.items())}; {len(set(wanted) & set(known))} seeds known")
    for seed in (s for s in wanted if s not in known):
        known[seed] = {**measure(profile, seed, subjects, jobs, console), "versions": versions}
        with out.open("a") as file:
            file.write(json.dumps(known[seed]) + "\n")
        click.echo(told(known[seed]))
    lines = [known[seed] for seed in wanted]
    comparisons, failed = sum(line["comparisons"] for line in lines), sum(map(alarms, lines))
    click.echo(f"{len(lines)} seeds, {comparisons} comparisons, {failed} alarms")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
