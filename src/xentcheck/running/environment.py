"""What a run was made with: its header, versions and settings, and apart from them the machine and the time."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xentcheck.errors import declaring
from xentcheck.records.file import Header
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.numbers.fast import described
from xentcheck.vocabulary import NEVER_SET

from .comparison import planned
from .subjects import Subject
from .tasks import Task

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.cases import Case

GENERATOR = 2
"""Version of the laws that draw inputs: the same case id gives the same bits under the same generator."""


WINGS = ("vocabulary", "reference", "records", "cases", "adapters", "judging", "diagnosis", "running")
"""The parts of the package that a record comes from."""


@cache
def code_digest() -> str:
    """SHA-256 of their sources: what is being edited has one version for many states."""
    sha = hashlib.sha256()
    for wing in WINGS:
        found = find_spec(f"xentcheck.{wing}")
        assert found
        roots = map(Path, found.submodule_search_locations or ())
        files = [(path.relative_to(root), path) for root in roots for path in root.rglob("*.py")]
        for name, path in sorted(files) if files else [(Path(wing), Path(str(found.origin)))]:
            sha.update(f"{wing}/{name.as_posix()}\n".encode() + path.read_bytes())
    return sha.hexdigest()[:16]


def environment(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Versions and settings: equal for equal installations, whatever the machine's load."""
    adapters = {s.adapter.name: s.adapter for s in subjects if not s.missing}
    missing = {s.adapter.name: s.missing for s in subjects if s.missing}
    return {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "loops": described(),
        "adapters": {name: _about(adapter) for name, adapter in adapters.items()},
        "unavailable": missing,
    }


def _about(adapter: Adapter) -> dict[str, str]:
    with declaring(adapter.name):
        unset = {NEVER_SET: " ".join(adapter.never_set)} if adapter.never_set else {}
        return {"version": adapter.version(), **adapter.settings(), **unset}


def host(jobs: int) -> dict[str, Any]:
    """The machine and the moment: two equal runs may differ here."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "workers": jobs,
    }


def header_of(
    chosen: Sequence[Case],
    subjects: Sequence[Subject],
    profile: str,
    seed: int,
    jobs: int,
    selection: Sequence[str] = (),
    **more: Any,
) -> Header:
    """The first line of a run file; more: fields of it that say what narrowed the run, and its plan."""
    return Header(
        version=version("xentcheck"),
        generator=GENERATOR,
        seed=seed,
        profile=profile,
        catalogue=tuple(CATALOGUE),
        environment=environment(subjects),
        host=host(jobs),
        planned=planned(chosen, subjects),
        code=code_digest(),
        selection=tuple(selection),
        **more,
    )


def digest_of_plan(tasks: Sequence[Task], subjects: Sequence[Subject]) -> str:
    """SHA-256 of all tasks and of whom they ask: runs of one plan can be put together."""
    sha = hashlib.sha256()
    for task in tasks:
        sha.update(f"{task}\n".encode())
    for s in subjects:
        sha.update(f"{s.adapter.name} {s.variant} {s.device} {s.command} {s.missing}\n".encode())
    return sha.hexdigest()[:16]
