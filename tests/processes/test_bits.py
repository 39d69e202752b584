"""The same bits in other processes: without vector units, and with another number of threads."""

from __future__ import annotations

import os

from bits import digests, digests_elsewhere, enabled


def test_bits_depend_neither_on_vector_units_nor_on_the_number_of_threads() -> None:
    """A process with NumPy's baseline code, every dispatched CPU feature disabled, and with another number of threads
    than this one returns the same bits, also of the inputs of the quick cases.

    Alone compares processes; it builds all quick cases in two.
    """
    threads = "2" if os.environ.get("OMP_NUM_THREADS") == "1" else "1"
    without = {"NPY_DISABLE_CPU_FEATURES": " ".join(enabled())}
    found = digests_elsewhere(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, **without)
    assert found.pop("vector units") == ""
    assert found == {name: digest for name, digest in digests().items() if name != "vector units"}
