"""Which cases of a profile a run has, and in which dtypes it asks for laws."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from xentcheck.cases.profiles.named import cases
from xentcheck.errors import DtypeError, ProfileError
from xentcheck.vocabulary import DTYPES

if TYPE_CHECKING:
    from .case import Case


def selected(profile: str, dtypes: Sequence[str] | None, seed: int, patterns: Sequence[str] = ()) -> list[Case]:
    """The cases of a profile in some dtypes, of which the id matches one of some globs, if any are given.

    Raises DtypeError, ProfileError also for a glob that matches nothing.
    """
    require_draw(dtypes, seed)
    chosen = [case for case in cases(profile, seed) if case.dtype in (dtypes or DTYPES)]
    for pattern in patterns:
        if not any(fnmatchcase(str(case), pattern) for case in chosen):
            raise ProfileError(
                f"no case matches {pattern!r}; allowed: a glob of some of the {len(chosen)} of {profile}"
            )
    return [case for case in chosen if matches(case, patterns)]


def require_draw(dtypes: Sequence[str] | None, seed: int) -> None:
    """Raise ProfileError for what is no seed, and DtypeError for no dtypes, or for one that is not judged."""
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ProfileError(f"seed is {seed!r}; allowed: a whole number from 0")
    if dtypes is not None and not dtypes:
        raise DtypeError(f"dtypes is empty; allowed: some of {', '.join(DTYPES)}")
    for dtype in dtypes or ():
        if dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; allowed: {', '.join(DTYPES)}")


def matches(case: Case, patterns: Sequence[str]) -> bool:
    """Whether the id of a case matches one of some globs, if there are any."""
    return not patterns or any(fnmatchcase(str(case), pattern) for pattern in patterns)


def law_dtypes(chosen: Sequence[Case], profile: str) -> tuple[str, ...]:
    """The dtypes in which the laws are checked: one in `quick`, where compilations are dear."""
    dtypes = tuple(dict.fromkeys(case.dtype for case in chosen))
    return tuple(d for d in dtypes if d == "float32") or dtypes[:1] if profile == "quick" else dtypes
