"""Exact values of every quantity of a problem, as pairs (hi, lo) of float64."""

from .block import Block, Pair
from .exact import Exact
from .functions import cross_entropy, cross_entropy_grad, log_softmax, softmax

__all__ = ["Block", "Exact", "Pair", "cross_entropy", "cross_entropy_grad", "log_softmax", "softmax"]
