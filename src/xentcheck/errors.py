"""Typed errors: one base class, one subclass per cause; standard library only.

Every message is one line that says what is wrong, where, and what is allowed. The command line prints it and exits
with code 2; pytest shows it as a usage error.
"""

from __future__ import annotations


class XentcheckError(Exception):
    """Base class of all errors that xentcheck raises about its input."""


class ProblemError(XentcheckError, ValueError):
    """A problem (logits, targets, options) that is not defined by the signature."""


class ShapeError(ProblemError):
    """An array whose shape does not fit the others."""


class DtypeError(ProblemError):
    """An array of a dtype that is not allowed there."""


class TargetError(ProblemError):
    """A class index out of range or target rows that are not finite; names the first offender."""


class OracleError(XentcheckError, ArithmeticError):
    """An exact value that xentcheck's own arithmetic cannot give: its error, and no verdict on an implementation."""


class CaseError(XentcheckError, ValueError):
    """A case id that does not parse, or a case that cannot be built."""


class ProfileError(XentcheckError, ValueError):
    """An unknown profile, or a selection that leaves nothing to run."""


class AdapterError(XentcheckError, ValueError):
    """An unknown adapter, or options that an adapter does not take."""


class UnavailableError(XentcheckError, RuntimeError):
    """A framework or device that is asked for by name and is not there."""


class RunFileError(XentcheckError, ValueError):
    """A run file that is truncated, foreign, malformed or of another schema."""


class DeviationError(XentcheckError, ValueError):
    """A malformed deviation file."""


class OutputError(XentcheckError, OSError):
    """A file or folder that cannot be written."""


class Disagreement(AssertionError):
    """Raised by `xentcheck.assert_agrees`: an implementation left its error bound."""


class Undecided(AssertionError):
    """Raised by `xentcheck.assert_values_agree`: a comparison that could not have failed, whatever was handed over."""


class AuditError(XentcheckError, ValueError):
    """An assertion to audit that makes no sense: a negative tolerance, an unknown reduction."""


class ProtocolError(XentcheckError, ValueError):
    """What a process of an implementation wrote is no message, or not the one that was asked for."""


class ImplementationError(Exception):
    """An exception of an implementation in another process: its type and first line."""


class ProcessEnded(Exception):
    """The process of an implementation ended while it was asked: how, and the tail of its standard error."""

    outcome = "crash"


class ProcessTimeout(ProcessEnded):
    """The process of an implementation was ended, as it did not answer in time."""

    outcome = "timeout"
