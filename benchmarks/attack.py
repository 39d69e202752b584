"""Random attack: no arithmetic that a contract allows exceeds its bound, however badly it rounds.

`python benchmarks/attack.py --elements 1000000` prints, for each contract, dtype and quantity, the largest share of the
bound that was reached, and exits with 1 if any is above 1. A contract's results have at least so many elements of each
quantity; `--dtype` and `--contract` choose.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from adversary import ATTACKED
from attacks import attacked_cases, shares

from xentcheck.reference.contracts import CATALOGUE, distinct
from xentcheck.runner import quantities_of
from xentcheck.vocabulary import DTYPES


def lacking(met: dict[str, int], elements: int) -> set[str]:
    """The quantities of which there are too few elements so far."""
    return {q for q, n in met.items() if n < elements}


@click.command()
@click.option("--elements", default=1_000_000, show_default=True, help="Elements of each quantity.")
@click.option("--dtype", multiple=True, default=DTYPES, show_default=True)
@click.option("--contract", multiple=True, help="Only these; all by default.")
@click.option("--out", type=Path, help="A file of JSON lines, one for each contract and dtype.")
def main(elements: int, dtype: tuple[str, ...], contract: tuple[str, ...], out: Path | None) -> None:
    """Attack the bounds of every contract with the worst rounding that it allows."""
    exceeded = False
    print("| contract | dtype | " + " | ".join(ATTACKED) + " |\n|" + "---|" * (len(ATTACKED) + 2))
    for name in dtype:
        for c in distinct(tuple(CATALOGUE.values()), name):
            if contract and c.name not in contract:
                continue
            worst, met, seed = defaultdict[str, float](float), defaultdict[str, int](int), 0
            while not met or min(met.values()) < elements:
                for case in attacked_cases(name):
                    seed += 1
                    if (
                        met
                        and seed > len(attacked_cases(name))
                        and not lacking(met, elements) & set(quantities_of(case))
                    ):
                        continue
                    for q, (share, n) in shares(case, c, seed).items():
                        worst[q], met[q] = max(worst[q], share), met[q] + n
                        if not share <= 1.0:
                            print(f"exceeded: {case} {c.name} {q} seed {seed}: {share}")
                            exceeded = True
            cells = (f"{worst[q]:.3f}" if q in worst else "" for q in ATTACKED)
            print(f"| `{c.name}` | {name} | " + " | ".join(cells) + " |", flush=True)
            if out:
                with out.open("a") as file:
                    file.write(json.dumps({"contract": c.name, "dtype": name, "worst": worst, "elements": met}) + "\n")
    sys.exit(int(exceeded))


if __name__ == "__main__":
    main()
