"""Contracts: the arithmetic that an implementation promises, from which its error bounds follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from xentcheck.errors import AdapterError
from xentcheck.reference.formats import wider

MEANING_OF_STAGES = {
    "logits": "what a linear layer hands to the softmax; a fused kernel may keep them wide",
    "exponents": "z - m, and every subtraction, product and quotient of the softmax",
    "exponentials": "exp(z - m) and the softmax made of it",
    "sum": "S, the sum of the exponentials",
    "log": "log S",
    "log_a": "the log-probabilities that are kept for the loss and the gradient",
    "between": "every other tensor between two kernels: losses per row, a log-sum-exp, scaled upstream gradients, 1/N, "
    "eps/C, the denominator",
    "backward_sum": "sums over classes in the backward pass, accumulated in storage",
    "row_sum": "sums of a row's gradient, accumulated in storage",
    "forward_sum": "sums over classes in the forward pass, accumulated in storage",
    "batch_sum": "sums over examples, accumulated in storage",
    "reduction": "sums of the losses, and of the weights that a mean divides by, accumulated in storage",
}
"""Where a result may be rounded to the storage dtype."""

MEANING_OF_FORMS = {
    "sub": "(z - m) - log S",
    "lse": "z - (m + log S)",
    "ratio": "exp(z - m)/S",
    "exp": "exp of the kept log a",
}
"""Forms of log a, and of the softmax in the gradient."""

STAGES = tuple(MEANING_OF_STAGES)

DEFAULT = "decisive"
"""The contract that an implementation is judged by which declares none: it decides at every size."""

BETWEEN_KERNELS = ("logits", "log_a", "between")
LINEAR = ("logits",)
ROUNDED_SUM = ("sum", "log", *BETWEEN_KERNELS)
ELEMENTWISE = ("exponents", "exponentials", *ROUNDED_SUM)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where an implementation rounds, and how well it evaluates exp and log.

    log_form: `sub` for log a = (z - m) - log S, or `lse` for z - fl(m + log S); either may be used under `lse`.
    gradient_form: `ratio` for e/S, or `exp` for the exponential of the kept log a, each in the gradient.
    complement: log S is log1p of the sum of the other exponentials, and 1 - a_y, where a_y is above 1/2, the sum of the
    other activations: nothing cancels, at any margin.
    stored: the `STAGES` whose results are rounded to the storage dtype; all others are carried out in the arithmetic
    format (float32 for bfloat16 and float16). flushes: results below the smallest normal number of the arithmetic
    format may become zero; flushes_storage: those of the storage format, too.
    exp_ulps, log_ulps: largest error of exp and log in ULPs, so a relative error of 2 ULPs u. exp_slope: further
    relative error of exp per unit of its argument, in u (an exp built from a rounded product has 1). shift_units:
    error of each exponent in u |logit|, the same in a whole row or not (an exp built from rounded products has 2).
    shifted: the maximum is subtracted before exp, so that the largest exponential is 1. margin: what is subtracted may
    be the label's logit. log_of_softmax: the loss may be the logarithm of the computed softmax.
    rescales: how often an online softmax rescales its running sum at most, and never more often than there are terms.
    product_inputs: `storage`, `tf32` or `bfloat16`: what matrix products round their inputs to.
    lanes: sums over classes are so many partial sums and a tree of them (no contract of the catalogue promises it,
    `heights` looks for it); 0 for any order, in which all other sums may be taken. running_sums: exponentials of more
    than 4096 classes are added in so many running sums or more, whose errors are found from the very addends
    (`scattered`); 0 where nothing is known of the order.
    class_block, row_block: sums over classes, or over rows, that are accumulated in storage are trees of blocks of so
    many terms; 0 for any order. compensated: sums may be compensated (Kahan), which errs by up to 2u.
    result: dtype of a result that is returned wider than the storage, and so is not rounded to it, unless what passes
    between kernels is; empty for results in storage.
    row_sum: where gradients have the rounding errors of their row's sum, which is exactly 0: `none`; `pivots`, where
    automatic differentiation through the maximum puts it: the near-maxima and the label; or `all` elements.
    """

    name: str
    log_form: str = "sub"
    gradient_form: str = "ratio"
    complement: bool = False
    stored: tuple[str, ...] = LINEAR
    flushes: bool = True
    flushes_storage: bool = False
    exp_ulps: float = 2.0
    log_ulps: float = 2.0
    exp_slope: float = 0.0
    shift_units: float = 0.0
    shifted: bool = True
    margin: bool = False
    log_of_softmax: bool = False
    rescales: int = 0
    product_inputs: str = "storage"
    lanes: int = 0
    running_sums: int = 1
    class_block: int = 0
    row_block: int = 0
    compensated: bool = False
    row_sum: str = "none"
    result: str = ""

    def __hash__(self) -> int:
        """By few of its fields: contracts are looked up for each quantity of each block."""
        return hash((self.name, self.result))

    def returning(self, result: str, storage: str) -> Contract:
        """The mixed contract for a result of a dtype that is wider than the storage; else this one.

        >>> [CATALOGUE["fused"].returning(dtype, "bfloat16").result for dtype in ("float32", "bfloat16", "float16")]
        ['float32', '', '']
        """
        return replace(self, result=result) if result in wider(storage) else self

    def with_accuracy(self, exp_ulps: float, log_ulps: float) -> Contract:
        """The same contract for an exp and a log of another accuracy.

        `decisive` and `stable` promise nothing about them, and allow any up to their own.
        """
        if self.name in (DEFAULT, "stable"):
            return self
        return replace(self, exp_ulps=exp_ulps, log_ulps=log_ulps)

    def with_sums(self, running_sums: int) -> Contract:
        """The same contract for another number of running sums; `decisive` and `stable` promise nothing about them."""
        return self if self.name in (DEFAULT, "stable") else replace(self, running_sums=running_sums)


