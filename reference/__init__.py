"""The problem, Nielsen's equations, the exact oracle, contracts and error bounds. Knows NumPy, nothing else of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .book.activations import log_softmax, sigmoid, sigmoid_prime, softmax, softmax_jacobian
from .book.chain_rule import chain, delta, dz_db, dz_dw, grad_a, grad_a_prev, grad_b, grad_w
from .book.costs import (
    log_likelihood,
    quadratic_cost,
    quadratic_delta,
    quadratic_grad_a,
    quadratic_grad_w,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_delta,
    sigmoid_cross_entropy_grad_a,
    sigmoid_cross_entropy_grad_w,
    sigmoid_cross_entropy_minimum,
)
from .book.finite_differences import central, one_sided
from .book.network import Gradients, Network, backprop, costs, deltas, feedforward, sgd_step, unrolled_delta
from .book.regularization import bias_step, l1_cost, l1_grad, l1_step, l2_cost, l2_grad, l2_step
from .directions import cross_entropy_hvp, cross_entropy_jvp
from .loss import cross_entropy, cross_entropy_grad
from .problem import Problem

__all__ = ["Problem", "bounds", "oracle"]
__all__ += ["cross_entropy", "cross_entropy_grad", "cross_entropy_hvp", "cross_entropy_jvp"]
__all__ += ["log_softmax", "sigmoid", "sigmoid_prime", "softmax", "softmax_jacobian"]
__all__ += ["chain", "delta", "dz_db", "dz_dw", "grad_a", "grad_a_prev", "grad_b", "grad_w"]
__all__ += ["log_likelihood", "quadratic_cost", "quadratic_delta", "quadratic_grad_a", "quadratic_grad_w"]
__all__ += ["sigmoid_cross_entropy", "sigmoid_cross_entropy_delta", "sigmoid_cross_entropy_grad_a"]
__all__ += ["sigmoid_cross_entropy_grad_w", "sigmoid_cross_entropy_minimum"]
__all__ += ["central", "one_sided"]
__all__ += ["Gradients", "Network", "backprop", "costs", "deltas", "feedforward", "sgd_step", "unrolled_delta"]
__all__ += ["bias_step", "l1_cost", "l1_grad", "l1_step", "l2_cost", "l2_grad", "l2_step"]


def __getattr__(name: str) -> Any:
    if name in ("bounds", "oracle"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
