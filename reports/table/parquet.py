"""The records of a run as a flat table in a Parquet file, for queries: row group by row group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any, cast, get_type_hints

from xentcheck.errors import UnavailableError
from xentcheck.records.paths import Kind, written
from xentcheck.records.record import Record

ROWS = 20_000
"""Rows of a row group."""

NAMES = {"case": "case_id", "group": "power_group", "check": "failed_check", "index": "element"}
"""Columns whose field has a name that SQL reserves, or that says too little there."""

LEFT_OUT = ("ulp_counts", "share_counts", "margins", "within", "shares", "farthest")
"""Fields that are no column: lists of numbers; the shares have a column for each contract, the element of the most ULPs
one for each of its numbers.
"""

PARQUET = Kind("Parquet table", ("PAR1",))
"""What may be replaced: the mark of the format, as a table has no words of our own at its start."""

HEXADECIMAL = ("got", "expected", "bound")

PARTS = ("family", "shape", None, "target", "options", "reduction", "upstream", "layout", "seed")
"""Columns that are parts of a case's id; its dtype has one already. Empty for ids of another form."""

Column = tuple[str, str, Callable[[Record], Any]]
"""Name, type of the table, and the value of a record."""


def columns(catalogue: Sequence[str]) -> list[Column]:
    """The columns of a table; catalogue: the contracts whose shares it has."""
    found = [_column(f.name, get_type_hints(Record)[f.name]) for f in fields(Record) if f.name not in LEFT_OUT]
    found.append(("ulp_element", "string", lambda r: "; ".join(map(str, r.of_ulp.index)) if r.of_ulp else ""))
    found += [(f"ulp_{name}", "double", _number(name, lambda r: r.of_ulp)) for name in HEXADECIMAL]
    found += [(name, "string", _part(i)) for i, name in enumerate(PARTS) if name]
    found += [(f"share_{name.replace('-', '_')}", "double", _share(name)) for name in catalogue]
    return found


def _column(name: str, hint: Any) -> Column:
    kinds = {str: "string", int: "int64", float | None: "double", bool: "bool"}
    title = NAMES.get(name, name)
    if name in HEXADECIMAL:
        return title, "double", _number(name, lambda r: r)
    if hint in kinds:
        return title, kinds[hint], lambda r: getattr(r, name)
    return title, "string", lambda r: "; ".join(map(str, getattr(r, name)))


def _number(name: str, of: Callable[[Record], Any]) -> Callable[[Record], float | None]:
    """The value of a hexadecimal field of a record, or of an element of it; None if there is none."""
    return lambda r: float.fromhex(text) if (text := getattr(of(r), name, "")) else None


def _part(position: int) -> Callable[[Record], str]:
    def part(r: Record) -> str:
        parts = r.case.split(".")
        return parts[position] if len(parts) == len(PARTS) else ""

    return part


def _share(contract: str) -> Callable[[Record], float | None]:
    return lambda r: r.shares.get(contract)


def require_table() -> None:
    """Raise UnavailableError where no table can be written: better before a million records are read."""
    try:
        import pyarrow.parquet  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UnavailableError('a Parquet file needs pyarrow: pip install "xentcheck[parquet]"') from error


def write_table(records: Iterable[Record], catalogue: Sequence[str], path: Path) -> Path:
    """Write the records as a Parquet file, and return its path. Raises OutputError and UnavailableError."""
    require_table()
    import pyarrow
    from pyarrow import parquet

    wanted = columns(catalogue)
    types: Mapping[str, Any] = {
        name: getattr(pyarrow, {"double": "float64", "bool": "bool_"}.get(kind, kind))() for name, kind, _ in wanted
    }
    schema = pyarrow.schema(types)
    left = iter(records)
    with written(path, "table", PARQUET) as stream:
        binary = cast(Any, stream).buffer
        with parquet.ParquetWriter(binary, schema, compression="zstd") as writer:
            while part := list(islice(left, ROWS)):
                values = {name: [value(r) for r in part] for name, _, value in wanted}
                writer.write_batch(pyarrow.record_batch(values, schema=schema), row_group_size=ROWS)
    return path
