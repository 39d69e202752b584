"""Budgets: the seconds of `xentcheck run` for one adapter on two processes, without what imports take.

`python benchmarks/budgets.py`; takes minutes and uses both cores. Imports are timed beside it: what a fresh process
needs to import xentcheck and the framework and to call it once, for the parent, and for the workers at the same time.
"""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

from timing import command

BUDGETS = {"quick": 20.0, "full": 90.0}
IMPORTS = """
import xentcheck.api
from xentcheck import adapters
adapter = adapters.get(sys.argv[1])
adapter.load()
adapter.devices()
"""


def seconds(profile: str, adapter: str) -> float:
    """Wall-clock of one run, nothing cached. Raises CalledProcessError if it does not agree."""
    code = "from xentcheck.cli.main import main; main()"
    options = ["run", "--adapter", adapter, "--profile", profile, "--device", "cpu", "-j", "2"]
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code, *options], check=True, capture_output=True)
    return perf_counter() - start


def main() -> int:
    """Each adapter that is installed, in both profiles."""
    from xentcheck import adapters

    over = 0
    for adapter in adapters.available():
        imports = command([sys.executable, "-c", f"import sys{IMPORTS}", adapter])
        start = perf_counter()
        imports()
        once = perf_counter() - start
        for profile, budget in BUDGETS.items():
            spent = seconds(profile, adapter) - 2 * once
            met = spent <= budget
            over += not met
            name = f"{'ok  ' if met else 'OVER'}  {adapter:6} {profile:6}"
            print(f"{name} {spent:6.1f} s of {budget:.0f} s, and twice {once:.1f} s of imports", flush=True)
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
