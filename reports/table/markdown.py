"""The table as Markdown: libraries as columns, and behind each number the case that shows it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from xentcheck.records.paths import page
from xentcheck.records.words import several, ulps_text
from xentcheck.reports.formats.markdown import escaped
from xentcheck.reports.sections.section import short
from xentcheck.vocabulary import DTYPES, QUANTITIES

from .largest import Cell, Source, Table, Witness

PROSE = (
    "The largest error found: its share of the derived bound, and in units in the last place (ULP) of the exact value. "
    "A share of at most 1 keeps the bound, which is that of the arithmetic that a library declares: the share says "
    "whether it does what it promises, the ULPs how far it is off. Only values in the normal range of the dtype have "
    "ULPs; `subnormal`: there are none. Many ULPs are no fault where the exact value is near 0 by cancellation. "
    "Comparisons that could not have failed are left out. Largest error found does not mean largest error."
)

BEHIND = (
    "The comparison with the largest share of its bound, and the one with the most ULPs. The command repeats it, and "
    "prints its worst elements by share, and tells that of the most ULPs."
)

TABLE_PAGE = page("table")

WIDTH = 120

DIGITS = {"float64": 17}
"""Significant digits that tell numbers of a dtype apart; of all others 9."""


def markdown(table: Table, *, witnesses: bool) -> str:
    """The page; without witnesses it is the table, its notes and its runs alone, as a terminal has room for.

    Each number is a link to its witness where there is one.
    """
    libraries = list(dict.fromkeys(cell.library for cell in table.cells))
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in sorted(table.cells, key=_order):
        rows.setdefault((cell.dtype, cell.quantity), {})[cell.library] = cell
    notes: list[str] = []
    lines = [_row("dtype", "quantity", *map(escaped, libraries)), "|---" * (2 + len(libraries)) + "|"]
    for key, cells in rows.items():
        shown = (_cell(cells.get(library), notes, witnesses) for library in libraries)
        lines.append(_row(*map(escaped, key), *shown))
    parts = [
        *TABLE_PAGE.words * witnesses,
        "# Agreement",
        _filled(PROSE),
        "\n".join(lines),
        "\n".join(notes),
        "\n".join(map(_source, table.sources)),
    ]
    if witnesses:
        parts += [
            "## Witnesses",
            _filled(BEHIND),
            *(_witnesses(key, list(cells.values())) for key, cells in rows.items()),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _order(cell: Cell) -> tuple[int, int]:
    return DTYPES.index(cell.dtype), QUANTITIES.index(cell.quantity)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell | None, notes: list[str], linked: bool) -> str:
    """What stands in the table; what is excused in it becomes a note."""
    if cell is None:
        return "-"
    text = " \u00b7 ".join(_numbers(cell)) or "-"
    if cell.failing:
        text = f"**{text} \u00b7 {', '.join(f'{n} {outcome}' for outcome, n in cell.failing.items())}**"
    if linked:
        text = f"[{text}](#{anchor(cell.dtype, cell.quantity)})"
    for excuse in cell.excuses:
        number = len(notes) + 1
        share = f", at most {short(excuse.worst.value)} times the bound" if excuse.worst else ""
        again = f"; {code(excuse.worst.replay)}" if excuse.worst else ""
        notes.append(
            f"[^{number}]: {several(excuse.comparisons, 'recorded deviation')} apart{share}: {escaped(excuse.told)} "
            f"({escaped(excuse.link)}){again}"
        )
        text += f" [^{number}]"
    return text


def _numbers(cell: Cell) -> Iterator[str]:
    if cell.share is not None:
        yield short(cell.share.value)
        yield ulps_text(cell.ulp.value if cell.ulp else None)


def anchor(dtype: str, quantity: str) -> str:
    """The name under which browsers find the heading of a row's witnesses, as GitHub and MyST make it.

    >>> anchor("float32", "dC/dz"), anchor("float16", "log_a")
    ('float32-dcdz', 'float16-log_a')
    """
    return re.sub(r"[^\w-]", "", f"{dtype} {quantity}".lower().replace(" ", "-"))


def code(text: str) -> str:
    """Text in backticks, which it cannot leave, nor its cell.

    >>> code("a|b `c`")
    "`a\\\\|b 'c'`"
    """
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _source(source: Source) -> str:
    """A run in one line, which says all that it takes to repeat it."""
    of = ", ".join(f"{name} {version}" for name, version in source.versions)
    narrowed = f" ({', '.join(source.selection)})" if source.selection else ""
    facts = (
        f"run {source.digest} of {source.date or 'a day that was not recorded'}",
        f"xentcheck {source.version}",
        f"profile {source.profile}{narrowed}, seed {source.seed}",
        of,
        source.processor,
    )
    return f"* {escaped('; '.join(filter(None, facts)))}: {escaped(source.verdict)}"


def _witnesses(key: tuple[str, str], cells: Iterable[Cell]) -> str:
    titles = ("library", "largest", "case", "element", "got", "exact", "bound", "again")
    lines = [f"### {escaped(' '.join(key))}", "", _row(*titles), "|---" * len(titles) + "|"]
    for cell in cells:
        kinds = {f"of the bound ({escaped(cell.share.contract)})" if cell.share else "": cell.share, "ULP": cell.ulp}
        lines += [_witness(cell, unit, found) for unit, found in kinds.items() if found]
    return "\n".join(lines)


def _witness(cell: Cell, unit: str, found: Witness) -> str:
    digits = DIGITS.get(cell.dtype, 9)
    numbers = [f"{float.fromhex(x):.{digits}g}" if x else "-" for x in (found.got, found.exact)]
    bound = f"{float.fromhex(found.bound):.3g}" if found.bound else "-"
    element = escaped(str(list(found.index))) if found.index else "-"
    value = ulps_text(found.value) if unit == "ULP" else short(found.value)
    words = escaped(cell.library), f"{value} {unit}", code(found.case), element, *numbers, bound
    return _row(*words, code(found.replay))
