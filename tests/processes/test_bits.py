"""The same bits in other processes: without vector units, and with another number of threads."""

from __future__ import annotations

import os

from bits import digests, digests_elsewhere, digests_without_dispatch


def test_bits_do_not_depend_on_vector_units() -> None:
    """NumPy's baseline code, with every dispatched CPU feature disabled, returns the same bits, also of the inputs of
    the quick cases.
    """
    found = digests_without_dispatch()
    assert found.pop("vector units") == ""
    assert found == {name: digest for name, digest in digests().items() if name != "vector units"}


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    """A process with another number of threads than this one returns the same bits."""
    threads = "2" if os.environ.get("OMP_NUM_THREADS") == "1" else "1"
    found = digests_elsewhere(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
    assert found == digests()
