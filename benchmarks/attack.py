"""Random attack: no arithmetic that a contract allows exceeds its bound, however badly it rounds.

`python benchmarks/attack.py --elements 1000000` prints, for each contract, dtype and quantity, the largest share of the
bound that was reached, and exits with 1 if any is above 1. A contract's results have at least so many elements of each
quantity; `--dtype` and `--contract` choose.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from adversary import ATTACKED
from attacks import attacked_cases, shares

from xentcheck.cases import Case
from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.vocabulary import DTYPES

Found = tuple[dict[str, float], dict[str, int], list[str]]


def attacked(contract: Contract, dtype: str, elements: int) -> Found:
    """Largest share and number of elements per quantity, and what exceeds its bound.

    Every case is attacked once; then those that have a quantity of which there are too few elements, until there are
    enough.
    """
    worst, met, exceeded = defaultdict[str, float](float), defaultdict[str, int](int), list[str]()
    has: dict[Case, tuple[str, ...]] = {}
    seed = 0
    while not has or min(met.values()) < elements:
        for case in attacked_cases(dtype):
            seed += 1
            if case in has and all(met[q] >= elements for q in has[case]):
                continue
            found = shares(case, contract, seed)
            has[case] = tuple(found)
            for q, (share, n) in found.items():
                worst[q], met[q] = max(worst[q], share), met[q] + n
                if not share <= 1.0:
                    exceeded.append(f"exceeded: {case} {contract.name} {q} seed {seed}: {share}")
    return worst, met, exceeded


@click.command()
@click.option("--elements", default=1_000_000, show_default=True, help="Elements of each quantity.")
@click.option("--dtype", multiple=True, default=DTYPES, show_default=True)
@click.option("--contract", multiple=True, help="Only these; all by default.")
@click.option("--jobs", "-j", default=1, show_default=True, help="Contracts that are attacked at a time.")
@click.option("--out", type=Path, help="A file of JSON lines, one for each contract and dtype.")
def main(elements: int, dtype: tuple[str, ...], contract: tuple[str, ...], jobs: int, out: Path | None) -> None:
    """Attack the bounds of every contract with the worst rounding that it allows."""
    todo = [(c, name) for name in dtype for c in distinct(tuple(CATALOGUE.values()), name)]
    todo = [(c, name) for c, name in todo if not contract or c.name in contract]
    ok = bool(todo)
    print("| contract | dtype | " + " | ".join(ATTACKED) + " |\n|" + "---|" * (len(ATTACKED) + 2))
    with ProcessPoolExecutor(jobs) as pool:
        running = pool.map(attacked, *zip(*todo, strict=True), [elements] * len(todo)) if todo else ()
        for (c, name), (worst, met, exceeded) in zip(todo, running, strict=True):
            cells = (f"{worst[q]:.3f}" if q in worst else "" for q in ATTACKED)
            print("\n".join([*exceeded, f"| `{c.name}` | {name} | " + " | ".join(cells) + " |"]), flush=True)
            ok &= not exceeded
            if out:
                with out.open("a") as file:
                    file.write(json.dumps({"contract": c.name, "dtype": name, "worst": worst, "elements": met}) + "\n")
    sys.exit(int(not ok))


if __name__ == "__main__":
    main()
