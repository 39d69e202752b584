"""Digests of what promises the same bits everywhere; run as a script, prints them as JSON.

`digests_elsewhere` runs it in a process with other environment variables: NumPy may use its baseline code there instead
of the CPU's vector units.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath as features

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.randomness import Stream
from xentcheck.reference.numbers.double_double import DoubleDouble
from xentcheck.reference.numbers.elementary import dd_exp, dd_log1p
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import digest_of

CASES = (
    "gaussian.5x1003.f64.index.w+ls+ign.mean.up-neg.contig.s0",
    "deep.64x3.f64.prob.w.none.up-rand.contig.s0",
    "near-overflow.5x10.f64.index.plain.sum.up-one.contig.s0",
    "gaussian.5x10k8h6.f64.index.plain.mean.up-neg.contig.s0",
)


def sha(*arrays: Any) -> str:
    """SHA-256 of the arrays' bytes."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)).hexdigest()


def arguments(name: str, low: float, high: float) -> DoubleDouble:
    """2000 double-double numbers between two bounds."""
    hi = Stream(name).uniform(low, high, (2000,))
    return DoubleDouble(hi, Stream(f"{name} low").uniform(-1.0, 1.0, (2000,)) * np.spacing(hi) / 2.0)


@cache
def digests() -> dict[str, str]:
    """The digests by name, and the vector units that NumPy may use besides its baseline."""
    exp, log1p = dd_exp(arguments("exp", -745.0, 0.0)), dd_log1p(arguments("log1p", 0.0, 1e6))
    found = {"dd_exp": sha(exp.hi, exp.lo), "dd_log1p": sha(log1p.hi, log1p.lo)}
    pairs = []
    for text in CASES:
        problem = build(Case.parse(text))
        exact = Exact(problem).evaluate(problem.quantities)
        pairs += [part for q in problem.quantities for part in exact[q]]
    found["oracle"] = sha(*pairs)
    together = hashlib.sha256("".join(f"{c} {digest_of(build(c))}\n" for c in cases("quick")).encode())
    found["quick cases"] = together.hexdigest()
    return found | {"vector units": " ".join(enabled())}


def enabled() -> list[str]:
    """The CPU features that NumPy dispatches to on this machine."""
    return [name for name in features.__cpu_dispatch__ if features.__cpu_features__[name]]


def digests_elsewhere(**variables: str) -> dict[str, str]:
    """The digests of a process of its own with some environment variables."""
    environment = os.environ | variables
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=True)
    result: dict[str, str] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(digests()))
