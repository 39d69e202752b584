"""Each term of a bound has witnesses: rounding that needs it, and rounding just beyond that doubling it would let pass.

The adversary of `adversary` attains what the bounds allow. With a term dropped from the judging contract its results
are an alarm; with one step erring twice as much, they are an alarm under the contract itself. What none attains is
left to the second derivation (`test_derived_bounds`) and said so beside.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import pytest
from adversary import ATTACKED
from attacks import attacked_cases, shares

from xentcheck.cases import Case
from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import CATALOGUE, STAGES, Contract
from xentcheck.vocabulary import DTYPES

DRAWS = 256


@dataclass(frozen=True)
class Witness:
    """A contract, the same without a term, and with twice of it (or the stage that errs twice); where it shows.

    dropped, doubled: (quantity, case, seed) or None.
    """

    contract: Contract
    without: Contract | None
    twice: Contract | str
    dropped: tuple[str, str, int] | None
    doubled: tuple[str, str, int] | None


def unstored(name: str, stage: str) -> tuple[Contract, Contract, str]:
    """A contract, the same with one stage kept wide, and the stage."""
    contract = CATALOGUE[name]
    return contract, replace(contract, stored=tuple(s for s in contract.stored if s != stage)), stage


FUSED = CATALOGUE["fused"]
SLOPE, SHIFT = replace(FUSED, exp_slope=1.0), replace(FUSED, shift_units=2.0)

WITNESSES = {
    "exp_ulps": Witness(
        FUSED,
        replace(FUSED, exp_ulps=0.0),
        replace(FUSED, exp_ulps=4.0),
        ("a", "confident.3x4.f32.index.ls+dir.mean.up-one.contig.s0", 4),
        ("a", "confident.3x4.f32.index.ls+dir.mean.up-one.contig.s0", 4),
    ),
    "log_ulps": Witness(
        FUSED,
        replace(FUSED, log_ulps=0.0),
        replace(FUSED, log_ulps=4.0),
        ("log_a", "exact-ones.3x4.f32.index.ls+dir.mean.up-one.contig.s0", 26),
        ("log_a", "exact-ones.3x4.f32.index.ls+dir.mean.up-one.contig.s0", 26),
    ),
    "exp_slope": Witness(
        SLOPE,
        FUSED,
        replace(FUSED, exp_slope=3.0),
        ("a", "deep.3x4.f32.index.dir.none.up-one.contig.s0", 2),
        ("a", "deep.3x4.f32.index.dir.none.up-one.contig.s0", 2),
    ),
    "shift_units": Witness(
        SHIFT,
        FUSED,
        replace(FUSED, shift_units=4.0),
        ("a", "equal-huge.2x7.f32.prob.w+dir.sum.up-one.contig.s0", 18),
        ("log_a", "equal-huge.3x4.f32.index.dir.none.up-one.contig.s0", 19),
    ),
    "log_form": Witness(
        CATALOGUE["fused-lse"],
        FUSED,
        "",
        ("log_a", "equal-huge.3x4.f32.index.dir.none.up-one.contig.s0", 19),
        None,
    ),
    "gradient_form": Witness(
        CATALOGUE["stash"],
        FUSED,
        "",
        ("dC/dz", "deep.2x7.f32.index.w+ign+dir.sum.up-one.contig.s0", 1),
        None,
    ),
    # `test_forms` has a right online softmax beyond `fused` and a wrong one beyond `online`
    "rescales": Witness(CATALOGUE["online"], CATALOGUE["stash-lse"], "", None, None),
    "row_sum (at pivots)": Witness(
        CATALOGUE["decisive"],
        replace(CATALOGUE["decisive"], row_sum="none"),
        "",
        ("dC/dz", "ties.2x7.f32.index.dir.none.up-one.contig.s0", 9),
        None,  # E sums up bounds that no rounding attains together: the second derivation
    ),
    "margin": Witness(
        CATALOGUE["decisive"],
        replace(CATALOGUE["decisive"], margin=False),
        "",
        ("hvp", "very-negative.3x4.f16.index.dir.none.up-one.contig.s0", 4),
        None,  # no number of a contract: `test_forms` has forms that err twice
    ),
    "output": Witness(
        FUSED, None, "output", None, ("dC/db", "one-hot.3x4k3.bf16.index.plain.mean.up-one.contig.s0", 33)
    ),
    "logits": Witness(
        *unstored("stash", "logits"),
        ("dC/dw", "common-offset.3x4k3.bf16.prob.plain.mean.up-one.contig.s0", 32),
        None,  # zeta is also multiplied by exp(2 max zeta), and counted at every class: the second derivation
    ),
    "exponents": Witness(
        *unstored("storage", "exponents"),
        ("a", "deep.3x4.bf16.index.dir.none.up-one.contig.s0", 2),
        ("dC/dz", "very-negative.3x4.bf16.index.dir.none.up-one.contig.s0", 13),
    ),
    "exponentials": Witness(
        *unstored("storage", "exponentials"),
        ("a", "exact-ones.2x7.bf16.index.dir.none.up-one.contig.s0", 25),
        ("dC/dz", "certain.2x7.bf16.index.dir.mean.up-one.contig.s0", 16),
    ),
    "sum": Witness(
        *unstored("stash-sum", "sum"),
        ("log_a", "confident.2x7.bf16.index.dir.none.up-one.contig.s0", 3),
        ("log_a", "confident.2x7.bf16.index.dir.none.up-one.contig.s0", 3),
    ),
    "log": Witness(
        *unstored("stash-sum", "log"),
        ("log_a", "exact-ones.3x4.bf16.index.ls+dir.mean.up-one.contig.s0", 26),
        ("log_a", "exact-ones.2x7.bf16.index.dir.none.up-one.contig.s0", 25),
    ),
    "log_a": Witness(
        *unstored("stash", "log_a"),
        ("dC/dz", "deep.2x7.bf16.index.w+ign+dir.sum.up-one.contig.s0", 1),
        ("dC/dz", "deep.2x7.bf16.index.w+ign+dir.sum.up-one.contig.s0", 1),
    ),
    "between": Witness(
        *unstored("stash", "between"),
        ("jvp", "confident.2x7.bf16.index.dir.none.up-one.contig.s0", 3),
        ("dC/dw", "dyadic.3x4k3.bf16.index.w+ign.mean.up-one.contig.s0", 28),
    ),
    "forward_sum": Witness(
        *unstored("storage-accumulate", "forward_sum"),
        ("log_a", "masked.2x7.bf16.index.dir.mean.up-one.contig.s0", 22),
        ("log_a", "masked.2x7.bf16.index.dir.mean.up-one.contig.s0", 22),
    ),
    "batch_sum": Witness(
        *unstored("storage-accumulate", "batch_sum"),
        ("dC/db", "one-hot.3x4k3.bf16.index.plain.mean.up-one.contig.s0", 33),
        ("dC/db", "one-hot.3x4k3.bf16.index.plain.mean.up-one.contig.s0", 33),
    ),
    "reduction": Witness(
        *unstored("stash-sum", "reduction"),
        ("dC/dw", "dyadic.3x4k3.bf16.index.w+ign.mean.up-one.contig.s0", 28),
        ("dC/dw", "dyadic.3x4k3.bf16.index.w+ign.mean.up-one.contig.s0", 28),
    ),
    # beside the rounding of every elementwise step, that of these sums never decides: the second derivation
    "backward_sum": Witness(*unstored("storage-backsum", "backward_sum"), None, None),
    "row_sum": Witness(*unstored("storage-accumulate", "row_sum"), None, None),
}
"""Term of a bound -> its witnesses."""


ELSEWHERE = {
    "name": "no arithmetic",
    "stored": "its stages have witnesses, one each",
    "flushes": "`test_derived_bounds`: the smallest normal number at most, which the adversary's draws do not reach",
    "flushes_storage": "`test_derived_bounds`, as `flushes`",
    "complement": "another formula, which `test_accurate` holds against the exact value",
    "shifted": "whether exp overflows: `test_derived_bounds`",
    "log_of_softmax": "another formula: `test_derived_bounds`",
    "product_inputs": "of layers, which the adversary has none of: `test_derived_bounds`",
    "lanes": "the heights of sums: `test_heights`",
    "running_sums": "the heights of sums: `test_heights`",
    "class_block": "the heights of sums, of contracts with blocks: `test_derived_bounds`",
    "row_block": "the heights of sums, of contracts with blocks: `test_derived_bounds`",
    "compensated": "a sum without the errors of one: `test_derived_bounds`",
    "result": "a last rounding less: `test_wider_results`",
}
"""Fields of a contract without witnesses: why, and what holds them."""


def reached(
    case: str, seed: int, contract: Contract, judged: Contract | None = None, worse: str = "nothing"
) -> dict[str, float]:
    """Quantity -> the share of the bound that the adversary reaches."""
    found = shares(Case.parse(case), contract, seed, DRAWS, judged, worse)
    return {q: share for q, (share, _) in found.items()}


@pytest.mark.parametrize("term", [t for t, w in WITNESSES.items() if w.dropped])
def test_a_bound_without_the_term_is_an_alarm(term: str) -> None:
    """The contract's own arithmetic is within its bound, and exceeds the bound that lacks the term."""
    w = WITNESSES[term]
    assert w.dropped is not None
    assert w.without is not None
    quantity, case, seed = w.dropped
    assert reached(case, seed, w.contract)[quantity] <= 1.0
    assert reached(case, seed, w.contract, w.without)[quantity] > 1.0


