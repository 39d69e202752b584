"""Baseline files that are damaged, foreign, merged by hand or of another version: one line each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from samples import record, run

from xentcheck.errors import RunFileError
from xentcheck.reports.baselines.baseline import baseline_of
from xentcheck.reports.baselines.file import load


def damaged(change: str) -> str:
    """The lines of a baseline with something wrong."""
    lines = list(baseline_of([run(record(share=0.5, ulp=2.0))]).lines())
    failing = list(baseline_of([run(record(outcome="disagree", share=0.5, ulp=2.0))]).lines())
    header = json.loads(lines[0])
    return "\n".join(
        {
            "truncated": lines[:-1],
            "half a line": [*lines[:-1], lines[-1][:7]],
            "a row less": [lines[0], *lines[2:]],
            "a failure less": [line for line in failing if not line.startswith('{"failing"')],
            "a row twice": [lines[0], lines[1], *lines[1:]],
            "a failure twice": [*failing[:-1], *failing[2:]],
            "no JSON": [lines[0], "<<<<<<< HEAD", *lines[1:]],
            "foreign": [json.dumps({"kind": "baseline", "tool": "other"}), *lines[1:]],
            "newer": [json.dumps({**header, "schema": 5}), *lines[1:]],
            "no object": [lines[0], "[]", *lines[1:]],
            "unknown kind": [lines[0], '{"knot": "x", "seen": ["y"]}', *lines[1:]],
            "unknown field": [lines[0], lines[1].replace('"cases"', '"knots"'), *lines[2:]],
            "wrong type": [lines[0], lines[1].replace('"cases": "', '"cases": 3, "x": "'), *lines[2:]],
            "no outcome": [lines[0], re.sub(r'"outcomes": \[.*?\]', '"outcomes": []', lines[1]), *lines[2:]],
            "one outcome": [lines[0], re.sub(r'"outcomes": \[.*?\]', '"outcomes": "1 agree"', lines[1]), *lines[2:]],
            "half a count": [
                lines[0],
                re.sub(r'"outcomes": \[.*?\]', '"outcomes": [{"agree": 1.5}]', lines[1]),
                *lines[2:],
            ],
            "unknown outcome": [
                lines[0],
                re.sub(r'"outcomes": \[.*?\]', '"outcomes": [{"fine": 1}]', lines[1]),
                *lines[2:],
            ],
            "no number": [lines[0], re.sub(r'"share": \[.*?\]', '"share": [NaN, 1]', lines[1]), *lines[2:]],
            "no count": [lines[0], re.sub(r'"outcomes": \[.*?\]', '"outcomes": ["x agree"]', lines[1]), *lines[2:]],
            "no seed": [json.dumps({**header, "seed": "x"}), *lines[1:]],
            "no adapters": [json.dumps({**header, "environment": {"adapters": 3}}), *lines[1:]],
            "no catalogue": [json.dumps({**header, "catalogue": "fused"}), *lines[1:]],
            "one number": [lines[0], re.sub(r'"share": \[.*?\]', '"share": [0.5]', lines[1]), *lines[2:]],
        }[change]
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("truncated", "is truncated: no end line after 1 rows"),
        ("half a line", r"line \d is not JSON: truncated, or merged by hand"),
        ("a row less", "1 rows were written, 0 are here"),
        ("a failure less", "texts were written, "),
        ("a row twice", "line 3 is malformed: ValueError: '.*' is there twice"),
        ("a failure twice", r"line \d is malformed: ValueError: '.*' is there twice"),
        ("no JSON", "line 2 is not JSON: truncated, or merged by hand"),
        ("foreign", "line 1 is no header of xentcheck: another program's file?"),
        ("newer", r"has schema 5; allowed: 2, 3, 4 \(written by another version\)"),
        ("no object", "line 2 is not an object"),
        ("unknown kind", "line 2 is malformed: KeyError: 'knot'"),
        ("unknown field", "line 2 is malformed: ValueError: unknown field knots"),
        ("wrong type", "line 2 is malformed: "),
        ("no outcome", r"line 2 is malformed: TypeError: \[\] is no list of counts"),
        ("no catalogue", "line 1: catalogue is no list of names"),
        ("one outcome", "line 2 is malformed: TypeError: '1 agree' is no list of counts"),
        ("no number", "line 2 is not JSON: truncated, or merged by hand"),
        ("no count", "line 2 is malformed: ValueError: 'x agree' is no count of outcomes"),
        ("half a count", "line 2 is malformed: ValueError: .* is no count of outcomes"),
        ("unknown outcome", "line 2 is malformed: ValueError: .* is no count of outcomes"),
        ("no seed", "line 1: seed is 'x'; allowed: of type int"),
        ("no adapters", "line 1: adapters of the environment are no object"),
        ("one number", "line 2 is malformed: ValueError: "),
    ],
)
def test_a_damaged_baseline_is_one_line(change: str, text: str, tmp_path: Path) -> None:
    """What, where, what is allowed."""
    path = tmp_path / "damaged.jsonl"
    path.write_text(damaged(change))
    with pytest.raises(RunFileError, match=text) as found:
        load(path)
    assert "\n" not in str(found.value)


def test_counts_as_text_are_read_as_numbers(tmp_path: Path) -> None:
    """A file of schema 2 is the baseline that it was."""
    base = baseline_of([run(record(), record(case="b", outcome="vacuous"), record(case="c"))])
    header, row, *rest = base.lines()
    data = json.loads(row)
    assert data["outcomes"] == [{"vacuous": 1, "agree": 2}]
    old = [json.dumps({**json.loads(header), "schema": 2}), json.dumps({**data, "outcomes": ["1 vacuous, 2 agree"]})]
    (tmp_path / "old.jsonl").write_text("\n".join([*old, *rest, ""]))
    assert load(tmp_path / "old.jsonl").rows == base.rows
