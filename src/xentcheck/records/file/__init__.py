"""A run file: JSON lines with a header, a line per finding of each kind, timings, and an end line."""

from .lines import OF_A_PLAN, Finding, Header, journal_of
from .reader import Reader
from .writer import RunWriter

__all__ = ["OF_A_PLAN", "Finding", "Header", "Reader", "RunWriter", "journal_of"]
