"""The import rules of the house: who may know whom, how full a folder may be, and what start-up may import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import house
import pytest

import xentcheck

FRAMEWORKS = ("torch", "jax", "optax")
# the one library that the equations may use; errors and vocabulary, which everyone imports, use none
LIBRARIES = {
    "reference": {"numpy", "ml_dtypes", "numba"},
    "errors": set[str](),
    "vocabulary": set[str](),
    "records": set[str](),
}
HEAVY = ("numpy", "ml_dtypes", "numba", "torch", "jax", "matplotlib", "jinja2")
MODULES = house.modules()
GRAPH = {name: house.arrows(name, path.read_text(), MODULES) for name, path in MODULES.items()}


def violations(name: str, source: str) -> list[str]:
    """Imports that break the rules, of a module: of the table of wings, and of how an import is written."""
    wing = house.wing_of(name)
    allowed = {wing, *house.BASE, *house.WINGS.get(wing, ())} if wing not in house.BASE else {*house.BASE}
    wrong = [m for m in house.arrows(name, source, MODULES) if wing and house.wing_of(m) not in allowed]
    folder = name if MODULES.get(name, Path("x")).name == "__init__.py" else name.rpartition(".")[0]
    for text in house.imports(source):
        near = text.startswith(f"{folder}.") and f"{folder}.{text[len(folder) + 1 :].split('.')[0]}" in MODULES
        within = folder != "xentcheck" and near and MODULES[folder].name == "__init__.py"
        deeper = within and MODULES[f"{folder}.{text[len(folder) + 1 :].split('.')[0]}"].name == "__init__.py"
        if text.startswith("..") or (within and not deeper and not text.startswith(".")):
            wrong.append(text)
    return wrong


@pytest.mark.parametrize("wing", [*house.BASE, *house.WINGS])
def test_wings_know_only_what_they_may(wing: str) -> None:
    """Each wing knows what the table says; imports are relative inside a folder and absolute across folders."""
    here = {name: path for name, path in MODULES.items() if house.wing_of(name) == wing}
    assert here
    assert {name: bad for name, path in here.items() if (bad := violations(name, path.read_text()))} == {}


def test_every_module_stands_in_a_wing() -> None:
    """The table names every wing that there is, and none that is gone."""
    assert {house.wing_of(name) for name in MODULES} - {""} == {*house.WINGS, *house.BASE}


def test_wings_know_wings_below_them() -> None:
    """The table itself has no arrow upwards: what a wing may know stands before it."""
    order = list(house.WINGS)
    assert not [(w, k) for w, known in house.WINGS.items() for k in known if order.index(k) >= order.index(w)]


def test_no_circle() -> None:
    """No module leads back to itself, lazy imports and those for types included."""
    assert house.circles(GRAPH) == []


def test_the_picture_of_the_house_is_true() -> None:
    """`docs/architecture.md` shows what `python tests/helpers/house.py` draws, and every wing: seen here alone."""
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text()
    assert f"```mermaid\n{house.picture()}\n```" in page
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    named = {room for row in rows for room in re.findall("`([a-z_]+)`", f"{row[1]} {row[3]}")}
    folders = {m.split(".")[2] for m in MODULES if m.count(".") > 1 and house.wing_of(m) != "museum"}
    missing = {*house.WINGS, *folders} - named - {"museum"}
    assert not missing


def test_a_planted_circle_is_found() -> None:
    """Of two and of three, and only those."""
    graph = {"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"e"}, "e": {"c", "a"}, "f": {"a"}}
    assert house.circles(graph) == [["a", "b"], ["c", "d", "e"]]


def test_no_folder_is_too_full() -> None:
    """A folder has at most nine modules, and a sentence of what they are about."""
    packages = [name for name, path in MODULES.items() if path.name == "__init__.py"]
    assert len(packages) > 20
    for package in packages:
        inside = [m for m in MODULES if m.rpartition(".")[0] == package and m not in packages]
        assert len(inside) <= house.MOST or package in house.PARALLEL, (package, inside)
        text = ast.get_docstring(ast.parse(MODULES[package].read_text())) or ""
        assert text.partition("\n")[0].endswith((".", "?")), package


def test_no_public_name_is_a_module_too() -> None:
    """A lazy export that has a module's name becomes that module once anything imports it: alone this loads all."""
    names = [name for name in xentcheck.__all__ if not isinstance(getattr(xentcheck, name), type(xentcheck))]
    assert "build" in names
    assert not [name for name in names if find_spec(f"xentcheck.{name}")]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("xentcheck.reference.problem", "from xentcheck.adapters import get"),
        ("xentcheck.reference.problem", "import xentcheck.judging.metric"),
        ("xentcheck.reports.analysis.summary", "from xentcheck.reference.formats import FORMATS"),
        ("xentcheck.adapters.base", "from xentcheck.running.comparison import run_case"),
        ("xentcheck.adapters.registry", "from xentcheck.adapters.base import Adapter"),
        ("xentcheck.reference.problem", "from ..judging import metric"),
        ("xentcheck.records.record", "from xentcheck import judging"),
        ("xentcheck.reference.problem", "def f():\n    import xentcheck.judging.metric"),
        ("xentcheck.reference.problem", "judge = importlib.import_module('xentcheck.judging.metric')"),
        ("xentcheck.cases.case", "if TYPE_CHECKING:\n    from xentcheck.adapters.base import Adapter"),
        ("xentcheck.judging.verdict", "from xentcheck.diagnosis.suspects import SOURCES"),
        ("xentcheck.errors", "from xentcheck.reference.formats import FORMATS"),
        ("xentcheck.api", "from xentcheck.cli.main import cli"),
    ],
)
def test_a_planted_violation_is_found(name: str, source: str) -> None:
    """Each rule alone notices its violation."""
    assert violations(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "xentcheck.reference.rows",
            "from xentcheck.errors import ShapeError\nfrom .formats import Array\nimport numpy",
        ),
        ("xentcheck.reports.analysis.summary", "from xentcheck.vocabulary import OUTCOMES\nfrom .power import Group"),
        ("xentcheck.adapters.base", "from xentcheck.reference.problem import Problem\nfrom xentcheck import reference"),
        (
            "xentcheck.adapters.registry",
            "from .base import Adapter\nfrom xentcheck.adapters.wrap.functions import f",
        ),
        ("xentcheck.api", "from xentcheck.errors import AdapterError\nfrom xentcheck.running.tasks import Task"),
    ],
)
def test_what_is_allowed_passes(name: str, source: str) -> None:
    """The rules leave alone what each module may import."""
    assert violations(name, source) == []


