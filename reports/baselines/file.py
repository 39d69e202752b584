"""Reading a baseline from its file, or from that of a run; what is malformed is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xentcheck.errors import RunFileError
from xentcheck.records.run import RunFile
from xentcheck.vocabulary import OUTCOMES

from .baseline import HEADER, SCHEMA, TEXTS, TOOL, Baseline, Counts, Range, Span, baseline_of

READABLE = (2, 3, SCHEMA)
"""Schemas that are read: the first has counts as text, the second no worst case."""


def load(path: Path) -> Baseline:
    """The baseline of a file, be it one or a run file. Raises RunFileError with one line."""
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
            rest = file.read() if '"kind": "baseline"' in first else ""
    except OSError as error:
        raise RunFileError(f"run file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunFileError(f"run file {path} is not UTF-8 text: {error.reason}") from error
    if not rest:
        return baseline_of([RunFile.load(path)])
    return _parsed(path, [first.rstrip("\n"), *rest.split("\n")])


def _parsed(path: Path, lines: list[str]) -> Baseline:
    header = _object(path, 1, lines[0])
    if header.pop("tool", None) != TOOL or header.pop("kind", None) != "baseline":
        raise RunFileError(f"baseline {path}, line 1 is no header of {TOOL}: another program's file?")
    if (schema := header.pop("schema", None)) not in READABLE:
        allowed = ", ".join(map(str, READABLE))
        raise RunFileError(f"baseline {path} has schema {schema!r}; allowed: {allowed} (written by another version)")
    for name, type_ in HEADER.items():
        if not isinstance(header.get(name), type_):
            raise RunFileError(
                f"baseline {path}, line 1: {name} is {header.get(name)!r}; allowed: of type {type_.__name__}"
            )
    if not isinstance(header["environment"].get("adapters", {}), dict):
        raise RunFileError(f"baseline {path}, line 1: adapters of the environment are no object")
    if not _strings(header.get("catalogue", [])):
        raise RunFileError(f"baseline {path}, line 1: catalogue is no list of names")
    rows: dict[str, Span] = {}
    texts: dict[str, dict[str, tuple[str, ...]]] = {kind: {} for kind in TEXTS}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            break
        data = _object(path, number, line)
        if data.get("kind") == "end":
            for what, here in {"rows": len(rows), "texts": sum(map(len, texts.values()))}.items():
                if data.get(what) != here:
                    raise RunFileError(f"baseline {path}: {data.get(what)} {what} were written, {here} are here")
            return Baseline(header, rows, texts)
        try:
            if "row" in data:
                name = _text(data.pop("row"))
                _refuse_twice(name, rows)
                rows[name] = _row(data)
            else:
                (kind,) = set(data) - {"seen"}
                name = _text(data[kind])
                _refuse_twice(name, texts[kind])
                texts[kind][name] = _texts(data["seen"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFileError(
                f"baseline {path}, line {number} is malformed: {type(error).__name__}: {error}"
            ) from error
    raise RunFileError(f"baseline {path} is truncated: no end line after {len(rows)} rows")


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _refuse_twice(name: str, known: Mapping[str, object]) -> None:
    if name in known:
        raise ValueError(f"{name!r} is there twice")


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RunFileError(f"baseline {path}, line {number} is not JSON: truncated, or merged by hand") from None
    if not isinstance(data, dict):
        raise RunFileError(f"baseline {path}, line {number} is not an object")
    return data


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _row(data: dict[str, Any]) -> Span:
    share, ulp = (_numbers(data.pop(name)) if name in data else None for name in ("share", "ulp"))
    worst = {name: _text(data.pop(name)) for name in ("case", "replay") if name in data}
    if unknown := set(data) - {"cases", "outcomes"}:
        raise ValueError(f"unknown field {min(unknown)}")
    outcomes = data["outcomes"]
    if not isinstance(outcomes, list) or not outcomes:
        raise TypeError(f"{outcomes!r} is no list of counts")
    return Span(_text(data["cases"]), tuple(map(_counts, outcomes)), share, ulp, **worst)


def _counts(value: object) -> Counts:
    """Outcome -> number; schema 2 has them as text, "3 agree, 2 vacuous"."""
    if isinstance(value, str):
        parts = [re.fullmatch(r"(\d{1,18}) (\w+)", part) for part in value.split(", ")]
        value = {part[2]: int(part[1]) for part in parts if part} if all(parts) else value
    known = isinstance(value, dict) and value and set(value) <= set(OUTCOMES)
    if not (isinstance(value, dict) and known and all(map(_natural, value.values()))):
        raise ValueError(f"{value!r} is no count of outcomes")
    return value


def _natural(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def _numbers(values: Any) -> Range:
    low, high = map(float, values)
    return low, high


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not values:
        raise TypeError(f"{values!r} is no list of texts")
    return tuple(map(_text, values))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
