"""How accurate exp and log are: exhaustively in float32, bfloat16 and float16, by samples in float64.

`python benchmarks/elementary.py [numpy] [torch] [jax]`: the largest error in ULPs, by implementation, dtype and
function, and where. exp over [-104, -2^-26], all that a softmax asks for; log over [1, 2^18], sums of as many classes.
float32 is every one of its 425 million arguments there, against NumPy's float64 (below 1e-8 ULP off); float64 is
SAMPLES arguments in every binade against double-double. Exponentials below the smallest normal number are left out:
they may be flushed. Narrow dtypes compute in float32 and round: shown as what the rounding alone leaves.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator

import timing  # noqa: F401 - sets the number of threads before NumPy starts

# isort: split

import ml_dtypes
import numpy as np

from xentcheck.adapters.base import version_of
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers.double_double import DoubleDouble
from xentcheck.reference.numbers.elementary import dd_exp, dd_log1p

Function = Callable[[str, Array], Array]

RANGES = {"exp": (2.0**-26, 104.0), "log": (1.0, 2.0**18)}
"""Magnitudes of the arguments: those of exp are negative."""

BLOCK = 1 << 22

SAMPLES = 1 << 15
"""Arguments in each binade of float64."""


def numpy_function() -> Function:
    """NumPy."""
    return lambda name, x: np.asarray(getattr(np, name)(x))


def torch_function() -> Function:
    """PyTorch on the CPU, eager, on one thread."""
    import torch

    torch.set_num_threads(1)

    def call(name: str, x: Array) -> Array:
        if x.dtype.name == "bfloat16":
            tensor = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
            return np.asarray(getattr(torch, name)(tensor).view(torch.int16).numpy().view(x.dtype))
        return np.asarray(getattr(torch, name)(torch.from_numpy(x)).numpy())

    return call


def jax_function() -> Function:
    """XLA on the CPU."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    compiled = {name: jax.jit(getattr(jax.numpy, name)) for name in RANGES}
    return lambda name, x: np.asarray(compiled[name](x))


MAKERS = {"numpy": numpy_function, "torch": torch_function, "jax": jax_function}


def arguments(name: str, dtype: str) -> Iterator[Array]:
    """All arguments of a function in a dtype, in blocks; in float64 a sample of each binade."""
    low, high = RANGES[name]
    sign = -1 if name == "exp" else 1
    if dtype == "float64":
        rng = np.random.default_rng(0)
        for exponent in range(int(np.log2(low)), int(np.ceil(np.log2(high)))):
            x = np.ldexp(1.0 + rng.random(SAMPLES), exponent)
            yield sign * x[x <= high]
        if name == "exp":
            yield -rng.uniform(104.0, 708.0, 16 * SAMPLES)
        return
    kind = np.dtype(dtype if dtype != "bfloat16" else ml_dtypes.bfloat16)
    bits = np.dtype(f"u{kind.itemsize}")
    high = min(high, FORMATS[dtype].largest)
    first, last = (int(np.array(x, kind).view(bits)) for x in (low, high))
    for start in range(first, last + 1, BLOCK):
        stop = min(start + BLOCK, last + 1)
        yield np.arange(start, stop, dtype=np.uint32).astype(bits).view(kind) * kind.type(sign)


def exact(name: str, x: Array) -> tuple[Array, Array]:
    """The value as hi + lo."""
    if x.dtype != np.float64:
        return np.asarray(getattr(np, name)(x.astype(np.float64))), np.zeros(x.shape)
    found = dd_exp(DoubleDouble(x, np.zeros(x.shape))) if name == "exp" else dd_log1p(DoubleDouble(x) - 1.0)
    return found.hi, found.lo


def worst(function: Function, name: str, dtype: str) -> tuple[float, float, int]:
    """Largest error in ULPs, its argument, and how many arguments were tried."""
    fmt = FORMATS[dtype]
    most, where, tried = 0.0, 0.0, 0
    for x in arguments(name, dtype):
        hi, lo = exact(name, x)
        error = np.fmax(fmt.ulps(np.abs((function(name, x).astype(np.float64) - hi) - lo), hi), 0.0)
        at = int(error.argmax())
        tried += x.size
        if not error[at] <= most:
            most, where = float(error[at]), float(x[at])
    return most, where, tried


def main(chosen: list[str]) -> int:
    """Print a line per implementation, dtype and function."""
    print(f"{platform.machine()}, cpu; largest error in ULPs")
    for framework in chosen or list(MAKERS):
        function = MAKERS[framework]()
        for dtype in ("float64", "float32", "bfloat16", "float16"):
            for name in RANGES:
                most, where, tried = worst(function, name, dtype)
                place = f"{framework} {version_of(framework)} cpu {dtype} {name}"
                print(f"{place}: {most:.3f} at {where.hex()} ({tried} arguments)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
