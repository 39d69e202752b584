"""A record in words: one line, without control characters, numbers as people write them."""

from __future__ import annotations

from xentcheck.vocabulary import GRADIENTS

from .record import Record, place_of

MOST_SHARE = 1e6
"""Largest share of a bound that is shown as a number."""

MOST_ULPS = 1e16
"""Largest error in ULP that is: float64 has 9e15 numbers from one power of 2 to twice it."""


def printable(text: str) -> str:
    """Text on one line and without control characters, whatever an implementation says.

    >>> printable("line\\nbreak \\x1b[31m")
    'line break [31m'
    """
    text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates, which no file can hold
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def several(number: int, what: str) -> str:
    """So many of something.

    >>> several(1, "failure"), several(0, "failure")
    ('1 failure', '0 failures')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def describe(r: Record) -> str:
    """A failure in one line: place, quantity, case, index, got, exact, error and bound."""
    line = f"{'/'.join(place_of(r))} {r.quantity} of {r.case}: {r.outcome}"
    if r.reason:
        line += f", {printable(r.reason)}"
    if r.share is not None and r.expected:
        at = f" at {list(r.index)}" if r.index else ""
        numbers = f"got {decimal(r.got)}, exact {decimal(r.expected)}, bound {decimal(r.bound)} ({r.judged_by})"
        line += f";{at} {numbers}, {share_text(r.share)} of the bound, {in_ulps(r.ulp_here)}"
    if r.suspects:
        more = len(r.suspects) - 1
        others = f" (or {several(more, 'other')})" if more else ""
        line += f"; suspected {printable(r.suspects[0])}{others}"
    return line


def decimal(text: str) -> str:
    """A hexadecimal float as digits for people.

    >>> decimal("0x1.8p-1"), decimal("nan"), decimal("")
    ('0.75', 'nan', '-')
    """
    return f"{float.fromhex(text):.9g}" if text else "-"


def ulps_text(x: float | None, digits: int = 3) -> str:
    """A number of units in the last place, or in its place that the exact value is subnormal.

    Beyond the units of any dtype's numbers, no digit is right, and how many there are says nothing.

    >>> ulps_text(1.5), ulps_text(None), ulps_text(4e307), ulps_text(float("inf"))
    ('1.5', 'subnormal', '>1e+16', '>1e+16')
    """
    return "subnormal" if x is None else _at_most(x, MOST_ULPS, digits)


def share_text(x: float, digits: int = 3) -> str:
    """A share of the bound; beyond a million, and beyond a bound of 0, one is as wrong as another.

    >>> share_text(0.25), share_text(9.8e13), share_text(float("inf"))
    ('0.25', '>1e+06', '>1e+06')
    """
    return _at_most(x, MOST_SHARE, digits)


def _at_most(x: float, most: float, digits: int) -> str:
    return f">{most:.{digits}g}" if x > most else f"{x:.{digits}g}"


def in_ulps(x: float | None) -> str:
    """The same in a sentence.

    >>> in_ulps(1.5), in_ulps(None)
    ('1.5 ULP', 'subnormal')
    """
    return ulps_text(x) if x is None else f"{ulps_text(x)} ULP"


def passing(quantity: str, classes: int) -> str:
    """What a contract does not notice, in words.

    >>> passing("dC/dz", 129)
    'under which a zero gradient passes from 129 classes on'
    """
    zeros = "a zero gradient" if quantity in GRADIENTS else f"{quantity} of zeros"
    return f"under which {zeros} " + (f"passes from {classes} classes on" if classes else "does not pass")
