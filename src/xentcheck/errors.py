"""Typed errors: one base class, one subclass per cause; standard library only.

Every message is one line that says what is wrong, where, and what is allowed. The command line prints it and exits
with code 2; pytest shows it as a usage error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xentcheck.vocabulary import refusal


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
    """Raised by `assert_agrees`, `assert_values_agree` and the fixture: an implementation left its error bound."""


class Undecided(AssertionError):
    """Raised by `assert_values_agree` and the fixture: nothing that was handed over could have failed."""


class AuditError(XentcheckError, ValueError):
    """An assertion to audit that makes no sense: a negative tolerance, an unknown reduction."""


class ProtocolError(XentcheckError, ValueError):
    """What a process of an implementation wrote is no message, or not the one that was asked for."""


class ImplementationError(Exception):
    """An exception of an implementation, in another process or no `Exception`: its type and first line."""


class Refused(Exception):
    """What an implementation may refuse loudly, and whoever uses it can do without: it is `unsupported`, not wrong.

    lacks: what it is that is refused; raised: the exception that it is refused with, in words.
    """

    def __init__(self, lacks: str, raised: str = "") -> None:
        super().__init__(refusal((lacks,), raised))
        self.lacks = lacks
        self.raised = raised


class ProcessEnded(Exception):
    """The process of an implementation ended while it was asked: how, and the tail of its standard error.

    killed: by SIGKILL or SIGTERM, which come from outside more often than from within. called: whether it was asked;
    it is not where it has ended like this often enough.
    """

    outcome = "crash"

    def __init__(self, text: str = "", *, killed: bool = False, called: bool = True) -> None:
        super().__init__(text)
        self.killed = killed
        self.called = called


class ProcessTimeout(ProcessEnded):
    """The process of an implementation was ended, as it did not answer in time."""

    outcome = "timeout"


def told(error: BaseException) -> str:
    """An exception of somebody else's code on one line: its type and the first line of its message.

    >>> told(ValueError("no\\nmore")), told(SystemExit(0)), told(ImplementationError("IndexError: 3"))
    ('ValueError: no', 'SystemExit: 0', 'IndexError: 3')
    """
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # a message that raises is one more fault of that code, not the end of the run
        lines = []
    first = (lines or ["no message"])[0]
    return first if isinstance(error, ImplementationError) else f"{type(error).__name__}: {first}"


def kind_of(error: BaseException) -> str:
    """The type of an exception of somebody else's code: of one from another process, which its text starts with.

    >>> kind_of(ValueError("no: more")), kind_of(ImplementationError("IndexError: 3"))
    ('ValueError', 'IndexError')
    """
    return told(error).partition(":")[0] if isinstance(error, ImplementationError) else type(error).__name__


@contextmanager
def foreign() -> Iterator[None]:
    """Somebody else's code inside: `sys.exit()` and its like come out as an ImplementationError, which ends one call.

    Exceptions come out as they are, and so does the user's KeyboardInterrupt.

    >>> with foreign():
    ...     raise SystemExit(0)
    Traceback (most recent call last):
      ...
    xentcheck.errors.ImplementationError: SystemExit: 0
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ImplementationError(told(error)) from error


@contextmanager
def declaring(name: str) -> Iterator[None]:
    """What an adapter says of itself inside: whatever that raises is an AdapterError with its name.

    >>> with declaring("mine"):
    ...     raise SystemExit(0)
    Traceback (most recent call last):
      ...
    xentcheck.errors.AdapterError: adapter mine fails: SystemExit: 0
    """
    try:
        with foreign():
            yield
    except XentcheckError:
        raise
    except Exception as error:
        raise AdapterError(f"adapter {name} fails: {told(error)}") from error


def require_named(what: str, text: str, allowed: str) -> None:
    """Raise AdapterError for a name that is empty or blank, as of a variable that is not set.

    >>> require_named("--impl", " ", "PKG.MOD:FN")
    Traceback (most recent call last):
      ...
    xentcheck.errors.AdapterError: --impl is ' ', which names nothing; allowed: PKG.MOD:FN
    """
    if not text.strip():
        raise AdapterError(f"{what} is {text!r}, which names nothing; allowed: {allowed}")
