"""Promises of the public interface, each with a test that fails without it: what is handed on, what is not forgiven."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from numpy.typing import NDArray

from xentcheck import adapters, api
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.adapters.ways import OF_LAYERS
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.errors import Disagreement
from xentcheck.judging.power.required import ALWAYS, required
from xentcheck.records.file import Finding
from xentcheck.records.sizes import size_of
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.problem import Problem
from xentcheck.reports.baselines.baseline import baseline_of
from xentcheck.running.comparison import run_case, run_problem
from xentcheck.running.deviations import Deviations
from xentcheck.running.subjects import Subject, contracts_of, subjects_of
from xentcheck.running.tasks import CaseGroup, Finished
from xentcheck.studies.asker import Answer, compare
from xentcheck.studies.law_study import LAWS, laws
from xentcheck.studies.related import SHAPE, base
from xentcheck.vocabulary import DTYPES, FAILING, QUANTITIES

GIVEN: dict[str, Any] = {
    "framework": "numpy",
    "options": ["weight"],
    "contract": "stash-sum",
    "overwrites": ("logits",),
    "profile": "full",
    "dtypes": ["float16"],
    "devices": ["cpu"],
    "seed": 7,
    "deviations": "known.toml",
    "executor": object(),
}
"""A value for each parameter, none of them the default."""


def halved(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """A gradient of half its size."""
    upstream = options.pop("upstream", 1.0)
    g = cross_entropy_grad(logits, target, upstream=upstream, **options)
    return cross_entropy(logits, target, **options), g * g.dtype.type(0.5)


def run_of(*records: Any, **parts: Any) -> api.Run:
    """A run of some records."""
    return api.Run(samples.run(*records, **parts))


def test_assert_agrees_hands_every_argument_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `check` may be told, `assert_agrees` may be told, and tells it."""
    told: dict[str, Any] = {}

    def check(implementation: object, framework: str | None = None, **arguments: Any) -> api.Run:
        told.update(arguments, implementation=implementation, framework=framework)
        return run_of(samples.record())

    parameters = [inspect.signature(f).parameters for f in (api.check, api.assert_agrees)]
    assert list(parameters[0].values()) == list(parameters[1].values())
    monkeypatch.setattr(api, "check", check)
    arguments = {name: GIVEN[name] for name in parameters[0] if name in GIVEN}
    assert set(parameters[0]) == {*GIVEN, "implementation"}
    assert all(value != parameters[0][name].default for name, value in arguments.items())
    api.assert_agrees("numpy", **arguments)
    assert {name: told[name] for name in arguments} == arguments
    assert told["implementation"] == "numpy"


BAD = {
    "a disagreement": run_of(samples.record(outcome="disagree", share=2.0)),
    "a blind group": run_of(samples.record(rejected=())),
    "a broken law": run_of(samples.record(), failures=("numpy breaks the law shift",)),
    "nothing compared": run_of(),
    "a crash": run_of(samples.record(), samples.record(outcome="crash", case="b")),
}


@pytest.mark.parametrize("name", BAD)
def test_assert_agrees_forgives_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises for each thing that makes a run not ok, not for disagreements only."""
    monkeypatch.setattr(api, "check", lambda *args, **options: BAD[name])
    with pytest.raises(Disagreement):
        api.assert_agrees("numpy")
    monkeypatch.setattr(api, "check", lambda *args, **options: run_of(samples.record()))
    api.assert_agrees("numpy")


@pytest.fixture
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of one case in each of two dtypes, and no laws."""

    def cases(profile: str, seed: int = 0) -> list[Case]:
        return [Case(family="gaussian", shape=(5, 10), dtype=d, seed=seed) for d in ("float32", "float64")]

    monkeypatch.setattr("xentcheck.cases.selection.cases", cases)
    monkeypatch.setattr("xentcheck.studies.law_study.LAWS", {})


