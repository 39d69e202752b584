"""Kill runs at random, resume them, and compare: `python benchmarks/kills.py -- --profile full --adapter numpy`.

What is killed is the command itself, one of its workers, or an isolated implementation, by SIGKILL or SIGTERM. A run
that ends without being complete is resumed until it is. Each has to end with the bytes of a run that nobody killed,
timings and host aside, and 5 seconds after the command no process of it may be left. Exit code 1 if one does not.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from processes import descendants, left_after

MAIN = "from xentcheck.cli import main; main()"


def content(path: Path) -> list[dict[str, Any]]:
    """A run file without what equal runs may differ in."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0].pop("host")
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def begun(command: list[str]) -> subprocess.Popen[bytes]:
    """The command, whose output nobody reads."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@click.command()
@click.option("--kills", default=50, show_default=True, type=click.IntRange(min=1), help="Runs that are killed.")
@click.option("--seed", default=0, show_default=True, help="Of who is killed, when and how.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(kills: int, seed: int, arguments: tuple[str, ...]) -> None:
    """Kill runs with these arguments of `xentcheck run`."""
    draw = random.Random(seed)
    outcomes: Counter[str] = Counter()
    wrong = 0
    with TemporaryDirectory() as temporary:
        out, right = Path(temporary) / "run.jsonl", Path(temporary) / "right.jsonl"
        base = [sys.executable, "-c", MAIN, "run", *arguments, "--out"]
        start = time.monotonic()
        begun([*base, str(right)]).wait()
        whole = time.monotonic() - start
        expected = content(right)
        click.echo(f"a run takes {whole:.1f} s and finds {len(expected)} lines")
        for i in range(kills):
            run, tries = begun([*base, str(out)]), 1
            while True:
                time.sleep(draw.uniform(0.1, 0.9) * whole if tries < 4 else 0)
                pids = descendants(run.pid)
                if tries < 4 and run.poll() is None:
                    victim = draw.choice([pids[0], draw.choice(pids)])
                    number = draw.choice([signal.SIGKILL, signal.SIGTERM])
                    who = "the command" if victim == pids[0] else "a process of its own"
                    outcomes[f"{number.name} to {who}"] += 1
                    run.send_signal(number) if victim == pids[0] else subprocess.run(
                        ["kill", f"-{number.value}", str(victim)], check=False, stderr=subprocess.DEVNULL
                    )
                run.wait()
                if pids_left := left_after(pids):
                    wrong += 1
                    click.echo(f"{i}: processes {pids_left} are left")
                if out.exists():
                    break
                run, tries = begun([*base, str(out), "--resume"]), tries + 1
            same = content(out) == expected
            wrong += not same
            click.echo(f"{i + 1} of {kills}: resumed {tries - 1} times, {'the same' if same else 'ANOTHER'} run file")
            out.unlink()
    told = ", ".join(f"{n} x {what}" for what, n in sorted(outcomes.items()))
    click.echo(f"{kills} runs, {sum(outcomes.values())} kills ({told}): {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
