"""Every example in a docstring runs, and every public name has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, settings

import xentcheck
from xentcheck import adapters, museum, reference, reports

PACKAGES = (xentcheck, reference, adapters, reports, museum)
# each package by its own path: an editable installation keeps the folders apart
MODULES = sorted(
    {package.__name__ for package in PACKAGES}
    | {m.name for package in PACKAGES for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")}
)
FRAMEWORKS = {"xentcheck.adapters.torch.adapter": "torch", "xentcheck.adapters.jax.adapter": "jax"}

COMPILED = tuple(f"xentcheck.reference.numbers.loops.{module}" for module in ("compiled", "comparing", "passes"))


@pytest.fixture
def unexplained() -> Iterator[None]:
    """What Hypothesis finds, without the search for what of it matters, which only a message would tell."""
    before = settings.default
    settings.register_profile("unexplained", phases=[phase for phase in Phase if phase is not Phase.explain])
    settings.load_profile("unexplained")
    yield
    settings.register_profile("before", before)
    settings.load_profile("before")


@pytest.mark.usefixtures("ordinary", "unexplained")
@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """The examples of a module give what they show, on cases of one shape: nothing else runs them."""
    needed = "numba" if name.startswith(COMPILED) else FRAMEWORKS.get(name)
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("package", [reference, adapters], ids=lambda p: p.__name__)
def test_public_names_have_an_example(package: ModuleType) -> None:
    """What a package exports shows how it is used."""
    exported = {name: getattr(package, name) for name in package.__all__}
    bare = [name for name, value in exported.items() if callable(value) and ">>>" not in (value.__doc__ or "")]
    assert not bare


def test_functions_of_the_api_have_an_example() -> None:
    """The entry points show how they are used; results and errors need no example of their own."""
    exported = {name: getattr(xentcheck, name) for name in xentcheck.__all__}
    functions = {name: value for name, value in exported.items() if inspect.isfunction(value)}
    assert functions
    assert not [name for name, value in functions.items() if ">>>" not in (value.__doc__ or "")]


def test_a_wrong_example_would_be_noticed() -> None:
    """The runner counts a failing example: without this the test above proves nothing."""
    assert doctest.testmod(ModuleType("planted", ">>> 1 + 1\n3\n")).failed == 1


def test_no_module_is_left_out() -> None:
    """Every file of the packages is among the modules whose examples run."""
    files = {path for package in PACKAGES for folder in package.__path__ for path in Path(folder).rglob("*.py")}
    assert len(MODULES) == len(files)
