"""Which standard wrong answers a group of comparisons must reject: a static table, never derived from the cases
drawn.
"""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.vocabulary import DIRECTIONAL, GRADIENTS, VALUES

ALWAYS = {
    "a": ("zero", "unnormalised", "wrong_axis", "shifted", "times_1_001"),
    "log_a": ("zero", "negated", "unnormalised", "wrong_axis", "shifted"),
    **dict.fromkeys(VALUES, ("zero", "negated", "times_1_001", "without_largest_term")),
    "jvp": ("zero", "negated", "doubled"),
    "hvp": ("zero", "negated", "doubled", "halved", "rank_one_dropped", "last_column_dropped"),
    **dict.fromkeys(GRADIENTS, ("zero", "negated", "doubled", "halved", "onehot_dropped", "last_column_dropped")),
}
"""By quantity, whatever the options."""

NARROW = ("bfloat16", "float16")
COARSE = {"times_1_001": "times_1_25"}
"""What stands in for a wrong answer in dtypes that cannot resolve it."""

BEYOND = {("stable", "bfloat16", "hvp"): "halved"}
"""(contract, dtype, quantity) -> the wrong answer that no input lets its bound reject: under `stable` the first bit of
a second derivative in bfloat16 is lost already on 1 x 2 logits of any family.
"""

OVERFLOWS = {"float16": 30000}
"""By dtype, the step of classes beyond which the log-probabilities that smoothing adds up overflow on every input: no
bound of a smoothed value is finite there, and its smoothing is left to its gradient.
"""

MANY_ROWS = 100
ROUGH = {"times_1_25": "times_1_5"}
IN_STORAGE = ("stash-sum", "decisive", "storage-accumulate", "stable")
"""In more rows than these a mean or sum in bfloat16 may be off by a fifth (34 additions of 2^-8, and the losses' own
errors) where a contract lets rows be added up in storage; what stands in for a wrong answer there.
"""

MANY_TERMS = 4096
"""Rows of probabilities may be added up over rows and classes at once: beyond so many terms the roundings of a narrow
dtype hide a sum without its largest term.
"""

BY_OPTION = {
    "weight": "weights_left_out",
    "label_smoothing": "smoothing_left_out",
    "ignore_index": "ignored_rows",
    "upstream": "upstream_ignored",
}
"""What an option's own cases must reject; `ignored_rows` is named differently for values and gradients."""


def required(
    quantity: str,
    target_kind: str,
    reduction: str,
    options: Iterable[str],
    head: str,
    dtype: str,
    contract: str = "",
    size: tuple[int, int] = (0, 0),
) -> tuple[str, ...]:
    """The wrong answers that comparisons of this kind must reject somewhere in their group.

    quantity, target_kind ("index", "smoothed", "probabilities"), reduction, head and dtype as in `vocabulary`; options:
    those that the case uses and the adapter declares. contract: the name of the one that it is judged by. size: classes
    and rows. bfloat16 and float16 cannot tell 1.001 from 1: there it is 1.25.

    >>> required("cost", "index", "mean", {"weight"}, "logits", "float32")[-2:]
    ('divided_by_n', 'weights_left_out')
    """
    names = [COARSE.get(name, name) if dtype in NARROW else name for name in ALWAYS[quantity]]
    classes, rows = size
    if (quantity, dtype) == ("cost", "bfloat16") and rows > MANY_ROWS and contract in IN_STORAGE:
        names = [ROUGH.get(name, name) for name in names]
    terms = classes * (rows if quantity == "cost" else 1)
    if target_kind == "probabilities" and quantity in VALUES and dtype in NARROW and terms > MANY_TERMS:
        names = [name for name in names if name != "without_largest_term"]
    if quantity in ("a", "log_a"):
        return tuple(names)
    used = set(options)
    if quantity in DIRECTIONAL:
        names = [name for name in names if name != BEYOND.get((contract, dtype, quantity))]
        names += ["times_1_001"] if quantity == "jvp" and dtype not in NARROW else []
        names += ["not_divided"] if reduction == "mean" else []
        names += ["upstream_ignored"] if quantity == "hvp" and "upstream" in used else []
        return tuple(names)
    gradient = quantity in GRADIENTS
    if gradient:
        names.append("last_row_dropped")
        if target_kind != "probabilities":
            names.append("offtarget_zeroed")
        if quantity == "dC/dw" and head == "layer":
            names.append("transposed")
    elif reduction == "none":
        names.append("last_row_dropped")
    if reduction == "mean":
        names.append("not_divided")
        if target_kind != "probabilities" and used & {"weight", "ignore_index"}:
            names.append("divided_by_n")
    if not gradient and classes > OVERFLOWS.get(dtype, classes):
        used.discard("label_smoothing")
    for option, wrong in BY_OPTION.items():
        if option in used and (gradient or option != "upstream"):
            names.append(
                wrong if wrong != "ignored_rows" else "ignored_rows_leak" if gradient else "ignored_rows_counted"
            )
    if gradient and reduction == "none" and "upstream" in used:
        names.append("first_upstream")
    return tuple(names)
