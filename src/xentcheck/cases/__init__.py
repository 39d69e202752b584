"""What is asked: cases, the problems that they are built into, and the profiles that list them."""

from .case import Case

__all__ = ["Case"]