@pytest.mark.usefixtures("few_cases")
def test_check_does_what_its_arguments_say(tmp_path: Path) -> None:
    """seed, dtypes, contract and deviations change the run as they say."""
    adapter = adapters.from_numpy(halved)
    plain = api.check(adapter, dtypes=["float32"])
    assert {r.case.split(".")[-1] for r in plain.records} == {"s0"}
    assert {r.outcome for r in plain.records if r.quantity == "dC/dz"} == {"disagree"}
    seeded = api.check(adapter, dtypes=["float32"], seed=7)
    assert {r.case.split(".")[-1] for r in seeded.records} == {"s7"}
    assert seeded.file.header.seed == 7
    assert {r.dtype for r in api.check(adapter).records} == {"float32", "float64"}
    declared = api.check(halved, "numpy", dtypes=["float32"], contract="stash-lse", options=["upstream"])
    assert {r.contract for r in declared.records if r.outcome != "unsupported"} == {"stash-lse"}
    known = tmp_path / "known.toml"
    entry = (
        f'[[deviation]]\nadapter = "{adapter.name}"\nquantity = "dC/dz"\nreason = "r"\nlink = "https://example.org"\n'
    )
    known.write_text(entry)
    excused = api.check(adapter, dtypes=["float32"], deviations=known)
    assert {r.outcome for r in excused.records if r.quantity == "dC/dz"} == {"deviation"}


