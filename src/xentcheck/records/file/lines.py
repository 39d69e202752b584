"""The lines of a run file by kind: the header, and one for each finding; and where a journal lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xentcheck.records.codec import Plain
from xentcheck.records.findings import Accuracy, Coverage, FaultResult, LawResult, ProbeResult
from xentcheck.records.record import Record

SCHEMA = 3
READABLE = (1, 2, SCHEMA)
"""Schemas that are read: the first one lacks a plan and shards, the first two the facts of a record."""

WITHOUT_FACTS = (1, 2)

TOOL = "xentcheck"

Finding = Record | Accuracy | Coverage | ProbeResult | LawResult | FaultResult
FINDINGS: dict[str, type[Finding]] = {
    "record": Record,
    "accuracy": Accuracy,
    "coverage": Coverage,
    "probe": ProbeResult,
    "law": LawResult,
    "fault": FaultResult,
}
"""Kinds of the lines that each hold one finding."""

BODY = (*FINDINGS, "failure", "timing", "end")
"""Kinds of the lines after the header."""


@dataclass(frozen=True, kw_only=True)
class Header(Plain):
    """The first line: what was run, with what. `host` is where equal runs may differ.

    catalogue: contract names in the order in which a grade is looked for. planned: number of records of a whole run.
    selection, dtypes, devices: what narrowed the profile; none means all of its cases. plan: digest of all tasks and of
    whom they ask; shard: which of them this run has, as "2/3"; empty where it has all. code: digest of the sources.
    """

    version: str
    generator: int
    seed: int
    profile: str
    catalogue: tuple[str, ...]
    environment: dict[str, Any]
    host: dict[str, Any]
    planned: int
    selection: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    plan: str = ""
    code: str = ""
    shard: str = ""

    @property
    def complete(self) -> bool:
        """Whether the run has all cases of its profile."""
        return not (self.selection or self.dtypes or self.devices or self.shard)


def journal_of(out: Path) -> Path:
    """Where a run keeps what it has found so far, beside its run file.

    >>> journal_of(Path("run.jsonl")).name
    'run.jsonl.partial'
    """
    return out.with_name(f"{out.name}.partial")


OF_A_PLAN = (
    *("version", "generator", "profile", "seed", "selection", "dtypes", "devices"),
    *("catalogue", "environment", "plan", "code"),
)
"""Fields of the header that all parts of one run share."""
