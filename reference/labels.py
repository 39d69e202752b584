"""Labels as rows of probabilities, for implementations that take no labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .problem import Problem


def one_hot(p: Problem) -> Problem:
    """The same problem with one-hot rows of its own dtype in place of class indices [derived].

    Labels have the shape of the loss; rows have that of the logits, with the classes on axis 1, or 0 of (C,) logits. A
    problem that has rows already stays as it is. Raises ValueError for ignored examples, which no row stands for.

    >>> one_hot(Problem(logits=np.zeros((2, 3)), target=np.array([2, 0]), upstream=np.ones(()))).target.tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if p.probabilities:
        return p
    if not p.kept.all():
        raise ValueError("examples are ignored, which no row of probabilities stands for; allowed: all are kept")
    axis = 0 if len(p.logits_shape) == 1 else 1
    rows = np.arange(p.classes).reshape(-1, *(1,) * (len(p.loss_shape) - axis))
    return replace(p, target=(rows == np.expand_dims(p.target, axis)).astype(p.dtype))
