"""Every example in a docstring runs, and every public name has one."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import pytest

import xentcheck
from xentcheck import adapters, reference

MODULES = sorted(m.name for m in pkgutil.walk_packages(xentcheck.__path__, "xentcheck."))
FRAMEWORKS = {"xentcheck.adapters.torch": "torch", "xentcheck.adapters.jax": "jax"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """The examples of a module give what they show."""
    framework = FRAMEWORKS.get(name)
    if framework and find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("package", [reference, adapters], ids=lambda p: p.__name__)
def test_public_functions_have_an_example(package: object) -> None:
    """What a package exports shows how it is used."""
    exported = {name: getattr(package, name) for name in getattr(package, "__all__")}  # noqa: B009 - a module's list
    bare = [name for name, value in exported.items() if callable(value) and ">>>" not in (value.__doc__ or "")]
    assert not bare


def test_a_wrong_example_would_be_noticed() -> None:
    """The runner counts a failing example: without this the test above proves nothing."""
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "planted", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example, out=lambda text: None).failed == 1
