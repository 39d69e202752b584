"""The import rules of the house: who may know whom, and what start-up may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

ALLOWED = {
    "reference": ("xentcheck.errors", "xentcheck.vocabulary"),
    "reports": ("xentcheck.errors", "xentcheck.vocabulary"),
    "adapters": ("xentcheck.errors", "xentcheck.vocabulary", "xentcheck.reference"),
    "museum": ("xentcheck.cases.case", "xentcheck.vocabulary", "xentcheck.reference", "xentcheck.adapters"),
}
FRAMEWORKS = ("torch", "jax", "optax")
# the one library that the equations may use; errors and vocabulary, which everyone imports, use none
LIBRARIES = {"reference": {"numpy", "ml_dtypes"}, "errors": set[str](), "vocabulary": set[str]()}
HEAVY = ("numpy", "ml_dtypes", "torch", "jax", "matplotlib", "jinja2")


def folder(package: str) -> Path:
    """Where a folder's package is installed; "" is the harness."""
    (path,) = import_module(f"xentcheck.{package}" if package else "xentcheck").__path__
    return Path(path)


def at_start(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: not in functions, not under TYPE_CHECKING; in `try`, `if`, classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_start(child)


def imports(source: str, *, top_level: bool = False) -> list[str]:
    """Names imported by a module, relative ones with their dots; `top_level`: only what its own import runs."""
    tree = ast.parse(source)
    found: list[str] = []
    for node in at_start(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [f"xentcheck.{alias.name}" for alias in node.names] if base == "xentcheck" else [base]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found += [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return found


def within(name: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of the packages or lies in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def violations(package: str, source: str) -> list[str]:
    """Imports that break the rules, of a module of one of the three folders or of the harness ("")."""
    allowed = ALLOWED[package] if package else [f"xentcheck.{other}" for other in ALLOWED]
    relative_across = [] if package else [f".{other}" for other in ALLOWED]
    return [
        name
        for name in imports(source)
        if name.startswith("..")
        or within(name, relative_across)
        or (within(name, ["xentcheck"]) and not within(name, allowed))
    ]


@pytest.mark.parametrize("package", ["", *sorted(ALLOWED)], ids=lambda p: p or "harness")
def test_folders_know_only_what_they_may(package: str) -> None:
    """Each folder knows what it may; imports are relative inside a folder and absolute across folders."""
    files = sorted(folder(package).glob("*.py"))
    assert files
    assert {f.name: bad for f in files if (bad := violations(package, f.read_text()))} == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("reference", "from xentcheck.adapters import get"),
        ("reference", "import xentcheck.judging.metric"),
        ("reports", "from xentcheck.reference.formats import FORMATS"),
        ("adapters", "from xentcheck.running.comparison import run_case"),
        ("adapters", "from xentcheck.adapters.base import Adapter"),
        ("reference", "from ..judge import error_of"),
        ("reports", "from xentcheck import judge"),
        ("reference", "def f():\n    import xentcheck.judging.metric"),
        ("reference", "judge = importlib.import_module('xentcheck.judging.metric')"),
        ("", "from xentcheck.judging.metric import judge"),
        ("", "from .adapters.base import Adapter"),
        ("", "from xentcheck import errors"),
    ],
)
def test_a_planted_violation_is_found(package: str, source: str) -> None:
    """Each rule alone notices its violation."""
    assert violations(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("reference", "from xentcheck.errors import ShapeError\nfrom .rows import rows\nimport numpy"),
        ("reports", "from xentcheck.vocabulary import OUTCOMES"),
        ("adapters", "from xentcheck.reference.problem import Problem\nfrom xentcheck import reference"),
        ("", "from . import adapters\nfrom .errors import XentcheckError\nfrom xentcheck.adapters.base import Adapter"),
    ],
)
def test_what_is_allowed_passes(package: str, source: str) -> None:
    """The rules leave alone what each folder may import."""
    assert violations(package, source) == []


def libraries(source: str) -> set[str]:
    """Libraries that a module imports anywhere: neither the standard library's nor ours."""
    roots = {name.split(".")[0] for name in imports(source) if not name.startswith(".")}
    return roots - sys.stdlib_module_names - {"xentcheck"}


@pytest.mark.parametrize("part", sorted(LIBRARIES))
def test_the_base_uses_no_further_library(part: str) -> None:
    """The equations know NumPy and nothing else; errors and vocabulary know the standard library."""
    files = [folder("") / f"{part}.py"] if part != "reference" else sorted(folder(part).glob("*.py"))
    assert files
    assert {f.name: more for f in files if (more := libraries(f.read_text()) - LIBRARIES[part])} == {}


def test_a_library_is_told_from_the_standard_library() -> None:
    """A library is noticed also inside a function, and beside imports that are allowed."""
    source = "import os\nfrom . import rows\nfrom xentcheck import errors\ndef f():\n    from scipy import special\n"
    assert libraries(source) == {"scipy"}


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_an_adapter_knows_one_framework(framework: str) -> None:
    """Each adapter imports its own framework and no other."""
    found = libraries((folder("adapters") / f"{framework}.py").read_text())
    assert found <= {framework, "numpy"}


def test_no_adapter_imports_a_framework_at_module_level() -> None:
    """A framework may be missing, broken or slow: it is imported when it is used."""
    for path in folder("adapters").glob("*.py"):
        roots = {name.split(".")[0] for name in imports(path.read_text(), top_level=True)}
        assert not roots & set(FRAMEWORKS), path.name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\ndef f():\n    import jax\n", ["torch"]),
        ("try:\n    import torch\nexcept ImportError:\n    pass\n", ["torch"]),
        ("class A:\n    import jax\n    def f(self):\n        import torch\n", ["jax"]),
        ("if TYPE_CHECKING:\n    import torch\n", []),
        ("torch = import_module('torch')\n", ["torch"]),
    ],
    ids=["function", "try", "class", "type-checking", "import_module"],
)
def test_a_module_level_import_is_found_wherever_it_hides(source: str, found: list[str]) -> None:
    """Only imports that run when the module is imported count, also inside `try` and classes."""
    assert imports(source, top_level=True) == found


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after some code."""
    script = f"{code}\nimport sys\nprint('LOADED', *sorted({{m.split('.')[0] for m in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split()[1:])


HELP = """
import sys
from xentcheck.cli.main import main
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
