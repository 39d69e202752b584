"""The section of laws says of each whether it is kept, the broken ones first."""

from __future__ import annotations

from samples import law

from xentcheck.reports.sections.laws import law_section


def test_broken_kept_and_unasked_laws_are_told_apart() -> None:
    """With their share of the bounds, where there is one."""
    rows = law_section([law(share=0.5), law(share=2.0, law="mine"), law(unasked="one thread", law="threads")]).rows
    told = [[str(cell) for cell in row] for row in rows]
    assert [next(word for word in row if word in ("yes", "no", "one thread")) for row in told] == [
        "no",
        "yes",
        "one thread",
    ]
    assert "2" in told[0]
    assert "0.5" in told[1]
    assert "-" in told[2]
