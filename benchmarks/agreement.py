"""The pages of docs/agreement, made anew: what the versions in constraints.txt do, on this machine.

`tox run -e agreement`, or `python benchmarks/agreement.py -j 2` where all of them are installed.

table.json holds the largest errors of a run of `quick`, table.md is made from it, and report.md is the report of the
same run, whose file itself is too large to keep.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from xentcheck.cli.main import cli

FOLDER = Path(__file__).parents[1] / "docs" / "agreement"


def write(jobs: str, folder: Path) -> None:
    """Run `quick` of all that is installed, and write the pages into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        run, report = str(Path(scratch, "run.jsonl")), Path(scratch, "report")
        cli.main(
            ["run", "--profile", "quick", "-j", jobs, "--out", run, "--report", str(report)], standalone_mode=False
        )
        cli.main(["table", run, "--out", str(folder / "table.json")], standalone_mode=False)
        shutil.copy(report / "report.md", folder / "report.md")
    page(folder)


def page(folder: Path) -> None:
    """Write table.md from table.json."""
    cli.main(["table", str(folder / "table.json"), "--out", str(folder / "table.md")], standalone_mode=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--jobs", default="auto")
    write(parser.parse_args().jobs, FOLDER)
