"""The words that code, run files and reports share; standard library only."""

from __future__ import annotations

from collections.abc import Iterable

DTYPES = ("float64", "float32", "bfloat16", "float16")
"""Storage dtypes that the harness can judge, widest first; bfloat16 arrays are those of `ml_dtypes`."""

SHORT_DTYPES = {"float64": "f64", "float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""Their names in case ids."""

QUANTITIES = ("a", "log_a", "loss", "cost", "dC/dz", "dC/db", "dC/dw", "dC/da_prev", "jvp", "hvp")
"""What is compared: softmax (78), its logarithm, the loss per example (80), the reduced cost, the gradients; and along
a direction v of the logits the derivatives of the output and of dC/dz.
"""

VALUES = ("loss", "cost")
LAYER_GRADIENTS = ("dC/db", "dC/dw", "dC/da_prev")
GRADIENTS = ("dC/dz", *LAYER_GRADIENTS)
QUANTITY_FAMILIES = {
    "a": "softmax",
    "log_a": "log_softmax",
    "loss": "loss",
    "cost": "loss",
    "dC/dz": "gradient",
    "dC/db": "linear",
    "dC/dw": "linear",
    "dC/da_prev": "linear",
    "jvp": "gradient",
    "hvp": "gradient",
}
"""What kernels compute together: each family of quantities may have a contract of its own."""

DIRECTIONAL = ("jvp", "hvp")
STEPS = ("dC/da", "da/dz")
"""Steps of the chain rule (37) that `explain` shows beside the quantities."""

REDUCTIONS = ("mean", "sum", "none")

HEADS = ("logits", "layer", "network")
"""Where a problem starts: at the logits, one linear layer before them, or a sigmoid layer before that."""

OPTIONS = (
    "weight",
    "negative_weight",
    "ignore_index",
    "label_smoothing",
    "probabilities",
    "smoothed_probabilities",
    "signed_targets",
    "k_dims",
    "unbatched",
    "empty_batch",
    "upstream",
    "strided",
    "second_order",
    "uint8_targets",
    "wide_sentinel",
)
"""What an implementation may declare to support (`options=` of the adapters)."""

RARE_OPTIONS = ("uint8_targets",)
"""Those that a function supports only where it says so."""

OUTCOMES = (
    "crash",
    "timeout",
    "error",
    "disagree",
    "deviation",
    "convention",
    "vacuous",
    "trivial",
    "agree",
    "unsupported",
    "unavailable",
)
"""Outcome of one comparison, in order of precedence."""

FAILING = ("crash", "timeout", "error", "disagree")
"""Outcomes that make a run fail."""

EXECUTED = ("disagree", "deviation", "vacuous", "trivial", "agree")
"""Outcomes in which numbers were compared with a bound."""

TIMEOUT = 60.0
"""Seconds for a call of an implementation in a process of its own."""

OVERWRITABLE = ("logits",)
"""Inputs that a call may overwrite without failing, as kernels do that say so: nobody reads the logits again once their
gradient is known. Labels and class weights belong to the caller, who uses them again, and the upstream gradient to
autograd, which may hand it to others as well.
"""

REFUSALS = ("TypeError", "ValueError", "NotImplementedError", "KeyError", "AssertionError")
"""Exceptions by which functions refuse an argument or its value; any other is an error of its cases."""

ONE_BACKWARD = "one backward only"
"""What an implementation lacks that refuses a second backward with an exception."""

UNSURE = "unsure: none of the known mistakes explains it"
"""What stands in the place of a cause where none fits."""

REPEATED = "repeated"
"""The law that noise breaks, or what is kept from call to call: causes cannot be read off results that change."""

NEVER_SET = "never set"
"""Among an adapter's settings in a run: the parameters of a function that no problem sets."""

OBSERVED_LACKS = (ONE_BACKWARD, "reduction")
"""What is told among the observations of a run where an implementation refuses it: users may need to know."""


def refusal(lacks: Iterable[str], raised: str = "") -> str:
    """What is not supported, in words, and the exception, or the finding, that says so where nobody declared it.

    >>> refusal(("option", "k_dims"), "ValueError: rank 3"), refusal(("head", "network"))
    ('option k_dims, which raises ValueError: rank 3', 'head network')
    >>> refusal(("option", "weight"), "it changes nothing")
    'option weight: it changes nothing'
    """
    how = ", which raises " if raised.partition(" ")[0].endswith(":") else ": "
    return " ".join(lacks) + (f"{how}{raised}" if raised else "")
