"""The judge: a total error metric, `not (error <= bound)`, overflow, ULPs, and the index of the worst element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.judging.comparisons import Submission
from xentcheck.judging.metric import Tally, error_of, overflows, shape_and_dtype
from xentcheck.judging.verdict import Judgement
from xentcheck.records.facts import sentence
from xentcheck.records.record import ULP_EDGES
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Exact
from xentcheck.reference.oracle.quantities import quantity_of
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES

INF, NAN = np.inf, np.nan
F64 = FORMATS["float64"]

ERRORS = {
    "equal": (1.5, 1.5, 0.0),
    "both-nan": (NAN, NAN, 0.0),
    "got-nan": (NAN, 1.0, INF),
    "exact-nan": (1.0, NAN, INF),
    "both-inf": (INF, INF, 0.0),
    "both-minus-inf": (-INF, -INF, 0.0),
    "opposite-inf": (INF, -INF, INF),
    "got-inf": (INF, 1e308, INF),
    "exact-inf": (1e308, INF, INF),
    "nan-against-inf": (NAN, INF, INF),
    "signed-zeros": (-0.0, 0.0, 0.0),
    "difference-overflows": (1e308, -1e308, INF),
    "apart": (3.0, 1.0, 2.0),
}


def tally(got: Any, hi: Any, bound: Any, lo: Any = 0.0, dtype: str = "float64") -> Tally:
    """One comparison of a few elements."""
    t = Tally(FORMATS[dtype])
    g, h, b = (np.atleast_1d(np.asarray(x, np.float64)) for x in (got, hi, bound))
    t.add(g.astype(dtype), h, np.broadcast_to(np.float64(lo), h.shape), b)
    return t


@pytest.mark.parametrize("name", ERRORS)
def test_the_error_metric_is_total(name: str) -> None:
    """Every pair of values has an error that is a number or inf, never nan."""
    got, exact, error = ERRORS[name]
    assert error_of(np.array([got]), np.array([exact]), np.array([0.0])).tolist() == [error]


def test_the_low_part_of_the_exact_value_counts() -> None:
    """exact = hi + lo: a result equal to hi is off by lo."""
    assert error_of(np.array([1.0]), np.array([1.0]), np.array([2.0**-60])).tolist() == [2.0**-60]
    assert error_of(np.array([1.0 + 2.0**-52]), np.array([1.0]), np.array([2.0**-53])).tolist() == [2.0**-53]


@pytest.mark.parametrize("bound", [0.0, 1.0, 1e308, NAN], ids=str)
def test_nan_never_passes(bound: float) -> None:
    """A nan where the exact value is a number fails under every bound that says anything."""
    t = tally(NAN, 1.0, bound)
    assert t.failing == 1
    assert t.share > 1.0
    assert t.nonfinite == 1


@pytest.mark.parametrize("got", [1.0, 2.0, INF], ids=str)
def test_a_nan_bound_passes_nothing(got: float) -> None:
    """`not (error <= nan)` is true: without a bound there is no agreement, even where the result is right."""
    assert tally(got, 1.0, NAN).failing == 1


@pytest.mark.parametrize(
    ("got", "bound", "failing", "share"),
    [
        (1.0, 0.0, 0, 0.0),
        (1.0 + 2.0**-52, 0.0, 1, INF),
        (1.5, INF, 0, 0.0),
        (1.5, 0.5, 0, 1.0),
        (1.5, np.nextafter(0.5, 0), 1, None),
        (1.25, 0.5, 0, 0.5),
    ],
    ids=["exact", "bound-0", "bound-inf", "attained", "just-beyond", "half"],
)
def test_agreement_is_error_at_most_bound(got: float, bound: float, failing: int, share: float | None) -> None:
    """An error equal to its bound passes, the next larger one fails; 0/0 counts as 0 and x/0 as inf."""
    t = tally(got, 1.0, bound)
    assert t.failing == failing
    assert t.share == share if share is not None else t.share > 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_pass_only_where_the_format_overflows(dtype: str) -> None:
    """An infinity is right where the exact value or its bound rounds to it, with the same sign."""
    fmt = FORMATS[dtype]
    beyond = INF if dtype == "float64" else fmt.largest * (1.0 + fmt.unit_roundoff)
    near = fmt.largest * (1 - 1e-7), fmt.largest * max(1e-6, fmt.unit_roundoff)
    right = [(INF, beyond, 1.0), (-INF, -beyond, 1.0), (INF, *near)]
    wrong = [(-INF, beyond, 1.0), (INF, fmt.largest / 2, fmt.largest / 4), (INF, -fmt.largest, fmt.largest / 8)]
    assert [tally(*element, dtype=dtype).failing for element in right] == [0, 0, 0]
    assert [tally(*element, dtype=dtype).failing for element in wrong] == [1, 1, 1]
    assert overflows(np.array([1.0]), np.array([INF]), np.array([1.0]), fmt).tolist() == [False]


def test_a_finite_result_is_wrong_where_the_exact_value_is_infinite() -> None:
    """A large number does not stand for infinity."""
    assert tally(1e308, INF, 1.0).failing == 1


@pytest.mark.parametrize(
    ("got", "text"),
    [
        (np.zeros((2, 3)), ""),
        (np.zeros((3, 2)), "shape (3, 2), expected (2, 3)"),
        (np.zeros((2, 3, 1)), "shape (2, 3, 1), expected (2, 3)"),
        (np.zeros((2, 3), np.float32), "dtype float32, expected float64"),
    ],
    ids=["right", "transposed", "rank", "dtype"],
)
def test_shape_and_dtype_come_first(got: Any, text: str) -> None:
    """A result of another shape or dtype is not comparable, and says so."""
    found = shape_and_dtype(got, (2, 3), "float64")
    assert (sentence(found, "disagree") if found else "") == text


@pytest.mark.parametrize("change", ["shape", "dtype"])
def test_a_mismatch_is_no_agreement(change: str) -> None:
    """The verdict of the right numbers in the wrong shape or dtype disagrees, with no share to be mistaken for one."""
    p = build(Case(family="gaussian", shape=(4, 3), dtype="float64"))
    right = Exact(p).evaluate(("dC/dz",))["dC/dz"][0]
    for got, agrees in ((right, True), (right.T if change == "shape" else right.astype(np.float32), False)):
        (verdicts,) = Judgement(p, ("dC/dz",), [Submission({"dC/dz": got}, CATALOGUE["fused"])]).run()
        assert verdicts["dC/dz"].agrees == agrees
        assert bool(verdicts["dC/dz"].shares) == agrees


def test_ulps_are_counted_in_the_units_of_the_exact_value() -> None:
    """An error of k ULPs falls into the bin of k, and the largest is kept."""
    errors = np.array([0.0, 0.25, 0.5, 1.0, 3.0, 100.0, 2.0**21])
    t = Tally(F64)
    hi = np.full(errors.shape, 1.0)
    t.add(hi, hi, -errors * F64.ulp(1.0), np.full(errors.shape, INF))
    assert t.ulp == 2.0**21
    expected = [int(np.count_nonzero(errors >= low)) for low in (*ULP_EDGES, INF)]
    assert t.ulp_counts.tolist() == (-np.diff(expected)).tolist()
    assert t.ulp_counts.sum() == len(errors)


def test_what_is_below_the_normal_range_has_no_ulps() -> None:
    """Beside a normal number it is left out; alone, it leaves nothing to tell. The smallest normal number has them."""
    lowest = F64.smallest_normal
    mixed, alone = Tally(F64), Tally(F64)
    mixed.add(*(np.array(x) for x in ([1e-5, 0.0], [lowest / 2, lowest], [0.0, 0.0], [1.0, 1.0])))
    assert mixed.ulp == 2.0**52
    assert mixed.ulp_counts.sum() == 1
    alone.add(*(np.array(x) for x in ([1e-5, 0.0], [lowest / 2, 0.0], [0.0, 0.0], [1.0, 1.0])))
    assert (alone.elements, alone.ulp, alone.ulp_counts.sum()) == (2, None, 0)


def test_ulps_are_information_only() -> None:
    """A loss near 0 that is millions of ULPs off agrees if its bound says so, and one ULP off does not if not."""
    assert tally(0.0, 1e-17, 1e-16).failing == 0
    assert (tally(0.0, 1e-17, 1e-16).ulp or 0.0) > 1e15
    assert tally(1.0 + 2.0**-52, 1.0, 2.0**-53).failing == 1


def test_the_worst_element_is_the_largest_share_not_the_largest_error() -> None:
    """Position, got, expected and bound belong to the element that uses most of its bound."""
    t = tally([5.0, 1.5, 7.0], [1.0, 1.0, 7.0], [100.0, 1.0, 0.0])
    assert (*t.worst, t.share) == (1, 1.5, 1.0, 1.0, 0.5)


def test_the_farthest_element_is_that_of_the_most_ulps() -> None:
    """Whatever its share; the first of equals, and none below the normal range."""
    t = tally([1.5, 1.0 + 2.0**-50, 1.0 - 2.0**-50, 1e-310], [1.0, 1.0, 1.0, 2e-310], [100.0, 2.0**-60, 1.0, 1.0])
    assert (*t.farthest, t.ulp) == (0, 1.5, 1.0, 100.0, 2.0**51)
    assert t.worst.position == 1
    assert tally([0.0, 1.5, 0.5], [1e-310, 1.0, 1.0], [1.0, 1.0, 1.0]).farthest.position == 1


def test_a_failure_is_always_the_worst_element() -> None:
    """A nan has no share of its own, and still is what the report shows."""
    t = tally([1.0, NAN, 1.5], [1.0, 1.0, 1.0], [1.0, 1e308, 1.0])
    assert (t.failing, t.worst.position) == (1, 1)
    assert t.share > 1.0


def test_where_the_contract_overflows_on_the_way_nothing_is_wrong() -> None:
    """inf - inf and 0 * inf are nan: an infinite bound says so, and counts them as non-finite."""
    t = tally([1.0, NAN, INF], [1.0, 1.0, 1.0], [1.0, INF, INF])
    assert (t.failing, t.share, t.nonfinite) == (0, 0.0, 2)


@pytest.mark.parametrize("size", [1, 2, 7, 99])
def test_adding_by_blocks_equals_adding_at_once(size: int) -> None:
    """A comparison in blocks finds the same shares, counts and worst element."""
    generator = np.random.default_rng(5)
    hi, error = generator.uniform(1, 2, 100), generator.uniform(-1, 1, 100) * 2.0**-50
    bound = generator.uniform(0.5, 1, 100) * 2.0**-50
    got = hi + error
    got[[13, 77]] = NAN, INF
    whole, parts = Tally(F64), Tally(F64)
    whole.add(got, hi, np.zeros(100), bound)
    for start in range(0, 100, size):
        part = slice(start, start + size)
        parts.add(got[part], hi[part], np.zeros(100)[part], bound[part])
    assert whole.ulp_counts.tolist() == parts.ulp_counts.tolist()
    assert whole.failing > 2
    for field in ("elements", "failing", "nonfinite", "share", "ulp", "worst", "farthest"):
        assert repr(getattr(whole, field)) == repr(getattr(parts, field)), field  # a nan is none but itself
    assert whole.worst != whole.farthest


def test_no_elements_agree_trivially() -> None:
    """An empty comparison has no failing element, no share and no elements to speak of."""
    t = tally(np.zeros(0), np.zeros(0), np.zeros(0))
    assert (t.elements, t.failing, t.share, t.ulp) == (0, 0, 0.0, None)


SHAPES = [(4,), (3, 4), (2, 4, 3), (2, 4, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("quantity", ["a", "log_a", "dC/dz", "loss"])
def test_the_worst_index_is_in_the_quantitys_own_shape(quantity: str, shape: tuple[int, ...]) -> None:
    """Whatever the rank, a planted error is reported at the index where it was planted."""
    loss_shape = () if len(shape) == 1 else (shape[0], *shape[2:])
    generator = np.random.default_rng(7)
    p = Problem(
        logits=generator.uniform(-1, 1, shape),
        target=generator.integers(0, 4, loss_shape),
        reduction="none",
        upstream=np.ones(loss_shape),
    )
    right = Exact(p).evaluate((quantity,))[quantity][0]
    for position in np.ndindex(p.shapes[quantity]):
        wrong = right.copy()
        wrong[position] += 1.0
        (verdicts,) = Judgement(p, (quantity,), [Submission({quantity: wrong}, CATALOGUE["stable"])]).run()
        assert verdicts[quantity].tally.failing == 1
        assert quantity_of(quantity, p).index(p, verdicts[quantity].tally.worst.position) == position


@pytest.mark.parametrize("hidden", [0, 3], ids=["layer", "network"])
@pytest.mark.parametrize("quantity", ["cost", "dC/db", "dC/dw", "dC/da_prev"])
def test_the_worst_index_of_a_layers_gradients(quantity: str, hidden: int) -> None:
    """The same behind a layer and a network, whose gradients are flattened."""
    p = build(Case(family="dyadic", shape=(3, 4), dtype="float64", inputs=2, hidden=hidden))
    right = Exact(p).evaluate((quantity,))[quantity][0]
    assert right.shape == p.shapes[quantity]
    for position in np.ndindex(right.shape):
        wrong = right.copy()
        wrong[position] += 1.0
        (verdicts,) = Judgement(p, (quantity,), [Submission({quantity: wrong}, CATALOGUE["stable"])]).run()
        assert quantity_of(quantity, p).index(p, verdicts[quantity].tally.worst.position) == position


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_infinity_is_right_from_the_last_number_that_rounds_to_it(dtype: str) -> None:
    """Half of a last place beyond the largest number, and not a little before."""
    fmt = FORMATS[dtype]
    for beyond, right in ((0.4, False), (0.6, True)):
        exact = np.array([fmt.largest * (1.0 + beyond * fmt.unit_roundoff)])
        assert overflows(np.array([np.inf]), exact, np.array([0.0]), fmt).tolist() == [right]


def test_a_result_that_is_not_to_be_judged_has_no_verdict() -> None:
    """Nothing of it is compared, so that nothing may say that it agrees."""
    p = Problem(logits=np.array([[0.0, 1.0]]), target=np.array([0]))
    right = {q: x[0] for q, x in Exact(p).evaluate(("cost", "dC/dz")).items()}
    with pytest.raises(KeyError, match="dC/dz"):
        Judgement(p, ("cost",), [Submission(right, CATALOGUE["fused"])]).run()


@pytest.mark.parametrize("factor", [1.0625, NAN, INF])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_shares_under_other_contracts_are_those_that_each_finds_alone(dtype: str, factor: float) -> None:
    """Of a right result, one element of which is off, or not finite, in several blocks of rows."""
    p = build(Case(family="gaussian", shape=(700, 10), dtype=dtype, options=("w", "ls", "ign"), reduction="none"))
    values = {q: np.array(x[0].astype(dtype)) for q, x in Exact(p).evaluate(["loss", "dC/dz"]).items()}
    for x in values.values():
        x.flat[x.size // 2] *= np.dtype(dtype).type(factor)
    catalogue = tuple(CATALOGUE.values())
    (together,) = Judgement(p, list(values), [Submission(values, catalogue[0], catalogue)]).run()
    for contract in catalogue:
        (alone,) = Judgement(p, list(values), [Submission(values, contract)]).run()
        for q, verdict in alone.items():
            assert together[q].shares[contract.name] == verdict.tally.share, (q, contract.name)


@pytest.mark.parametrize("row", [0, 299])
def test_each_block_of_rows_is_compared_with_its_own_results(row: int) -> None:
    """Three blocks of rows: right results agree, and a wrong element of the first or the last row is named: alone this
    has blocks of float64.
    """
    rng = np.random.default_rng(0)
    p = Problem(logits=rng.standard_normal((300, 1003)), target=rng.integers(1003, size=300))
    exact = Exact(p)
    assert len(list(exact.blocks())) == 3
    gradient = exact.evaluate(["dC/dz"])["dC/dz"][0].copy()
    for factor, failing in ((1.0, 0), (1.5, 1)):
        gradient[row, 7] *= factor
        (verdicts,) = Judgement(p, ["dC/dz"], [Submission({"dC/dz": gradient}, CATALOGUE["fused"])]).run()
        assert verdicts["dC/dz"].tally.failing == failing
        assert verdicts["dC/dz"].agrees == (not failing)
    assert verdicts["dC/dz"].tally.worst.position == row * 1003 + 7


def test_rows_whose_label_leads_are_kept_with_their_margin() -> None:
    """Margin, relative error and relative bound at the label; of rows whose label does not lead nothing."""
    z = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    p = Problem(logits=z, target=np.array([1, 0, 0]), reduction="sum")
    exact = {q: hi for q, (hi, _) in Exact(p).evaluate(("dC/dz",)).items()}
    wrong = exact["dC/dz"] * np.array([[1.0], [1.5], [1.0]])
    (verdicts,) = Judgement(p, ("dC/dz",), [Submission({"dC/dz": wrong}, CATALOGUE["fused"])]).run()
    margins = verdicts["dC/dz"].margins
    assert [m for m, _, _ in margins] == [1.0, 2.0]
    assert [e > b for _, e, b in margins] == [False, True]
    assert margins[1][1] == pytest.approx(0.5)
