"""Start-up: `import xentcheck` and `xentcheck --help` in fresh processes, against `import numpy` in one.

`python benchmarks/startup.py`
"""

from __future__ import annotations

import sys

from timing import Result, command, interleaved, report

ROUNDS = 15
LIMIT = 2.5

CODES = {
    "import xentcheck": "import xentcheck",
    "xentcheck --help": "import sys; sys.argv = ['xentcheck', '--help']; from xentcheck.cli import main; main()",
}


def main() -> int:
    """Each command beside `import numpy`."""
    numpy = command([sys.executable, "-c", "import numpy"])
    results = []
    for name, code in CODES.items():
        times = interleaved(command([sys.executable, "-c", code]), numpy, ROUNDS)
        results.append(Result(f"{name} / import numpy", *times, at_most=LIMIT))
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
