"""What the places of wrong elements say."""

from __future__ import annotations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.diagnosis.sorts import placed, sort_of, sorts_of_columns
from xentcheck.reference.formats import Array

MOST = 2048
"""Rows among which a moved one is looked for."""

FEWEST = 4
"""Elements, wrong and right, from which on their columns say something."""

FEW = 7
"""Elements of which a limit parts the wrong from the right ones by chance."""


def where_wrong(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a gradient's wrong elements say."""
    wrong = wrong_elements(exact, got, bound)
    rows = np.flatnonzero(wrong.any(1))
    if told := _without_a(right, got, wrong, bound):
        return told
    if (got[wrong] == 0).all():
        if told := _small(exact, got, wrong, right.softmax[0]):
            return told
        upper = np.arange(wrong.shape[1]) >= wrong.shape[1] // 2
        other = upper != (right.targets.label >= wrong.shape[1] // 2)[:, None]
        if right.targets.probabilities is None and len(rows) > 1 and np.array_equal(wrong, other & (exact != 0)):
            return "E59: a gradient in the half of the classes with the label only: its own shard"
        if told := _of_zeros(exact, got, wrong):
            return told
        whole = np.asarray(wrong.any(1))
        sort = sort_of(right, whole, np.asarray((exact != 0).any(1))) if not got[whole].any() else ""
        if sort:
            return f"F79: 0 times the right ones: just the rows {sort} are wrong"
        return "E54: the wrong elements are all 0"
    clipped = np.abs(got[wrong])
    apart = np.ptp(np.abs(exact[wrong])) > 1e-3 * np.abs(exact[wrong]).max()  # else it is one ratio
    if apart and len(clipped) > 1 and (clipped == clipped[0]).all() and np.abs(got).max() == clipped[0] > 0:
        return f"E51: the gradient is clipped at {clipped[0]:.6g}: just the larger elements are wrong"
    at_maximum = right.z == right.z.max(1, keepdims=True)
    beside = right.q == 0
    if not wrong[~at_maximum].any() and len(rows) > 1 and (wrong & beside).any():
        return "A11: wrong at the row's maximum only: a gradient flows through the maximum"
    return ""


def rows_of_zeros(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Which rows alone have wrongly no loss."""
    wrong = wrong_elements(exact, got, bound)
    if got[wrong].any() or not right.targets.kept[wrong].all():
        return ""
    told = (exact != 0) | wrong
    if where := placed(wrong, told, "row"):
        return f"F78: no loss {where}: rows are lost or skipped"
    sort = sort_of(right, wrong, told)
    return f"F79: 0 times the right ones: just the rows {sort} are wrong" if sort else ""


def _of_zeros(exact: Array, got: Array, wrong: Array) -> str:
    """Which columns or rows alone have wrongly no gradient at all."""
    there = (exact != 0) | wrong
    columns, rows = np.asarray(wrong.any(0)), np.asarray(wrong.any(1))
    where = placed(columns, np.asarray(there.any(0)), "column")
    if where and not got[:, columns].any() and np.array_equal(there & columns, wrong):
        return f"F74: no gradient {where}: columns have no gradient"
    where = placed(rows, np.asarray(there.any(1)), "row")
    if where and not got[rows].any() and np.array_equal(there & rows[:, None], wrong):
        return f"F78: no gradient {where}: rows are lost or skipped"
    return ""


def _small(exact: Array, got: Array, wrong: Array, a: Array) -> str:
    """Whether a limit parts what is 0 from what is not, in the probabilities or in the gradient itself."""
    there = (exact != 0) & (got != 0)
    for name, size in (("probability", a), ("gradient", np.abs(exact))):
        lost, left = size[wrong], size[there]
        if min(len(lost), len(left)) > 1 and len(lost) + len(left) > FEW and lost.max() < left.min():
            between = f"the largest {lost.max():.3g}, the smallest of the others {left.min():.3g}"
            return f"E51: {between}: elements of a small {name} are set to 0"
    return ""


def _without_a(right: Counterfactual, got: Array, wrong: Array, bound: Array) -> str:
    """Whether a alone is 0 where it is small: at labels -y is left."""
    a, s = right.softmax[0], np.broadcast_to(right.upstream / right.denominator, right.z.shape[:1])[:, None]
    zero = np.abs(got + s * right.q) <= bound
    lost, left = a[wrong], a[~zero & (s * right.q.sum(1, keepdims=True) != 0)]
    if not zero[wrong].all() or not wrong.any():
        return ""
    told = s * right.q.sum(1, keepdims=True) * a != 0
    columns = np.asarray(wrong.any(0))
    where = placed(columns, np.asarray(told.any(0)), "column")
    if where and (np.abs(got + s * right.q) <= bound)[:, columns].all() and (wrong & (got != 0)).any():
        return f"F74: {where}: a is left out of some columns of the gradient, y is right"
    if not (wrong & (got != 0)).any() or min(len(lost), len(left)) < 2:
        return ""
    if len(lost) + len(left) <= FEW or lost.max() >= left.min():
        return ""
    between = f"the largest {lost.max():.3g}, the smallest of the others {left.min():.3g}"
    return f"E51: {between}: elements of a small probability are set to 0"


def where_zero(quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a layer's gradient say that are wrongly 0."""
    wrong = wrong_elements(exact, got, bound)
    if not wrong.any() or got[wrong].any():
        return ""
    somewhere = np.asarray(wrong.reshape(len(wrong), -1).any(1))
    first = int(np.argmax(somewhere))
    if first and somewhere[first:].all():
        what = "row" if quantity == "dC/da_prev" else "class"
        return f"G94: no gradient from {what} {first} on: a lost shard or chunk"
    return "E54: the wrong elements are all 0"


def moved_rows(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Whether all wrong rows hold what is right in other rows, or zeros."""
    rows = np.asarray(wrong_elements(exact, got, bound).reshape(len(exact), -1).any(1))
    wide = [np.asarray(x).reshape(len(exact), -1) for x in (exact, got, bound)]
    if len(exact) > MOST or np.count_nonzero(rows) < (2 if wide[0].shape[1] > 2 else 4):
        return ""
    if len(exact) != len(right.z) or len(np.unique(wide[0][rows], axis=0)) < 2:
        return ""
    found, empty = [], 0
    for i in np.flatnonzero(rows):
        near = (np.abs(wide[1][i] - wide[0]) <= 2.0 * (wide[2] + wide[2][i])).all(1)
        empty += int(not near.any() and not wide[1][i].any())
        if near.any() and not near[i]:
            found.append((int(i), int(np.argmax(near))))
    if len(found) + empty < np.count_nonzero(rows) or len(found) < 2:
        return ""
    told = ", ".join(f"row {i} has that of row {j}" for i, j in found[:4])
    return f"F79: {told}: rows are right, but in the places of other rows"


def rows_of(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """What tells the wrong rows from the right ones: just these rows have it, two on either side at least."""
    wrong = wrong_elements(exact, got, bound)
    if len(wrong) != len(right.z):
        return ""
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(1))
    told = np.asarray((exact != 0).reshape(len(rows), -1).any(1)) | rows
    sort = sort_of(right, rows, told)
    return f"F79: {_by(exact, got, wrong)}just the rows {sort} are wrong" if sort else ""


def columns_of(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """What tells the wrong elements of a gradient from the right ones: just these columns, or their place by the label.

    Nothing is said where fewer than two rows or four elements are wrong, or none of the others could have been.
    """
    wrong = wrong_elements(exact, got, bound)
    if wrong.shape != right.z.shape or np.count_nonzero(wrong.any(1)) < 2 or np.count_nonzero(wrong) < FEWEST:
        return ""
    there = np.asarray((exact != 0) | wrong)
    for sentence, those in sorts_of_columns(right):
        inside = np.broadcast_to(those, wrong.shape) & there & wrong.any(1, keepdims=True)
        if np.array_equal(inside, wrong) and np.count_nonzero(there & ~wrong) >= FEWEST:
            return f"F79: {_by(exact, got, wrong)}just the elements {sentence} are wrong"
    return ""


def one_ratio_in_rows(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Which rows alone are one multiple of the right ones, as a whole."""
    wrong = wrong_elements(exact, got, bound)
    if len(wrong) != len(right.z) or np.count_nonzero(wrong) < FEWEST:
        return ""
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(1))
    told = np.asarray((exact != 0).reshape(len(rows), -1).any(1)) | rows
    factor = _by(exact, got, wrong)
    ratio = float((got[rows] * exact[rows]).sum() / (exact[rows] ** 2).sum())
    if not factor or not (np.abs(got - ratio * exact) <= (1.0 + abs(ratio)) * bound)[rows].all():
        return ""
    if where := placed(rows, told, "row"):
        return f"F79: {factor}{where}: a part of the rows has another factor"
    sort = sort_of(right, rows, told)
    return f"F79: {factor}just the rows {sort} are wrong" if sort else ""


def one_ratio_in_columns(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The same, where the wrong elements are one multiple of the right ones, and differ in size."""
    wrong = wrong_elements(exact, got, bound)
    size = np.abs(exact[wrong])
    if len(size) < FEWEST or np.ptp(size) <= 0.1 * size.max() or not _by(exact, got, wrong):
        return ""
    return columns_of(right, exact, got, bound)


def _by(exact: Array, got: Array, wrong: Array) -> str:
    """The factor of the wrong elements, if it is one."""
    if not (np.isfinite(got[wrong]).all() and (exact[wrong] != 0).all()):
        return ""
    ratio = got[wrong] / exact[wrong]
    one = len(ratio) > 1 and bool(np.ptp(ratio) <= 1e-3 * np.abs(ratio).max())
    return f"{ratio.mean():.5g} times the right ones: " if one else ""
