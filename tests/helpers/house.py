"""The house: its wings, the floors that they stand on, and which module imports which, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

BASE = ("errors", "vocabulary")
"""What everybody may know."""

WINGS: dict[str, tuple[str, ...]] = {
    "reference": (),
    "records": (),
    "cases": ("reference",),
    "adapters": ("reference",),
    "judging": ("reference", "records"),
    "diagnosis": ("reference", "records"),
    "reports": ("records",),
    "running": ("reference", "records", "cases", "adapters", "judging", "diagnosis"),
    "strategies": ("reference", "cases", "adapters"),
    "museum": ("reference", "cases", "adapters"),
    "studies": ("reference", "records", "cases", "adapters", "judging", "running", "strategies", "museum"),
    "reproduce": ("reference", "records", "cases", "adapters", "judging", "running"),
    "testing": ("reference", "records", "cases", "adapters", "judging", "reports", "running"),
    "api": ("records", "cases", "adapters", "reports", "running", "studies"),
    "large": ("records", "adapters", "running", "studies", "api"),
    "conformance": ("records", "cases", "running", "studies", "testing"),
    "worker": ("adapters", "running", "studies"),
    "cli": ("reference", "records", "cases", "adapters", "reports", "running", "studies", "reproduce", "api"),
    "__main__": ("cli",),
}
"""Each wing, from the ground up, and what it may know besides the base; a wing knows wings above it in this table."""

MOST = 9
"""Modules that a folder may have."""

PARALLEL = ("xentcheck.museum", "xentcheck.cli.commands", "xentcheck.reports.sections")
"""Folders of files of one kind, of which there may be more."""


def modules() -> dict[str, Path]:
    """The files of the package by the names of their modules, wherever the five folders are installed."""
    found = {}
    for package in ("xentcheck", "xentcheck.reference", "xentcheck.adapters", "xentcheck.reports", "xentcheck.museum"):
        (root,) = import_module(package).__path__
        for path in sorted(Path(root).rglob("*.py")):
            parts = [part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"]
            found[".".join((package, *parts))] = path
    return found


def at_start(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: not in functions, not under TYPE_CHECKING; in `try`, `if`, classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_start(child)


def imports(source: str, *, top_level: bool = False) -> list[str]:
    """Names imported by a module, relative ones with their dots; `top_level`: only what its own import runs."""
    tree = ast.parse(source)
    found: list[str] = []
    for node in at_start(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            separator = "" if base.endswith(".") else "."
            found += [f"{base}{separator}{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found += [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return found


def arrows(name: str, source: str, known: Iterable[str]) -> set[str]:
    """The modules that a module imports, of those known; `name` is that of a package if its source is `__init__`."""
    known = set(known)
    is_package = any(other.startswith(f"{name}.") for other in known)
    package = name if is_package else name.rpartition(".")[0]
    found = set()
    for text in imports(source):
        absolute = f"{package}.{text[1:]}" if text.startswith(".") else text
        hits = [m for m in (absolute, absolute.rpartition(".")[0]) if m in known and m != name]
        found |= set(hits[:1])
    return found


def wing_of(module: str) -> str:
    """The wing that a module stands in; empty for the front door.

    >>> wing_of("xentcheck.reference.bounds.rows"), wing_of("xentcheck.api"), wing_of("xentcheck")
    ('reference', 'api', '')
    """
    return module.split(".")[1] if "." in module else ""


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that lead back to themselves."""
    reached: dict[str, set[str]] = {}

    def reach(node: str) -> set[str]:
        if node not in reached:
            reached[node], todo = set(), list(graph.get(node, ()))
            while todo:
                if (next_one := todo.pop()) not in reached[node]:
                    reached[node].add(next_one)
                    todo += graph.get(next_one, ())
        return reached[node]

    inside = [node for node in graph if node in reach(node)]
    groups = {frozenset({node, *(o for o in reach(node) if node in reach(o))}) for node in inside}
    return sorted(map(sorted, groups))


def wings_known(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Wing -> the wings that its modules import, the base left out."""
    found: dict[str, set[str]] = {wing: set() for wing in WINGS}
    for module, targets in graph.items():
        if (wing := wing_of(module)) in found:
            found[wing] |= {wing_of(t) for t in targets} - {wing, "", *BASE}
    return found


def picture() -> str:
    """The wings as a Mermaid graph, drawn from the imports; an arrow that follows from others is left out."""
    known = modules()
    graph = wings_known({name: arrows(name, path.read_text(), known) for name, path in known.items()})
    below = {wing: set().union(*(graph[k] | below_of(graph, k) for k in graph[wing])) for wing in graph}
    lines = ["graph BT"]
    for wing in WINGS:
        rooms = sum(wing_of(name) == wing for name in known if known[name].name != "__init__.py")
        lines.append(f'    {wing}["{wing} ({rooms})"]')
    for wing, targets in graph.items():
        lines += [f"    {target} --> {wing}" for target in WINGS if target in targets - below[wing]]
    return "\n".join(lines)


def below_of(graph: dict[str, set[str]], wing: str) -> set[str]:
    """All wings that a wing knows, directly or through others."""
    found = set(graph[wing])
    return found.union(*(below_of(graph, other) for other in found))


if __name__ == "__main__":
    print(picture())