UNLIMITED = 2**31
"""As often as it likes."""

PLAIN: dict[str, Any] = {
    "log_form": "lse",
    "gradient_form": "exp",
    "exp_ulps": 8.0,
    "log_ulps": 8.0,
    "exp_slope": 1.0,
    "shift_units": 2.0,
    "margin": True,
    "compensated": True,
}
"""What implementations that declare nothing may do."""

CATALOGUE: dict[str, Contract] = {
    c.name: c
    for c in (
        Contract(name="accurate", complement=True),
        Contract(name="fused"),
        Contract(name="fused-lse", log_form="lse"),
        Contract(name="stash", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-lse", log_form="lse", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-sum", gradient_form="exp", stored=(*ROUNDED_SUM, "reduction"), row_block=16),
        Contract(name="storage", log_form="lse", gradient_form="exp", stored=ELEMENTWISE),
        Contract(
            name=DEFAULT,
            **PLAIN,
            stored=(*ELEMENTWISE, "backward_sum", "reduction"),
            class_block=32,
            row_block=16,
            row_sum="pivots",
        ),
        Contract(name="online", log_form="lse", gradient_form="exp", stored=BETWEEN_KERNELS, rescales=UNLIMITED),
        Contract(
            name="storage-backsum",
            log_form="lse",
            gradient_form="exp",
            stored=(*ELEMENTWISE, "backward_sum", "batch_sum"),
            row_block=32,
        ),
        Contract(name="storage-accumulate", log_form="lse", gradient_form="exp", stored=STAGES),
        Contract(
            name="stable",
            **PLAIN,
            stored=(*ELEMENTWISE, "backward_sum", "row_sum", "batch_sum", "reduction"),
            flushes_storage=True,
            shifted=False,
            log_of_softmax=True,
            running_sums=0,
            row_sum="all",
        ),
    )
}
"""The contracts by name, in the order in which a grade is looked for: the first that all cases meet."""


def get(name: str) -> Contract:
    """The contract of a name. Raises AdapterError naming those allowed.

    >>> get("stash").gradient_form
    'exp'
    """
    if name not in CATALOGUE:
        raise AdapterError(f"unknown contract {name!r}; allowed: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
