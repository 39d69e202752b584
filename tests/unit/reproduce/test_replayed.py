"""What `replay` prints: of each quantity its worst elements, as many as are asked for, and the steps of a row."""

from __future__ import annotations

import pytest

import xentcheck

CASE = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"


@pytest.mark.parametrize("show", [1, 2, None])
def test_each_quantity_has_a_table_of_its_worst_elements(show: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    """The first ten if no number is given; a table for `cost` has one."""
    given = {} if show is None else {"show": show}
    assert xentcheck.replay("numpy", CASE, **given) == 0
    lines = capsys.readouterr().out.splitlines()
    for quantity, most in (("a", 50), ("log_a", 50), ("cost", 1), ("dC/dz", 50)):
        start = next(i for i, line in enumerate(lines) if line.strip() == quantity)
        end = next(i for i, line in enumerate(lines[start:], start) if line.startswith("└"))
        rows = [line for line in lines[start:end] if line.startswith("│ [")]
        assert len(rows) == min(show or 10, most)
        shares = [float(row.split("│")[-2]) for row in rows]
        assert shares == sorted(shares, reverse=True)
