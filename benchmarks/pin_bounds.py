"""Write the table of pinned bounds anew: `python benchmarks/pin_bounds.py`, then read its diff.

A change of the table is a change of what agrees and what does not. A bound that grows needs its derivation in
`docs/numerics.md`, a right implementation that attains most of it, and a wrong one just beyond.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from pins import PINNED, lines

if __name__ == "__main__":
    PINNED.write_text("".join(f"{line}\n" for line in lines()))
    print(f"{PINNED} written")
