"""Errors: one base class, and all of them can travel between processes."""

from __future__ import annotations

import pickle
from inspect import getmembers, isclass

import pytest

from xentcheck import errors

ALL = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[Exception]) -> None:
    """xdist and worker processes hand them over: type, message and cause of the exit code."""
    back = pickle.loads(pickle.dumps(kind("what, where, what is allowed")))
    assert type(back) is kind
    assert str(back) == "what, where, what is allowed"
    assert isinstance(back, errors.XentcheckError) == issubclass(kind, errors.XentcheckError)


def test_what_is_about_input_has_one_base_class() -> None:
    """The command line turns that into exit code 2; what an implementation does is no input."""
    others = {kind.__name__ for kind in ALL if not issubclass(kind, errors.XentcheckError)}
    assert others == {"Disagreement", "ImplementationError", "ProcessEnded", "ProcessTimeout", "Refused", "Undecided"}
