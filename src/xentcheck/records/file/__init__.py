"""A run file: JSON lines with a header, a line per finding of each kind, timings, and an end line."""

from .lines import OF_A_PLAN, Finding, Header, journal_of
from .reader import Reader
from .sorting import sorted_lines
from .stored import Index, Stored, changed, chosen, in_order, stamp_of
from .writer import RunWriter

__all__ = [
    "OF_A_PLAN",
    "Finding",
    "Header",
    "Index",
    "Reader",
    "RunWriter",
    "Stored",
    "changed",
    "chosen",
    "in_order",
    "journal_of",
    "sorted_lines",
    "stamp_of",
]