@pytest.mark.usefixtures("few_cases")
def test_check_tells_what_is_declared_and_what_is_refused() -> None:
    """overwrites is in the notes; a reduction that raises is unsupported, and no error."""

    def overwriting(logits: Any, target: Any, upstream: Any = 1.0) -> tuple[Any, Any]:
        found = value_and_gradient(logits, target, upstream=upstream)
        logits[...] = 0
        return found

    def refusing(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> tuple[Any, Any]:
        if reduction == "mean":
            raise ValueError("no mean")
        return value_and_gradient(logits, target, reduction=reduction, upstream=upstream)

    for overwrites, said in (((), "which is not"), (("logits",), "as")):
        records = api.check(overwriting, "numpy", overwrites=overwrites).records
        assert {note for r in records for note in r.notes} == {f"overwrites its logits, {said} declared"}
    refused = {(r.outcome, r.reason) for r in api.check(refusing, "numpy").records}
    assert refused == {("unsupported", "reduction mean, which raises ValueError: no mean")}


@pytest.mark.parametrize("part", ["laws", "faults"])
def test_what_is_found_beside_the_records_fails_a_run(part: str) -> None:
    """A broken law, or a planted fault that slips through, among records that agree."""
    found: dict[str, list[Finding]] = {"laws": [samples.law(share=2.0)], "faults": [samples.fault(kills={})]}
    for findings, ok in ((found[part], False), ([], True)):
        header = samples.run(samples.record()).header
        done = Finished(CaseGroup("", ()), (samples.record(), *findings), 0.0)
        assert api.Run(api.collect(header, iter([done]), Deviations([]))).ok == ok


@pytest.mark.usefixtures("few_cases")
def test_a_broken_law_fails_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose records agree is not ok where a law is broken, and names it."""
    monkeypatch.setattr(
        "xentcheck.studies.law_study.LAWS", {"mine": ("a law", lambda ask, p: (np.full(1, 1.5), np.ones(1)))}
    )
    run = api.check("numpy", dtypes=["float32"])
    assert not run.ok
    assert any("breaks the law mine" in text for text in run.file.failures)


@pytest.mark.parametrize(
    ("found", "kept"), [(1.0, True), (1.0 + 1e-9, False), (-1.5, False), (np.nan, False), (0.0, True)]
)
def test_a_law_is_kept_up_to_its_limit(found: float, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is the deviation over the limit, its sign and nan included; the limit itself is allowed."""
    law = lambda ask, p: (np.array([0.0, found]), np.array([0.0, 1.0]))  # noqa: E731 - what a law returns
    monkeypatch.setattr("xentcheck.studies.law_study.LAWS", {"mine": ("a law", law)})
    (result,) = laws(subjects_of(adapters.get("numpy"), ["cpu"])[0], "float32")
    assert result.kept == kept
    assert np.isnan(result.share) if np.isnan(found) else result.share == abs(found)


class Unit:
    """Answers every question with zeros whose bounds are all 1."""

    labels = True
    ignores = True
    compiles = False
    any_rows = True

    def __init__(self, *, logits: bool = True) -> None:
        self.logits = logits

    def __call__(self, problem: Problem, *quantities: str, **how: Any) -> Answer:
        shapes = {**problem.shapes, **({} if self.logits else dict.fromkeys(("dC/dw", "dC/db"), (7,)))}
        return Answer(
            problem,
            {q: np.zeros(shapes[q]) for q in quantities},
            {q: np.ones(shapes[q]) for q in quantities},
        )


def terms(law: str) -> set[float]:
    """How many bounds of 1 each element of a law's limit adds up."""
    found, limit = LAWS[law][1](Unit(logits=law not in OF_LAYERS), base("float32"))  # type: ignore[arg-type]  # asked like an Asker
    assert found.shape == limit.shape
    return set(np.asarray(limit).ravel().tolist())


COUNTED: dict[str, set[float]] = {
    "rows-sum-to-0": {7.0},
    "shift": {2.0},
    "permutation": {2.0},
    "one-hot": {2.0},
    "batch": {2.0},
    "sum-of-rows": {7.0, 2.0},
    "upstream": {3.0},
    "additive": {3.0},
    "chunks": {2.0},
    "hessian-null": {1.0, 7.0},
    "fresh-memory": {2.0},
    "independent": {0.0, 2.0},
    "value-alone": {2.0},
    "learned-weight": {2.0},
    "threads": {2.0},
    "strides": {2.0},
    "label-dtypes": {2.0},
    "computed-inputs": {2.0},
    "interleaved": {2.0},
    "reused-buffers": {2.0},
    "evaluated-before": {2.0},
    "backward": {2.0},
    "create-graph": {2.0},
    "vmap": {2.0},
    "gradient-of-target": {2.0, 3.0},
    "gradient-of-weight": {2.0},
    "no-bias": {2.0},
    "leading-axes": {2.0},
    "repeated": {2.0},
}
"""Law -> how many results each of its comparisons is made of: 7 classes, or 6 rows and their sum, or two answers."""


@pytest.mark.parametrize("law", COUNTED)
def test_the_limit_of_a_law_is_the_sum_of_its_bounds(law: str) -> None:
    """No law allows more than the bounds of the results that it compares."""
    assert SHAPE == (6, 7)
    assert terms(law) == COUNTED[law]


def test_the_limits_along_directions_are_weighted_sums() -> None:
    """What a gradient's bound counts for in a product with v is |v|; these are all the laws there are."""
    assert set(LAWS) - set(COUNTED) == {"forward-reverse", "forward-mode", "hessian-symmetric"}
    asked: list[NDArray[Any]] = []

    class Recording(Unit):
        def __call__(self, problem: Problem, *quantities: str, **how: Any) -> Answer:
            asked.extend([] if problem.v is None else [np.abs(problem.v.astype(float)).sum(1)])
            return super().__call__(problem, *quantities, **how)

    for law in ("forward-reverse", "forward-mode"):
        _, limit = LAWS[law][1](Recording(), base("float32"))  # type: ignore[arg-type]
        each = [asked[0], *(rows.sum(keepdims=True) for rows in asked[1:])]
        assert np.array_equal(limit, 1.0 + np.concatenate(each))
        asked.clear()
    _, limit = LAWS["hessian-symmetric"][1](Recording(), base("float32"))  # type: ignore[arg-type]
    assert np.array_equal(limit, asked[0] + asked[1])


def test_two_answers_are_compared_within_both_bounds() -> None:
    """`compare` takes differences and adds bounds."""
    p = base("float32")
    x, y = (Answer(p, {"loss": np.full(6, v)}, {"loss": np.full(6, b)}) for v, b in ((3.0, 0.25), (1.0, 0.5)))
    found, limit = compare(x, y, ("loss",))
    assert (set(found.tolist()), set(limit.tolist())) == ({2.0}, {0.75})


def test_groups_of_power_keep_apart_what_one_comparison_does_not_prove_for_another() -> None:
    """Implementation, variant, device, dtype, quantity, target kind, reduction: no group's power excuses another's."""
    other = adapters.from_numpy(value_and_gradient, name="other")
    places = (("eager", "cpu"), ("jit", "cpu"), ("eager", "gpu"))
    subjects = [Subject(a, *place, "") for a in (adapters.get("numpy"), other) for place in places]
    groups: dict[str, tuple[str, ...]] = {}
    for dtype in ("float32", "bfloat16"):
        for target, reduction, shape in (
            ("index", "mean", (5, 10)),
            ("index", "sum", (101, 10)),
            ("prob", "mean", (5, 31)),
        ):
            case = Case(family="gaussian", shape=shape, dtype=dtype, target=target, reduction=reduction)
            takers = [(subject, "") for subject in subjects]
            for r in run_problem(build(case), str(case), quantities_of(case), takers):
                kind = (r.adapter, r.variant, r.device, dtype, r.quantity, target, reduction)
                assert groups.setdefault(r.group, kind) == kind
                assert set(kind) - {target} <= set(r.group.split("/")) | {r.quantity}
                assert r.size == size_of(*shape[::-1], dtype)
    assert len(groups) >= len(subjects) * 2 * 3 * 2


def test_a_later_call_changes_no_earlier_result() -> None:
    """An implementation that returns one buffer for all calls, and is wrong in the second: the first is right."""
    buffer, calls = np.zeros((5, 10), np.float32), []

    def reusing(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        value, gradient = value_and_gradient(logits, target, **options)
        calls.append(1)
        buffer[...] = gradient * np.float32(len(calls))
        return value, buffer

    adapter = adapters.from_numpy(reusing)
    case = Case(family="gaussian", shape=(5, 10), dtype="float32")
    takers = [(Subject(adapter, variant, "cpu", ""), "") for variant in ("first", "second")]
    found = {r.variant: r.outcome for r in run_problem(build(case), str(case), ("dC/dz",), takers)}
    assert found == {"first": "agree", "second": "disagree"}


def test_an_adapter_is_judged_by_the_accuracy_that_it_declares() -> None:
    """Of exp and log by device and dtype, and its number of running sums; the default contract promises neither."""
    subject = Subject(adapters.get("numpy"), "eager", "cpu", "")
    for dtype in DTYPES:
        accuracy, sums = subject.adapter.accuracy_for("cpu", dtype), subject.adapter.running_sums
        declared, catalogue = contracts_of(subject, dtype)
        assert declared["cost"] == CATALOGUE["accurate"].with_accuracy(*accuracy).with_sums(sums)
        for c in catalogue:
            assert c == CATALOGUE[c.name].with_accuracy(*accuracy).with_sums(sums)
        (default,) = (c for c in catalogue if c.name == "decisive")
        assert default == CATALOGUE["decisive"]


PLAIN = {
    "a": ("zero", "unnormalised", "wrong_axis", "shifted", "times_1_001"),
    "log_a": ("zero", "negated", "unnormalised", "wrong_axis", "shifted"),
    "loss": ("zero", "negated", "times_1_001", "without_largest_term"),
    "cost": ("zero", "negated", "times_1_001", "without_largest_term"),
    "dC/dz": ("zero", "negated", "doubled", "halved", "onehot_dropped", "last_column_dropped"),
    "jvp": ("zero", "negated", "doubled", "times_1_001"),
    "hvp": ("zero", "negated", "doubled", "halved", "rank_one_dropped", "last_column_dropped"),
}


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_cases_without_options_must_reject_the_standard_wrong_answers(quantity: str) -> None:
    """The table as it is meant; a sum over rows with no option adds only what concerns rows and classes."""
    expected = set(PLAIN.get(quantity, PLAIN["dC/dz"]))
    found = set(required(quantity, "index", "sum", (), "logits", "float32"))
    more = {"last_row_dropped", "offtarget_zeroed"} if quantity.startswith("dC/") else set()
    assert found == expected | more
    narrow = set(required(quantity, "index", "sum", (), "logits", "bfloat16"))
    swapped = {"times_1_25" if name == "times_1_001" else name for name in found}
    assert narrow == (swapped if quantity != "jvp" else found - {"times_1_001"})
    assert set(ALWAYS) == set(QUANTITIES)


@pytest.mark.parametrize("outcome", FAILING)
def test_a_baseline_keeps_every_kind_of_failure(outcome: str) -> None:
    """What failed is listed by its name with its outcome, whether it disagreed, crashed or ran too long."""
    run = samples.run(samples.record(), samples.record(outcome=outcome, case="b", share=None, ulp=None))
    (told,) = baseline_of([run]).texts["failing"].values()
    assert told == (outcome,)


def test_inputs_that_are_overwritten_by_a_right_result_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the numbers are right, and where a convention would apply."""

    def overwriting(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        upstream = options.pop("upstream", 1.0)
        result = (
            cross_entropy(logits, target, **options),
            cross_entropy_grad(logits, target, upstream=upstream, **options),
        )
        target[...] = 0
        return result

    subjects = subjects_of(adapters.from_numpy(overwriting), ["cpu"])
    for options in ((), ("allign",)):
        records = run_case(Case(family="gaussian", shape=(5, 10), dtype="float64", options=options), subjects)
        assert {r.outcome for r in records} <= {"disagree", "unsupported"}
        assert any("changed its input target" in r.reason for r in records)
