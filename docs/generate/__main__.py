"""`python -m generate` in docs/: write the generated pages that git holds."""

from __future__ import annotations

from collections.abc import Callable

from .case_ids import case_ids
from .contracts import contracts
from .tree import DOCS
from .words import causes, glossary

COMMITTED: dict[str, Callable[[], str]] = {
    "causes": causes,
    "glossary": glossary,
    "case-ids": case_ids,
    "contracts": contracts,
}
"""Pages that readers of a forge need as well, and what makes each."""

if __name__ == "__main__":
    for name, make in COMMITTED.items():
        (DOCS / f"{name}.md").write_text(make(), "utf-8")