def libraries(source: str) -> set[str]:
    """Libraries that a module imports anywhere: neither the standard library's nor ours."""
    roots = {name.split(".")[0] for name in house.imports(source) if not name.startswith(".")}
    return roots - sys.stdlib_module_names - {"xentcheck"}


@pytest.mark.parametrize("wing", sorted(LIBRARIES))
def test_the_base_uses_no_further_library(wing: str) -> None:
    """The equations know NumPy and nothing else; errors, vocabulary and records know the standard library."""
    here = {name: path for name, path in MODULES.items() if house.wing_of(name) == wing}
    assert here
    assert {n: more for n, path in here.items() if (more := libraries(path.read_text()) - LIBRARIES[wing])} == {}


def test_a_library_is_told_from_the_standard_library() -> None:
    """A library is noticed also inside a function, and beside imports that are allowed."""
    source = "import os\nfrom . import rows\nfrom xentcheck import errors\ndef f():\n    from scipy import special\n"
    assert libraries(source) == {"scipy"}


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_an_adapter_knows_one_framework(framework: str) -> None:
    """Each adapter imports its own framework and no other."""
    here = [path for name, path in MODULES.items() if name.startswith(f"xentcheck.adapters.{framework}.")]
    assert len(here) > 2
    assert set().union(*(libraries(path.read_text()) for path in here)) <= {framework, "numpy"}


def test_no_adapter_imports_a_framework_at_module_level() -> None:
    """A framework may be missing, broken or slow: it is imported when it is used. This alone reads every adapter."""
    for name, path in MODULES.items():
        roots = {text.split(".")[0] for text in house.imports(path.read_text(), top_level=True)}
        assert house.wing_of(name) != "adapters" or not roots & set(FRAMEWORKS), name


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
    assert house.imports(source, top_level=True) == found


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
