"""The matrix under `pytest -n`: the cases of one signature stay together."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from xentcheck.cases import Case
from xentcheck.testing.scheduling import signature_in

ROOT = Path(__file__).parents[2]


def matrix(*options: str) -> str:
    """The output of the NumPy rows of some cases of the matrix."""
    chosen = [
        "--xentcheck-adapter",
        "numpy",
        "--xentcheck-ids",
        "comparison",
        "-k",
        "ties or masked",
        "-p",
        "no:cacheprovider",
        "-v",
    ]
    command = [sys.executable, "-m", "pytest", "tests/proof/test_matrix.py", *chosen, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def test_cases_of_one_signature_share_a_worker() -> None:
    """Each signature is compiled by one worker only, and both workers have some."""
    workers = defaultdict(set)
    pattern = r"^\[(gw\d)\].*\[(\S*?)-numpy-eager-cpu-"
    for worker, case in re.findall(pattern, matrix("-n", "2"), re.MULTILINE):
        workers[Case.parse(case).signature].add(worker)
        assert signature_in(f"x.py::test_matrix[{case}-numpy-eager-cpu-a]") == Case.parse(case).signature
    assert len(workers) > 20
    assert {len(found) for found in workers.values()} == {1}
    assert set.union(*workers.values()) == {"gw0", "gw1"}
