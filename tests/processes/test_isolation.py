"""Isolation without loss: records, laws and probes of a worker process are those of this process."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.adapters.promises import promising
from xentcheck.adapters.spec import Spec, _isolated, imported
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.cases import Case
from xentcheck.records.findings import LawResult
from xentcheck.reports.sections.laws import law_section
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.studies.law_study import MEMORY, laws
from xentcheck.studies.probes import PROBES, probe
from xentcheck.vocabulary import FAILING

IMPLEMENTATIONS = """
import os, sys, warnings
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def right(logits, target, **options):
    upstream = options.pop("upstream", 1.0)
    loss = cross_entropy(logits, target, **options)
    return loss, cross_entropy_grad(logits, target, **options, upstream=upstream)

buffers = {}
def static_buffer(logits, target, **options):
    loss, g = right(logits, target, **options)
    buffer = buffers.setdefault((g.shape, g.dtype), np.empty_like(g))
    buffer[...] = g
    return loss, buffer

def in_its_input(logits, target, **options):
    loss, g = right(logits, target, **options)
    logits[...] = g
    return loss, logits[:]

def any_label(logits, target, **options):
    if target.dtype.kind == "i":
        kept = target != options.get("ignore_index", -100)
        target = np.where(kept, target % logits.shape[1 if logits.ndim > 1 else 0], target)
    return right(logits, target, **options)

def writes_its_weights(logits, target, *, weight=None, **options):
    found = right(logits, target, **options) if weight is None else right(logits, target, weight=weight, **options)
    if weight is not None:
        weight /= 2
    return found

def forgets(logits, target, **options):
    loss, g = right(logits, target, **options)
    if target.dtype.kind == "f":
        return loss, g
    fresh, kept = np.empty_like(g), target != options.get("ignore_index", -100)
    fresh[kept] = g[kept]
    fresh[~kept] = fresh[~kept] if np.isnan(fresh).any() else 0
    return loss, fresh

def warns(logits, target, **options):
    warnings.warn(f"{logits.ndim} axes", DeprecationWarning)
    return right(logits, target, **options)

class Silent(Exception):
    def __str__(self):
        raise ValueError("no text")

def raises(logits, target, **options):
    kinds = {1: IndexError("two\\nlines"), 2: ValueError()}
    if "weight" in options:
        sys.exit(0)
    raise kinds.get(logits.ndim, Silent())

def leaves(logits, target, **options):
    if "weight" in options or logits.ndim == 1:
        sys.exit(0)
    return right(logits, target, **options)

def complex_gradient(logits, target, **options):
    loss, g = right(logits, target, **options)
    return loss, g.astype(complex)

def object_loss(logits, target, **options):
    loss, g = right(logits, target, **options)
    return str(loss), g

calls = []
def every_third_call(logits, target, **options):
    calls.append(0)
    loss, g = right(logits, target, **options)
    return loss, g if len(calls) % 3 else 2 * g

def dies_at_bad_labels(logits, target, **options):
    if (target >= 3).any():
        os._exit(3)
    return right(logits, target, **options)
"""
NAMES = (
    *("right", "static_buffer", "in_its_input", "any_label", "writes_its_weights", "forgets", "warns", "raises"),
    *("leaves", "complex_gradient", "object_loss", "every_third_call"),
)
CASES = (
    "ties.2x3.f32.index.plain.mean.up-one.contig.s0",
    "gaussian.5x10.f32.index.w+ign.none.up-rand.contig.s0",
    "gaussian.10.f32.index.plain.mean.up-one.contig.s0",
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine_isolated.py").write_text(IMPLEMENTATIONS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_isolated", raising=False)
    return "mine_isolated"


def found(adapter: Adapter) -> list[dict[str, Any]]:
    """What a run of a few cases finds, in its order, as a run file holds it."""
    (subject,) = subjects_of(tried(adapter))
    probes, held = probe(subject), list(laws(subject, "float32"))
    records = [r for case in CASES for r in run_case(Case.parse(case), [subject])]
    return [{**x.to_json(), "replay": ""} for x in (*records, *held, *probes)]


@pytest.mark.parametrize("name", NAMES)
def test_a_process_of_its_own_loses_nothing(name: str, module: str) -> None:
    """Records, laws and probes alone tell each of these apart from the right one, and are the same in both places.

    Costs the start of a worker per implementation: nothing else compares what both places find.
    """
    spec = Spec(f"{module}:{name}", "numpy", 30.0)
    there, here = found(_isolated(spec)), found(imported(spec))
    assert there == here
    assert len(there) > len(CASES) + len(PROBES)
    failing = [x for x in there if x.get("outcome") in FAILING or not float(x.get("share", 0)) <= 1]
    assert bool(failing) == (name not in ("right", "warns", "any_label", "in_its_input"))


def test_laws_are_held_to_the_contract_that_is_promised_here(module: str) -> None:
    """The worker knows what is declared of it in this process, and what it refused there."""
    spec = Spec(f"{module}:right", "numpy", 30.0)
    promised = (("*", "stable"),)
    there, here = (promising(tried(made(spec)), promised) for made in (_isolated, imported))
    shares = [
        {law.law: law.share for law in laws(subjects_of(a)[0], "bfloat16")} for a in (there, here, imported(spec))
    ]
    assert shares[0] == shares[1] != shares[2]
    there.capabilities = replace(there.capabilities, options=frozenset({"upstream"}))
    assert "one-hot" not in {law.law for law in laws(subjects_of(there)[0], "float32")}


def test_the_end_of_a_process_is_one_answer(module: str) -> None:
    """A probe that ends it is answered by that, and a law breaks; the others are asked in a new process."""
    subject = subjects_of(_isolated(Spec(f"{module}:dies_at_bad_labels", "numpy", 30.0)))[0]
    answers = {p.probe: p.value for p in probe(subject)}
    assert {name for name, value in answers.items() if value == "crash"} == {"label-c", "label-wide"}
    held = {law.law: law for law in laws(subject, "float32")}
    assert not held["shift"].kept
    assert "crash: " in held["shift"].detail


def test_only_its_own_memory_can_tell_whether_it_is_shared() -> None:
    """A program in another language is not asked, and that is shown; a run file keeps it."""
    program = ProcessAdapter(["none"])
    subject = Subject(program, "eager", "cpu", "", missing="not started")
    (law,) = laws(subject, "float32")  # all others ask it, and it has not started
    assert law.law == MEMORY
    assert law.kept
    assert law_section([law]).rows[0][3:5] == ("not asked: only copies of its results leave the program", "-")
    assert LawResult.from_json(law.to_json()) == law
    assert "unasked" not in replace(law, unasked="").to_json()
