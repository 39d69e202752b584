"""Start-up in fresh processes: `import xentcheck` and `xentcheck --help` against `import numpy`, and a run of pytest
that does not use the plugin against one without it (of an installed wheel: editable installs have a slow finder).

`python benchmarks/startup.py`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from timing import Result, command, interleaved, report

ROUNDS = 15
LIMIT = 2.5
PLUGIN_LIMIT = 1.05

CODES = {
    "import xentcheck": "import xentcheck",
    "xentcheck --help": "import sys; sys.argv = ['xentcheck', '--help']; from xentcheck.cli.main import main; main()",
}


def main() -> int:
    """Each command beside `import numpy`."""
    numpy = command([sys.executable, "-c", "import numpy"])
    results = []
    for name, code in CODES.items():
        times = interleaved(command([sys.executable, "-c", code]), numpy, ROUNDS)
        results.append(Result(f"{name} / import numpy", *times, at_most=LIMIT))
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test_nothing.py"
        test.write_text("def test_nothing(): assert True\n")
        pytest = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
            str(test),
        ]
        times = interleaved(command(pytest), command([*pytest, "-p", "no:xentcheck"]), ROUNDS)
        results.append(Result("pytest with the plugin unused / without it", *times, at_most=PLUGIN_LIMIT))
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
