"""A million records: what it takes to summarise, compare, merge, table and report a run file of them.

`python benchmarks/records.py RUN.jsonl` repeats the records of a real run with other case ids, in a temporary folder,
and prints memory and seconds of each command, with its limits. The exit code is 1 if a limit is missed.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

MEMORY = 1024
"""MiB that a command may take at its peak."""

SEEDS = 1000
"""Numbers that the copies of a case have in its id."""


def repeated(source: Path, records: int) -> Iterator[str]:
    """The lines of a run file of so many records: each of the source, again and again with the seed of another case."""
    with source.open(encoding="utf-8") as file:
        there = sum('"kind": "record"' in line for line in file)
    with source.open(encoding="utf-8") as file:
        number = 0
        for line in file:
            data = json.loads(line)
            if data["kind"] == "header":
                yield json.dumps({**data, "planned": records}, sort_keys=True)
            elif data["kind"] == "end":
                yield json.dumps({**data, "records": records}, sort_keys=True)
            elif data["kind"] != "record":
                yield line.rstrip("\n")
            else:
                copies = records * (number + 1) // there - records * number // there
                number += 1
                yield from (json.dumps(copy(data, SEEDS + i), sort_keys=True) for i in range(copies))


def copy(data: dict[str, Any], seed: int) -> dict[str, Any]:
    """A record of the same case with another seed."""
    case = re.sub(r"s\d+$", f"s{seed}", data["case"])
    return {**data, "case": case, "replay": data["replay"].replace(data["case"], case)}


def write_repeated(source: Path, path: Path, records: int, **header: Any) -> None:
    """A run file of so many records."""
    with path.open("w", encoding="utf-8") as file:
        for i, line in enumerate(repeated(source, records)):
            file.write(json.dumps({**json.loads(line), **header}, sort_keys=True) + "\n" if i == 0 else f"{line}\n")


def measured(*arguments: str) -> tuple[float, float, float]:
    """MiB at the peak, CPU seconds and seconds of a command of xentcheck, which ends with 0 or 1."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    script = (
        "import resource, sys; from xentcheck.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise click.ClickException(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(done.stderr.split()[-1]) / 1024, cpu, time.perf_counter() - start


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--records", default=1_000_000, show_default=True, type=click.IntRange(min=1))
@click.option("--folder", type=click.Path(path_type=Path), help="Where the files go; by default a temporary folder.")
@click.option("--only", multiple=True, help="Only commands whose name starts so; repeatable.")
def main(source: Path, records: int, folder: Path | None, only: tuple[str, ...]) -> None:
    """Measure the commands that read run files, on files made of SOURCE."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        sys.exit(int(not run(source, records, Path(name), only)))


def run(source: Path, records: int, folder: Path, only: tuple[str, ...]) -> bool:
    """Whether all commands kept their limits."""
    large, other, shards = folder / "large.jsonl", folder / "other.jsonl", [folder / f"{k}.jsonl" for k in (1, 2)]
    commands = {
        "report": ("report", str(large), "--out", str(folder / "report")),
        "report --format parquet": ("report", str(large), "--format", "parquet", "--out", str(folder / "report")),
        "compare": ("compare", str(large), str(other)),
        "table": ("table", str(large), "--out", str(folder / "table.md")),
        "merge": ("merge", *map(str, shards), "--out", str(folder / "whole.jsonl")),
    }
    chosen = {name: given for name, given in commands.items() if not only or name.startswith(only)}
    write_repeated(source, large, records)
    if "compare" in chosen:
        write_repeated(source, other, records, seed=1)
    if "merge" in chosen:
        for k, path in enumerate(shards, 1):
            write_repeated(source, path, records // 2, shard=f"{k}/2")
    click.echo(f"{records:,} records, {large.stat().st_size / 2**20:,.0f} MiB")
    kept = True
    for name, arguments in chosen.items():
        memory, cpu, seconds = measured(*arguments)
        kept &= memory <= MEMORY
        told = "" if memory <= MEMORY else "  MISSED"
        click.echo(f"{name:24} {memory:7.0f} MiB (at most {MEMORY}) {cpu:7.1f} CPU s {seconds:7.1f} s{told}")
    return kept


if __name__ == "__main__":
    main()
