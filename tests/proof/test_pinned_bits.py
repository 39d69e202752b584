"""What is pinned bit by bit: the cases of whole profiles, exp, log1p and the double-double oracle."""

from __future__ import annotations

import pytest
from bits import digests

from xentcheck.cases.profiles.named import PROFILES, cases

PINNED = {
    "quick cases": "dce4bd92c940d4058b4ed57f70d18fe6312d0266e8e92e308ae5443fcef9cbd1",
    "dd_exp": "319a94b7d5af21704485f088d8985730999f996f9001c03086cef95915f99283",
    "dd_log1p": "8bd69f70bf76909850e490f85ad9639d0f8e880165f49fd9654cc6f2384fd765",
    "oracle": "92465c025d87dfa88e842e8cd04178574414c8dd99c82adfbab991fb62db2c9f",
}
"""SHA-256 of what each returns; of the quick cases, that of their ids and digests in canonical order."""


@pytest.mark.parametrize("name", PINNED)
def test_bits_are_pinned(name: str) -> None:
    """The same on every machine and in every version, and of each id the same case: alone this looks at every bit."""
    assert digests()[name] == PINNED[name]


@pytest.mark.parametrize("profile", PROFILES[:2])
def test_profiles_have_unique_cases_in_a_fixed_order(profile: str) -> None:
    """Cases, ids unique, the same list each time; another seed shares none of them: here alone all are made twice."""
    found = [str(c) for c in cases(profile)]
    assert len(found) == len(set(found)) > 500
    assert found == [str(c) for c in cases(profile)]
    assert not set(found) & {str(c) for c in cases(profile, seed=7)}
