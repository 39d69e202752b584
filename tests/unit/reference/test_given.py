"""Arrays that lie in files are looked at piece by piece, and nothing of them is lost."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from xentcheck.reference import given
from xentcheck.reference.given import forget, pieces
from xentcheck.reference.problem import Problem, digest_of


@pytest.mark.parametrize("order", ["C", "F"])
def test_pieces_are_the_whole(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, whatever lies how in memory; so are the digest of a problem and its maxima."""
    z = np.asarray(np.random.default_rng(0).normal(size=(10, 4)), order=order)  # type: ignore[call-overload]  # C, F
    p = Problem(logits=z, target=np.arange(10) % 4)
    whole, maxima = digest_of(p), p.maxima
    monkeypatch.setattr(given, "AT_ONCE", 3 * 4 * 8)
    assert [len(piece) for piece in pieces(z)] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(list(pieces(z))), z)
    again = Problem(logits=z, target=np.arange(10) % 4)
    assert digest_of(again) == whole
    np.testing.assert_array_equal(again.maxima, maxima)
    sha = hashlib.sha256()
    for name, array in p.arrays().items():
        sha.update(f"{name}{array.shape}{array.dtype}".encode() + array.tobytes())
    sha.update(b"-100/0.0/mean")
    assert whole == sha.hexdigest()[:16]


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_what_was_written_to_a_mapped_file_is_not_lost(mode: str, tmp_path: Path) -> None:
    """A private copy has pages that are nowhere else."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(5000.0))
    x = np.load(path, mmap_mode=mode)  # type: ignore[call-overload]  # one of three
    if mode != "r":
        x[:] = x[::-1].copy()
    expected = np.array(x)
    forget(x.view()[1:])
    np.testing.assert_array_equal(x, expected)
    forget(expected)  # which lies in no file
