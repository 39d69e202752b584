"""mypy, strict, looks into all five packages: a type error planted in each is found, and there is no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "pyproject.toml"
PLANTED = {
    "xentcheck": "vocabulary.py",
    "xentcheck.reference": "formats.py",
    "xentcheck.adapters": "layout.py",
    "xentcheck.reports": "record.py",
    "xentcheck.museum": "base.py",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five installed packages copied into one tree, as the wheel lays them out."""
    if find_spec("mypy") is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("mypy is not installed")
    root = tmp_path_factory.mktemp("typed")
    for package in PLANTED:
        (source,) = import_module(package).__path__
        target = root / package.replace(".", "/")
        ignore = shutil.ignore_patterns("__pycache__", "out")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)
    return root


def errors(tree: Path) -> list[str]:
    """The errors that mypy finds in a tree."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(CONFIG), "--no-error-summary", "-p", "xentcheck"]
    out = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert not out.stderr, out.stderr
    return [line for line in out.stdout.splitlines() if ": error:" in line]


def test_a_planted_error_is_found_in_each_package(tree: Path) -> None:
    """The clean tree has no error; one planted in each package is found there."""
    assert errors(tree) == []
    for package, module in PLANTED.items():
        with (tree / package.replace(".", "/") / module).open("a") as file:
            file.write('\nplanted: int = "a"\n')
    found = errors(tree)
    assert sorted(line.split(":")[0] for line in found) == sorted(
        f"{package.replace('.', '/')}/{module}" for package, module in PLANTED.items()
    )
    assert all(line.endswith("[assignment]") for line in found), found