@pytest.mark.parametrize("term", [t for t, w in WITNESSES.items() if w.doubled])
def test_arithmetic_with_the_term_twice_is_an_alarm(term: str) -> None:
    """What a bound with the doubled term would let through exceeds the bound as it is."""
    w = WITNESSES[term]
    assert w.doubled is not None
    quantity, case, seed = w.doubled
    twice, worse = (w.contract, w.twice) if isinstance(w.twice, str) else (w.twice, "nothing")
    assert reached(case, seed, w.contract)[quantity] <= 1.0
    assert reached(case, seed, twice, w.contract, worse)[quantity] > 1.0


def test_every_stage_and_number_of_a_contract_is_in_the_table() -> None:
    """A new stage, or a new kind of error, needs witnesses, or a sentence why it has none."""
    assert set(STAGES) <= set(WITNESSES)
    described = {f.name for f in fields(Contract)}
    assert described <= {*WITNESSES, *ELSEWHERE}
    assert set(ELSEWHERE) <= described - set(WITNESSES)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_worst_rounding_stays_within_every_bound(dtype: str) -> None:
    """Every contract on a quarter of the cases: 1 s a dtype, a thousandth of `benchmarks/attack.py`."""
    exceeded, met = [], set()
    for k, contract in enumerate(distinct(tuple(CATALOGUE.values()), dtype)):
        for case in attacked_cases(dtype)[k % 4 :: 4]:
            for q, (share, _) in shares(case, contract, k, 32).items():
                met.add(q)
                if not share <= 1.0:
                    exceeded.append(f"{case} {contract.name} {q}: {share}")
    assert exceeded == []
    assert met == set(ATTACKED)
