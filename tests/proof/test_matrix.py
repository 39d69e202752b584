"""The matrix: one test per case x adapter variant x device x quantity, of the adapters that are built in.

`pytest tests/proof/test_matrix.py -n 2 --xentcheck-profile full --xentcheck-out run.jsonl`
"""

from __future__ import annotations

from xentcheck.conformance import pytest_generate_tests, records, test_matrix

__all__ = ["pytest_generate_tests", "records", "test_matrix"]
