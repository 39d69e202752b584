"""Two run files record by record: `python benchmarks/same_records.py OLD.jsonl NEW.jsonl`, as before and after a move.

Every field of every finding has to be the same, bits included, in the same order; timings, host, and the header's plan
may differ. Files of older schemas are read. The exit code is 1 if something differs; the first differences are printed.
"""

from __future__ import annotations

import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from xentcheck.records.run import FIELDS, RunFile

SHOWN = 10


def fields_that_differ(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is not the same in two findings, in words."""
    names = dict.fromkeys((*old, *new))
    return [f"{name}: {old.get(name)!r} -> {new.get(name)!r}" for name in names if old.get(name) != new.get(name)]


@click.command()
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
def main(old: Path, new: Path) -> None:
    """Compare two run files."""
    before, after = RunFile.load(old), RunFile.load(new)
    compared = different = 0
    for name in FIELDS.values():
        for one, other in zip_longest(getattr(before, name), getattr(after, name)):
            compared += 1
            given = [{} if found is None else found.to_json() for found in (one, other)]
            if found := fields_that_differ(*given):
                different += 1
                if different <= SHOWN:
                    print(f"{name}, {given[0].get('case', given[1].get('case', ''))}: {'; '.join(found)[:500]}")
    if before.failures != after.failures:
        different += 1
        print(f"failures: {before.failures} -> {after.failures}")
    print(f"{compared} findings compared, {different} differ")
    sys.exit(0 if compared and not different else 1)


if __name__ == "__main__":
    main()
