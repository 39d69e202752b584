"""The options of the pytest plugin, each of the command line and of the configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    pass


OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("adapter", "args", "NAME", "adapter to test; repeatable"),
    ("impl", "string", "PKG.MOD:FN", "a function of your own to test"),
    ("framework", "string", "torch|jax|numpy|process", "what the function is written in"),
    ("overwrites", "args", "logits", "what the function says that it overwrites; repeatable"),
    ("profile", "string", "quick|full|deep", "how many cases; default quick"),
    ("seed", "string", "S", "another draw of every case; default 0"),
    ("dtype", "args", "DTYPE", "only this dtype; repeatable"),
    ("device", "args", "DEVICE", "only this device; repeatable"),
    ("case", "args", "GLOB", "only cases whose id matches; repeatable"),
    (
        "contract",
        "args",
        "[DTYPE=]NAME",
        "the arithmetic promised, whatever is declared; repeatable, one a dtype",
    ),
    ("isolation", "string", "process|none", "run what is not built in in a process of its own; default process"),
    ("timeout", "string", "SECONDS", "for one call in that process, compilation apart; default 60"),
    ("deviations", "string", "FILE", "TOML file of known faults, besides the built-in one"),
    ("from", "string", "FILE", "run file of this installation, whose records are not computed again"),
    ("ids", "string", "comparison|signature", "a test for each comparison, or for all of one signature"),
    ("out", "string", "FILE", "run file to write"),
    ("report", "string", "DIR", "folder for the report"),
)
"""name, kind, values and help of each option `--xentcheck-NAME`, and of its ini equivalent `xentcheck_NAME`."""

MATRIX = "xentcheck.conformance"

CARRIED = "xentcheck"
"""The attribute of a report under which a worker of xdist sends what its test has found."""


def given(config: pytest.Config, name: str) -> Any:
    """What the command line says, else the ini file; None if neither does."""
    said = config.getoption(f"--xentcheck-{name}")
    return config.getini(f"xentcheck_{name}") if said is None else said


def option(config: pytest.Config, name: str) -> Any:
    """What is given; None, or an empty list for what may be repeated, if nothing is. Raises pytest.UsageError."""
    _, kind, values, _ = next(row for row in OPTIONS if row[0] == name)
    said = given(config, name)
    if said is None:
        return [] if kind == "args" else None
    words = said if kind == "args" else [said]
    if not words or not all(word.strip() for word in words):  # as of a variable that is not set
        raise pytest.UsageError(f"--xentcheck-{name} is {''.join(words)!r}, which names nothing; allowed: {values}")
    return said


def used(config: pytest.Config) -> bool:
    """Whether an option is given, or the conformance tests are named."""
    return any(MATRIX in str(arg) for arg in config.args) or any(option(config, name) for name, *_ in OPTIONS)
