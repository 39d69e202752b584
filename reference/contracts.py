"""Contracts: the arithmetic that an implementation promises, from which its error bounds follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xentcheck.errors import AdapterError

from .formats import FORMATS, Format


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where an implementation rounds, and how well it evaluates exp and log.

    log_form: `sub` for log a = (z - m) - log S, or `lse` for z - fl(m + log S); either may be used under `lse`.
    gradient_form: `ratio` for e/S, or `exp` for the exponential of the stored log a, each in the gradient.
    exp_ulps, log_ulps: largest error of exp and log in ULPs, so a relative error of 2 ULPs u. exp_slope: further
    relative error of exp per unit of its argument, in u (an exp built from a rounded product has 1). shift_units:
    error of each exponent in u |logit|, for implementations that do not subtract the maximum first. normwise:
    gradients are right up to rounding errors of their row (automatic differentiation through the maximum adds the
    row's sum). Results below the smallest normal number may be flushed to zero; sums may be taken in any order.
    """

    name: str
    log_form: str = "sub"
    gradient_form: str = "ratio"
    exp_ulps: float = 2.0
    log_ulps: float = 2.0
    exp_slope: float = 0.0
    shift_units: float = 0.0
    normwise: bool = False

    def with_accuracy(self, exp_ulps: float, log_ulps: float) -> Contract:
        """The same contract for an exp and a log of another accuracy (`stable` allows any up to its own)."""
        if self.normwise:
            return self
        return replace(self, exp_ulps=exp_ulps, log_ulps=log_ulps)


CATALOGUE: dict[str, Contract] = {
    c.name: c
    for c in (
        Contract(name="fused"),
        Contract(name="fused-lse", log_form="lse"),
        Contract(name="stash", gradient_form="exp"),
        Contract(name="stash-lse", log_form="lse", gradient_form="exp"),
        Contract(
            name="stable",
            log_form="lse",
            gradient_form="exp",
            exp_ulps=8.0,
            log_ulps=8.0,
            exp_slope=1.0,
            shift_units=2.0,
            normwise=True,
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


def arithmetic(dtype: str) -> Format:
    """The format in which a dtype's arithmetic is carried out: float64 and float32 compute in themselves."""
    return FORMATS[dtype]
