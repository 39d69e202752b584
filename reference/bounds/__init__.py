"""Error limits: contracts, and the largest error that each allows in every element of every quantity."""

from .contracts import CATALOGUE, Contract
from .whole import Bounds, bound

__all__ = ["CATALOGUE", "Bounds", "Contract", "bound"]
