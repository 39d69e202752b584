"""Profiles by name: which cases a run is made of."""

from __future__ import annotations

from xentcheck.cases.case import Case
from xentcheck.errors import ProfileError
from xentcheck.vocabulary import DTYPES

from .alone import WIDE, alone_cases
from .arrays.beside import beside_cases, beside_with_options
from .arrays.combined import combined_cases
from .arrays.directed import directed_cases
from .arrays.lattice import covering_cases
from .arrays.shaped import beside_each_option, shaped_cases
from .arrays.varied import varied_cases
from .between import between_cases
from .linear import linear_cases
from .reduced import reduced_cases
from .reserved import tiny_cases
from .sets import edge_cases, layer_cases, narrow_cases, set_cases, soft_cases, special_cases
from .sizes import long_cases, singly_sized_cases, sized_cases, sizeless_cases
from .unusual import unusual_cases

PROFILES = ("quick", "full", "deep")
"""`quick` covers every pair of option levels, `full` every three, `deep` every four."""


def cases(profile: str, seed: int = 0) -> list[Case]:
    """The cases of a profile, in canonical order. Raises ProfileError for an unknown profile.

    >>> len({str(c) for c in cases("quick")}) == len(cases("quick"))
    True
    """
    if profile not in PROFILES:
        raise ProfileError(f"unknown profile {profile!r}; allowed: {', '.join(PROFILES)}")
    found: list[Case] = []
    for dtype in DTYPES:
        if dtype in WIDE or profile != "quick":
            found += [
                *set_cases(dtype, seed, profile),
                *layer_cases(dtype, seed, profile),
                *special_cases(dtype, seed),
            ]
        if dtype not in WIDE:
            found += narrow_cases(dtype, seed)
        found += soft_cases(dtype, seed)
    for strength in range(2, 3 + PROFILES.index(profile)):
        found += covering_cases(strength, seed)
    found += sized_cases(seed)
    found += sizeless_cases(seed)
    found += long_cases(seed, profile)
    found += unusual_cases(seed, profile)
    found += directed_cases(seed)
    found += shaped_cases(seed)
    found += edge_cases(seed, profile)
    found += between_cases(seed, profile)
    found += beside_cases(seed)
    found += tiny_cases(seed)
    found += linear_cases(seed)
    found += alone_cases(seed)
    found += combined_cases(seed) if profile != "quick" else ()
    found += singly_sized_cases(seed)
    found += reduced_cases(seed)
    found += varied_cases(seed)
    found += beside_each_option(seed)
    found += beside_with_options(seed)
    return list(dict.fromkeys(found))
