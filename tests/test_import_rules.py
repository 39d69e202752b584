"""The import rules of the house: who may know whom, and what start-up may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ALLOWED = {
    "reference": ("xentcheck.errors", "xentcheck.vocabulary"),
    "reports": ("xentcheck.errors", "xentcheck.vocabulary"),
    "adapters": ("xentcheck.errors", "xentcheck.vocabulary", "xentcheck.reference"),
}
FRAMEWORKS = ("torch", "jax", "optax")
HEAVY = ("numpy", "torch", "jax", "matplotlib", "jinja2")


def folder(package: str) -> Path:
    """Where a package is installed."""
    (path,) = import_module(f"xentcheck.{package}").__path__
    return Path(path)


def imports(source: str, *, top_level: bool = False) -> list[str]:
    """Names imported by a module, relative ones with their dots; `top_level`: outside functions and TYPE_CHECKING."""
    tree = ast.parse(source)
    nodes = list(tree.body) if top_level else list(ast.walk(tree))
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [f"xentcheck.{alias.name}" for alias in node.names] if base == "xentcheck" else [base]
    return found


def violations(package: str, source: str) -> list[str]:
    """Imports of a module in one of the three folders that break the rules."""
    bad = []
    for name in imports(source):
        ours = name == "xentcheck" or name.startswith("xentcheck.")
        allowed = any(name == a or name.startswith(f"{a}.") for a in ALLOWED[package])
        if name.startswith("..") or (ours and not allowed):
            bad.append(name)
    return bad


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_folders_know_only_what_they_may(package: str) -> None:
    """reference and reports know nothing else of ours, adapters the reference; inside a folder imports are relative."""
    files = sorted(folder(package).glob("*.py"))
    assert files
    assert {f.name: bad for f in files if (bad := violations(package, f.read_text()))} == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("reference", "from xentcheck.adapters import get"),
        ("reference", "import xentcheck.judge"),
        ("reports", "from xentcheck.reference.formats import FORMATS"),
        ("adapters", "from xentcheck.runner import run_case"),
        ("adapters", "from xentcheck.adapters.base import Adapter"),
        ("reference", "from ..judge import error_of"),
    ],
)
def test_a_planted_violation_is_found(package: str, source: str) -> None:
    """Each rule alone notices its violation."""
    assert violations(package, source)


def test_no_adapter_imports_a_framework_at_module_level() -> None:
    """A framework may be missing, broken or slow: it is imported when it is used."""
    for path in folder("adapters").glob("*.py"):
        roots = {name.split(".")[0] for name in imports(path.read_text(), top_level=True)}
        assert not roots & set(FRAMEWORKS), path.name
    assert imports("import torch\ndef f():\n    import jax\n", top_level=True) == ["torch"]


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after some code."""
    script = f"{code}\nimport sys\nprint('LOADED', *sorted({{m.split('.')[0] for m in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split()[1:])


HELP = """
import sys
from xentcheck.cli import main
sys.argv = ["xentcheck", "--help"]
try:
    main()
except SystemExit:
    pass
"""


@pytest.mark.parametrize("code", ["import xentcheck", HELP], ids=["import", "help"])
def test_start_up_imports_nothing_heavy(code: str) -> None:
    """Neither `import xentcheck` nor `xentcheck --help` imports NumPy, a framework or matplotlib."""
    assert not loaded(code) & set(HEAVY)


def test_a_heavy_import_would_be_seen() -> None:
    """The subprocess does report what it imports."""
    assert "numpy" in loaded("import xentcheck.reference")
