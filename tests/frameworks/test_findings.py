"""What docs/findings.md says of released software: its scripts print what stands below them, under its versions."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"

if not PAGE.is_file():
    pytest.skip("the docs are not installed", allow_module_level=True)

FINDING = re.compile(r"^## (\d+)\. (.*?)$\n+(.*?)```python\n(.*?)```\n\n```\n(.*?)```$", re.DOTALL | re.MULTILINE)
FINDINGS = [match.groups() for match in FINDING.finditer(PAGE.read_text(encoding="utf-8"))]


def missing(prose: str) -> str:
    """Why a finding cannot be seen here: the first of its packages that is of another version, or not installed."""
    for name, told in re.findall(r"\b(torch|jax|optax|scipy|numpy) (\d[\d.]*\d)", prose):
        try:
            here = version(name).partition("+")[0]
        except PackageNotFoundError:
            return f"{name} is not installed"
        if here != told:
            return f"the finding is of {name} {told}, and {here} is installed"
    return ""


def printed(script: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a script prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are told of by the software, too
        exec(compile(script, str(PAGE), "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


@pytest.mark.parametrize(("number", "title", "prose", "script", "output"), FINDINGS, ids=lambda text: text[:2].strip())
def test_a_finding_is_seen(
    number: str, title: str, prose: str, script: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five lines at most, and exactly what the page shows."""
    if reason := missing(prose):
        pytest.skip(reason)
    assert len([line for line in script.splitlines() if line.strip()]) <= 5
    assert printed(script, capsys) == output


def test_another_answer_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """What a mended version would print is not what the page shows."""
    script, output = FINDINGS[6][3:]
    assert "float16" in script
    pytest.importorskip("jax")
    assert printed(script.replace("float16", "float32"), capsys) not in ("", output)


def test_a_finding_of_another_version_is_left_out() -> None:
    """And of a package that is not there."""
    here = version("numpy").partition("+")[0]
    assert missing(f"numpy {here}, CPU.") == ""
    assert missing("numpy 0.0.1, CPU.") == f"the finding is of numpy 0.0.1, and {here} is installed"
