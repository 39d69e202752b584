"""Labels as rows of probabilities, for implementations that take no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xentcheck.reference.labels import one_hot
from xentcheck.reference.problem import NO_IGNORE, Problem

if TYPE_CHECKING:
    from .subjects import Subject

GIVEN_AS_ROWS = "takes no labels: they are given as one-hot rows of probabilities"
"""What is noted of comparisons whose case has labels."""


def given(problem: Problem, subject: Subject) -> Problem:
    """The problem as an implementation gets it, and is judged by; where examples are ignored its labels stay."""
    if subject.adapter.capabilities.labels or problem.ignore_index != NO_IGNORE or not problem.kept.all():
        return problem
    return one_hot(problem)
