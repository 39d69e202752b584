"""Probes: what the frameworks are known to answer is what is recorded, and nothing of it is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.records.findings import ProbeResult
from xentcheck.reports.sections.probes import probe_section
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.probes import PROBES, probe

PLAIN = "-0.455 0.122 0.333"
"""dC/dz of the first row, which no probe of the second row changes."""

KNOWN: dict[str, dict[str, tuple[str, str]]] = {
    "torch": {
        "all-ignored": ("nan", "0 0 0 / 0 0 0"),
        "zero-weights": ("nan", "nan nan nan / nan nan nan"),
        "empty-mean": ("nan", "[]"),
        "empty-soft-sum": ("-0", "[]"),
        "label-c": ("IndexError", "IndexError"),
        "label-minus-1": ("IndexError", "IndexError"),
        "int32-labels": ("RuntimeError", "RuntimeError"),
        "uint8-labels": ("1.32", f"{PLAIN} / 0.0876 0.0196 -0.107"),
        "nan-ignored": ("2.41", "-0.91 0.245 0.665 / nan nan nan"),
        "minus-inf-at-label": ("inf", f"{PLAIN} / 0.409 0.0912 -0.5"),
        "all-minus-inf": ("nan", f"{PLAIN} / nan nan nan"),
        "minus-inf-soft-0": ("nan", "-0.055 -0.0276 0.0826 / 0.159 -0.159 0"),
        "soft-ignored": ("RuntimeError", "RuntimeError"),
    },
    "jax": {
        "all-ignored": ("nan", "0 0 0 / 0 0 0"),
        "label-c": ("nan", f"{PLAIN} / 0 0 0"),
        "label-minus-1": ("1.32", f"{PLAIN} / 0.0876 0.0196 -0.107"),
        "int32-labels": ("1.32", f"{PLAIN} / 0.0876 0.0196 -0.107"),
        "minus-inf-soft-0": ("nan", "-0.055 -0.0276 0.0826 / 0.159 -0.159 0"),
    },
    "numpy": {
        "all-ignored": ("nan", "0 0 0 / 0 0 0"),
        "label-c": ("TargetError", "TargetError"),
        "nan-ignored": ("2.41", "-0.91 0.245 0.665 / 0 0 0"),
        "minus-inf-soft-0": ("1.03", "-0.055 -0.0276 0.0826 / 0.159 -0.159 0"),
    },
}
"""Value and gradient as published or derived by hand; the reference takes 0 * (-inf) as 0, and stops at bad labels."""


def answers(adapter: Adapter) -> dict[str, ProbeResult]:
    if missing := adapter.unavailable():
        pytest.skip(missing)
    return {found.probe: found for found in probe(subjects_of(adapter, ["cpu"])[0])}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_are_recorded(name: str) -> None:
    """Every probe is answered, and the answers are those of the table of conventions."""
    found = answers(adapters.get(name))
    assert list(found) == [p.id for p in PROBES]
    assert {p: (found[p].value, found[p].gradient) for p in KNOWN[name]} == KNOWN[name]


def test_another_meaning_is_another_answer() -> None:
    """A loss that takes the mean over no rows as 0 differs from the reference there, and nowhere else."""
    from xentcheck.reference import cross_entropy, cross_entropy_grad

    def zero_over_zero(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        upstream = options.pop("upstream", 1.0)
        loss = cross_entropy(logits, target, **options)
        none = target.dtype.kind != "f" and (target == options.get("ignore_index", -100)).all()
        gradient = cross_entropy_grad(logits, target, upstream=upstream, **options)
        return (np.zeros_like(loss) if none else loss), gradient

    own, right = answers(adapters.from_numpy(zero_over_zero)), answers(adapters.get("numpy"))
    assert {p for p in own if own[p].value != right[p].value} == {"all-ignored", "empty-mean"}


def test_what_is_not_declared_is_not_asked() -> None:
    """An implementation without smoothing, weights or probabilities is spared the probes that need them."""
    found = answers(adapters.from_numpy(print, options={"upstream"}))
    assert {"zero-weights", "minus-inf-smoothed", "soft-outside"} & set(found) == set()
    assert found["label-c"].value.endswith("Error")


def test_the_table_says_who_answers_alike() -> None:
    """A row per probe, a column per implementation."""
    place = {"variant": "eager", "device": "cpu", "probe": "p", "text": "what"}
    same = [ProbeResult(adapter=a, **place, value="nan", gradient="0") for a in ("x", "y")]
    other = ProbeResult(adapter="z", **place, value="0", gradient="0")
    found = probe_section(same)
    assert [column.title for column in found.columns] == ["probe", "what", "all alike", "x eager cpu", "y eager cpu"]
    assert found.rows == (("p", "what", "yes", "nan; 0", "nan; 0"),)
    assert probe_section([*same, other]).rows[0][2:] == ("no", "nan; 0", "nan; 0", "0; 0")
