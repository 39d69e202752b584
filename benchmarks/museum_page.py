"""The page of the museum, `docs/museum.md`: every fault, and what must accuse it.

`python benchmarks/museum_page.py` writes it from the catalogue and kills.json, which `benchmarks/museum.py` checks.
"""

from __future__ import annotations

from pathlib import Path

from xentcheck.museum import tables
from xentcheck.museum.catalogue import MUSEUMS, Planted, planted
from xentcheck.reports.formats.markdown import table
from xentcheck.reports.sections.section import Column, Section

PAGE = Path(__file__).parents[1] / "docs" / "museum.md"

TEXT = """# The museum

Written by `python benchmarks/museum_page.py`; a test compares it with the museum.

{planted} wrong implementations that the harness plants to prove itself: {faults} faults, each in several frameworks.
A row says on which side a fault is wrong (the value, the gradient, an error, a law), and the case that must accuse
that side in the first of its frameworks, or the law that it breaks. The gate judges each fault on these cases; the
nightly run (`benchmarks/museum.py`) looks for each in whole profiles, and for alarms at the right implementations
beside them.

`xentcheck faults` prints what catches each fault first, by profile. `--rivals` adds what other checks notice, on the
cases of `quick` in float64 and float32 in which nothing is degenerate: assert_close on all of them, told the exact
value, and by itself on those that a unit test would have; gradcheck and check_grads on those that they can take
(float64, 5x10 and 5x3, moderate logits). The reading is the most favourable one for them: cases on which one rejects
the right implementation are left out. gradcheck and check_grads compare a gradient with differences of the
implementation's own value: a wrong value with the gradient that belongs to it is right for them. Fast gradcheck
projects the gradient on one random direction, with a tolerance that grows with its norm: of a mean over 64x1024
logits it accepts a gradient of zeros.

"""

COLUMNS = ("fault", "what is wrong", "reported as", "in", "side", "accused by")


def page() -> str:
    """The whole page."""
    kills = tables.read(tables.KILLS)
    places: dict[str, list[Planted]] = {}
    for framework in MUSEUMS:
        for p in planted(framework):
            if p.fault.caught:
                places.setdefault(p.fault.name, []).append(p)
    rows: list[tuple[str, ...]] = []
    for name, found in sorted(places.items()):
        first = found[0]
        accused = kills[first.framework][name]
        frameworks = ", ".join(p.framework for p in found)
        cases = ", ".join(dict.fromkeys(accused.values()))
        rows.append((name, first.text, first.fault.issue or "-", frameworks, ", ".join(sorted(accused)), cases))
    counts = TEXT.format(planted=sum(map(len, places.values())), faults=len(places))
    return counts + table(Section("The museum", tuple(map(Column, COLUMNS)), tuple(rows))) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
