"""What `check` is asked for is what is run, what is found is saved whole, and no record asks for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.cases import Case
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of

CASES = {
    "quick": ("gaussian.5x3.f32.index.plain.mean.up-one.contig", "gaussian.5x3.f64.index.ign.mean.up-one.contig"),
    "full": ("ties.5x3.f32.index.plain.mean.up-one.contig",),
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of one or two cases, and neither laws nor probes."""

    def cases(profile: str, seed: int) -> list[Case]:
        return [Case.parse(f"{case}.s{seed}") for case in CASES[profile]]

    monkeypatch.setattr("xentcheck.cases.selection.cases", cases)
    monkeypatch.setattr("xentcheck.studies.law_study.laws", lambda *given: iter(()))
    monkeypatch.setattr("xentcheck.studies.probes.probe", lambda *given: iter(()))


@pytest.mark.usefixtures("few")
def test_a_word_alone_is_a_collection_of_one() -> None:
    """And is not taken letter by letter."""
    found = xentcheck.check("numpy", dtypes="float32", devices="cpu").file.header
    assert (found.dtypes, found.devices) == (("float32",), ("cpu",))
    assert found.host["workers"] == 1
    other = xentcheck.check("numpy", dtypes=["float32"], devices=["cpu"]).file.header
    assert replace(other, host=found.host) == found  # the host tells the second, too


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: xentcheck.build(None), "case id is of type NoneType; allowed: family."),
        (
            lambda: xentcheck.replay(None, f"{CASES['full'][0]}.s0"),
            "NoneType is no adapter; allowed: the name of one, or ",
        ),
        (lambda: xentcheck.replay("numpy", f"{CASES['full'][0]}.s0", show="x"), "show is 'x'; allowed: a whole number"),
        (lambda: xentcheck.replay("numpy", 7), "case id is of type int; allowed: family."),
        (lambda: xentcheck.check_projection(None, (2, 3)), "NoneType is no adapter; allowed: the name of one, or "),
        (lambda: xentcheck.check_projection("numpy", (2,)), "shape is (2,); allowed: (N, C)"),
        (lambda: xentcheck.check_projection("numpy", (2, 3.5)), "C is 3.5; allowed: a whole number"),
        (lambda: xentcheck.check_projection("numpy", (2, 3), probes=None), "probes is None; allowed: a whole number"),
        (lambda: adapters.from_numpy(doubled, options=5), "options is 5; allowed: a collection of weight, "),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(call: Any, text: str) -> None:
    """One line of the project, and no TypeError of Python's."""
    with pytest.raises(xentcheck.XentcheckError) as caught:
        call()
    assert str(caught.value).startswith(text)


def doubled(logits: Any, target: Any, *, ignore_index: int = -100, upstream: Any = 1.0) -> tuple[Any, Any]:
    """Twice the gradient."""
    loss = cross_entropy(logits, target, ignore_index=ignore_index)
    return loss, 2 * cross_entropy_grad(logits, target, ignore_index=ignore_index, upstream=upstream)


class TwoDevices(NumpyAdapter):
    """NumPy, that calls the same processor by two names."""

    capabilities = replace(NumpyAdapter.capabilities, devices=("cpu", "gpu"))

    def devices(self) -> tuple[str, ...]:
        return ("cpu", "gpu")


KNOWN = """
[[deviation]]
adapter = "doubled"
quantity = "dC/dz"
case = "{case}"
reason = "twice, until the kernel is mended"
link = "https://example.org/1"
"""


@pytest.mark.usefixtures("few")
def test_check_runs_what_it_is_asked_for() -> None:
    """profile, seed, dtypes and devices: in the header, and in every record."""
    plain = xentcheck.check(TwoDevices())
    assert {r.case for r in plain.records} == {f"{case}.s0" for case in CASES["quick"]}
    assert {r.device for r in plain.records} == {"cpu", "gpu"}
    full = xentcheck.check(TwoDevices(), profile="full", seed=3)
    assert (full.file.header.profile, full.file.header.seed) == ("full", 3)
    assert {r.case for r in full.records} == {f"{case}.s3" for case in CASES["full"]}
    assert {r.dtype for r in xentcheck.check(TwoDevices(), dtypes=["float64"]).records} == {"float64"}
    assert {r.device for r in xentcheck.check(TwoDevices(), devices=["gpu"]).records} == {"gpu"}


@pytest.mark.usefixtures("few")
def test_check_judges_as_it_is_told(tmp_path: Path) -> None:
    """options, contract and deviations: each changes what becomes of the same results, which this alone tries."""
    outcomes = {r.quantity: r.outcome for r in xentcheck.check(doubled, "numpy").records if r.dtype == "float64"}
    assert outcomes == {"cost": "agree", "dC/dz": "disagree"}
    narrowed = xentcheck.check(doubled, "numpy", options=["upstream"])
    assert {r.outcome for r in narrowed.records if r.dtype == "float64"} == {"unsupported"}
    assert {r.contract for r in xentcheck.check(doubled, "numpy", contract="stash").records} == {"stash"}
    for case, outcome, ok in (("*", "deviation", True), ("*.f64.*", "disagree", False)):
        (tmp_path / "known.toml").write_text(KNOWN.format(case=case))
        told = xentcheck.check(doubled, "numpy", deviations=tmp_path / "known.toml")
        assert {r.outcome for r in told.records if r.quantity == "dC/dz" and r.dtype == "float32"} == {outcome}
        assert (not told.verdict.failing) == ok
    (tmp_path / "known.toml").write_text(KNOWN.format(case="knots.*"))
    unmatched = xentcheck.check(doubled, "numpy", deviations=tmp_path / "known.toml")
    assert any("matches no comparison" in reason for reason in unmatched.verdict.reasons)


def test_options_of_what_is_an_adapter_already_are_refused() -> None:
    """They would be ignored in silence."""
    for implementation in ("numpy", adapters.get("numpy")):
        with pytest.raises(xentcheck.XentcheckError, match="options of adapter numpy are its own"):
            xentcheck.check(implementation, options=["weight"])


@pytest.mark.usefixtures("few")
def test_a_run_is_saved_and_loaded_as_it_is(tmp_path: Path) -> None:
    """Records, verdict and header, timings to a millisecond; what is no run file is refused."""
    found = xentcheck.check(doubled, "numpy")
    found.save(tmp_path / "run.jsonl")
    again = xentcheck.Run.load(str(tmp_path / "run.jsonl"))
    assert replace(again.file, timings=()) == replace(found.file, timings=())
    assert [name for name, _ in again.file.timings] == [name for name, _ in found.file.timings]
    assert (again.ok, again.summary()) == (found.ok, found.summary())
    (tmp_path / "run.jsonl").write_text("{}")
    with pytest.raises(xentcheck.XentcheckError, match=r"run\.jsonl"):
        xentcheck.Run.load(tmp_path / "run.jsonl")


@pytest.mark.parametrize(
    "case", ["gaussian.5x3.f32.index.plain.mean.up-one.contig.s0", "ties.3x4.bf16.index.plain.sum.up-one.contig.s0"]
)
def test_cases_without_options_must_reject_wrong_answers(case: str) -> None:
    """Each record says what its group must reject; there is no case that asks for nothing."""
    for r in run_case(Case.parse(case), subjects_of(adapters.get("numpy"))):
        assert {"zero"} < set(r.required), r.quantity
