"""Changes of one line that a rule makes: a comparison turned, a constant times 10, a term dropped, a sign turned."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

TURNED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
SWAPPED = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "any": "all",
    "all": "any",
    "isinf": "isnan",
    "argmax": "argmin",
    "floor": "ceil",
    "ceil": "floor",
}
"""Names of functions and methods, and their opposites."""

SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


@dataclass(frozen=True)
class Change:
    """One place of one file: what stands there, and what is put in its place; rule: or what the change means."""

    file: str
    line: int
    before: str
    after: str
    rule: str
    by_hand: bool = False

    @property
    def key(self) -> str:
        """A name that stays when lines above are added."""
        return f"{self.file}: {self.before} -> {self.after}"

    @property
    def order(self) -> str:
        """A fixed order that has nothing to do with the place."""
        return sha256(f"{self.key} {self.rule}".encode()).hexdigest()


def changes(file: str, source: str) -> Iterator[Change]:
    """All changes of a file by rule, each within one line, and those that leave the line as it is left out."""
    lines = source.splitlines()
    seen = set()
    for node in ast.walk(without_annotations(ast.parse(source))):
        for where, new, rule in replacements(node, lines):
            start, end = where
            if start[0] != end[0] or is_not_changed(lines[start[0] - 1]):
                continue
            text = lines[start[0] - 1].encode()
            after = (text[: start[1]] + new.encode() + text[end[1] :]).decode()
            if after != text.decode() and (start[0], after) not in seen:
                seen.add((start[0], after))
                yield Change(file, start[0], text.decode().strip(), after.strip(), rule)


Place = tuple[tuple[int, int], tuple[int, int]]


def replacements(node: ast.AST, lines: Sequence[str]) -> Iterator[tuple[Place, str, str]]:
    """(place, new text, rule) of one node of a file's lines."""

    def text(part: ast.AST) -> str:
        """The text of a part within one line; others are not changed."""
        (line, column), (last, stop) = span(part)
        return lines[line - 1].encode()[column:stop].decode() if line == last else ""

    def between(left: ast.AST, right: ast.AST, old: str, new: str) -> tuple[Place, str]:
        """Another operator; brackets that close or open beside it stay."""
        (line, column), (last, stop) = end(left), start(right)
        gap = lines[line - 1].encode()[column:stop].decode() if line == last else ""
        return ((line, column), (last, stop)), gap.replace(old, new, 1)

    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield *between(left, right, SYMBOLS[type(op)], TURNED[type(op)]), "comparison turned"
        case ast.Constant(value=bool()):
            yield span(node), str(not node.value), "truth turned"
        case ast.Constant(value=int() | float() as value):
            for factor in (0, 2, 10):
                new = type(value)(value * factor) if value else type(value)(1)
                yield span(node), repr(new), f"constant times {factor}"
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            yield span(node), text(left), "second term dropped"
            plus = isinstance(node.op, ast.Add)
            yield *between(left, right, "+" if plus else "-", "-" if plus else "+"), "sign turned"
            if isinstance(node.op, ast.Add):
                yield span(node), text(right), "first term dropped"
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div(), right=right):
            yield span(node), text(left), "factor dropped"
            times = isinstance(node.op, ast.Mult)
            yield *between(left, right, "*" if times else "/", "/" if times else "*"), "product and quotient swapped"
        case ast.AugAssign(op=ast.Add() | ast.Sub() | ast.Mult()):
            yield span(node), "pass", "statement dropped"
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield span(node), text(operand), "not, minus or ~ dropped"
        case ast.BoolOp(values=[first, second, *_]):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield *between(first, second, *words), "and, or swapped"
        case ast.Call(func=ast.Attribute(attr=name)) if name in SWAPPED:
            line, column = end(node.func)
            yield ((line, column - len(name)), (line, column)), SWAPPED[name], "function swapped"
        case ast.Call(func=ast.Name(id=name)) if name in SWAPPED:
            yield span(node.func), SWAPPED[name], "function swapped"
        case ast.If(test=test) | ast.IfExp(test=test):
            yield span(test), f"not ({text(test)})", "condition turned"
        case ast.Raise():
            yield span(node), "pass", "error not raised"


def start(node: ast.AST) -> tuple[int, int]:
    """Line and column of a node's first byte."""
    return node.lineno, node.col_offset  # type: ignore[attr-defined]  # expressions and statements have both


def end(node: ast.AST) -> tuple[int, int]:
    """Line and column behind a node's last byte."""
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]  # expressions and statements have both


def span(node: ast.AST) -> Place:
    """Where a node stands."""
    return start(node), end(node)


def without_annotations(tree: ast.Module) -> ast.Module:
    """The tree without annotations."""
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, None)
    return tree


def is_not_changed(line: str) -> bool:
    """Whether a line is only there for a reader or a type checker."""
    return line.lstrip().startswith(("from ", "import ", "#", "assert "))
