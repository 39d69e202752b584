"""The doors of the site, and which pages lie behind each; a page that lies behind none fails a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
BUILT = "built"
"""Folder of the pages that each build makes anew, and that git does not hold."""

DOORS: dict[str, tuple[str, ...]] = {
    "Why a - y": ("why",),
    "Check my loss": (f"{BUILT}/check-my-loss", "fused-linear", "performance", "other-languages", "write-an-adapter"),
    "Gate my pull requests": ("ci", "upgrades"),
    "PyTorch and JAX in numbers": ("agreement/*", "findings", "accuracy"),
    "Look it up": ("glossary", "causes", "case-ids", "contracts", "queries", f"{BUILT}/commands", f"{BUILT}/python"),
    "How it works": ("power", "numerics", "museum", "architecture", "testing"),
}
"""Captions, and patterns of pages without their suffix; what matches none yet is no error."""


def behind(patterns: tuple[str, ...], docs: Path = DOCS) -> Iterator[str]:
    """The names of the pages that there are, each pattern's in order; those of a build need not be there yet."""
    for pattern in patterns:
        if pattern.startswith(f"{BUILT}/"):
            yield pattern
        else:
            found = sorted(docs.glob(f"{pattern}.md"))
            yield from (path.relative_to(docs).with_suffix("").as_posix() for path in found)


def toctrees(docs: Path = DOCS) -> str:
    """The doors as MyST directives, which the site adds to its landing page."""
    blocks = []
    for caption, patterns in DOORS.items():
        names = "\n".join(behind(patterns, docs))
        blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```")
    return "\n\n".join(blocks)


def committed(docs: Path = DOCS) -> set[str]:
    """The names of the pages that git holds, the landing page left out."""
    found = (path.relative_to(docs).with_suffix("") for path in docs.rglob("*.md"))
    return {name.as_posix() for name in found if name.parts[0] not in (BUILT, "index")}
