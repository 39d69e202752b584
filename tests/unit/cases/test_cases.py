"""Cases: ids that round trip, errors of one line, pinned digests, and families that show their phenomenon."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xentcheck.cases.build import SMOOTHINGS, build
from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES, FAR
from xentcheck.cases.fields import IGNORE, LAYOUTS, UPSTREAMS, WEIGHTS
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.randomness import Stream
from xentcheck.errors import CaseError
from xentcheck.reference.problem import Problem, digest_of
from xentcheck.vocabulary import DTYPES, REDUCTIONS

ALPHABET = set(string.ascii_lowercase + string.digits + ".+-")


def subsets(names: Any) -> Any:
    """Tuples of distinct names."""
    return st.lists(st.sampled_from(sorted(names) or [""]), unique=True, max_size=3).map(
        lambda x: tuple(filter(None, x))
    )


@st.composite
def valid_cases(draw: Any) -> Case:
    """Any case whose fields fit each other."""
    inputs = draw(st.sampled_from([0, 0, 1, 7]))
    target = draw(st.sampled_from(["index", "u8", "prob", "signed"]))
    reduction = draw(st.sampled_from(REDUCTIONS))
    rank = 2 if inputs else draw(st.integers(1, 5))
    shape = tuple(draw(st.integers(1, 12)) for _ in range(rank))
    ignored = {"index": set(IGNORE), "u8": {"ign1", "ign255"}}.get(target, set())
    kinds = [draw(st.sampled_from(["", *sorted(of)])) for of in (WEIGHTS, ignored)]
    flags = draw(subsets({"ls"} | (set() if inputs else {"dir"})))
    return Case(
        family=draw(st.sampled_from(sorted(LAYER_FAMILIES if inputs else FAMILIES))),
        shape=shape,
        dtype=draw(st.sampled_from(DTYPES)),
        target=target,
        options=(*filter(None, kinds), *flags),
        reduction=reduction,
        upstream=draw(st.sampled_from(sorted(UPSTREAMS) if reduction == "none" else ["one", "neg"])),
        layout=("contig",)
        if inputs
        else draw(subsets({x for x in LAYOUTS if not x.startswith("needs-")}).filter(bool)),
        inputs=inputs,
        hidden=draw(st.integers(0, 5)) if inputs else 0,
        seed=draw(st.integers(0, 10**9)),
    )


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(valid_cases())
def test_ids_round_trip(case: Case) -> None:
    """parse is the inverse of str; an id is safe in a shell, in -k and as a file name: alone this draws them."""
    text = str(case)
    assert Case.parse(text) == case
    assert set(text) <= ALPHABET


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(valid_cases(), st.integers(0, 200), st.sampled_from([*"xX+- _/0", ""]))
def test_a_changed_id_is_another_case_or_an_error_of_one_line(case: Case, at: int, character: str) -> None:
    """No id means the same case as another one: what does not parse to itself is refused; alone this draws changes."""
    text = str(case)
    changed = text[: at % len(text)] + character + text[at % len(text) + 1 :]
    try:
        found = str(Case.parse(changed))
    except CaseError as error:
        found = changed if "\n" not in str(error) else "more than one line"
    assert found == changed


GOOD = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"

MALFORMED = {
    "too few fields": ("gaussian.5x10", r"^case id 'gaussian.5x10' has 2 fields; allowed: family.shape.dtype.*$"),
    "empty": ("", r"^case id '' has 1 fields; allowed: .*$"),
    "family": (GOOD.replace("gaussian", "gausian"), r"^unknown family 'gausian' in a case; allowed: gaussian, .*$"),
    "layer family": (GOOD.replace("5x10", "5x10k4").replace("gaussian", "deep"), r"^unknown family 'deep' in .*$"),
    "shape": (GOOD.replace("5x10", "5by10"), r"^case id '.*': cannot read 5by10, up-one or s0; allowed: .*$"),
    "rank 6": (GOOD.replace("5x10", "1x2x3x4x5x6"), r"^case id '.*': cannot read 1x2x3x4x5x6, .*$"),
    "no class": (GOOD.replace("5x10", "5x0"), r"^case .*: shape needs 1 to 5 axes and at least one class$"),
    "dtype": (GOOD.replace("f32", "f8"), r"^case id '.*': dtype is 'f8'; allowed: f64, f32, bf16, f16$"),
    "target": (
        GOOD.replace("index", "one"),
        r"^unknown target 'one' in a case; allowed: index, u8, low, top, diag, prob, sparse, signed, hot, unit, "
        r"void, pad, multi, mixed$",
    ),
    "sentinel of uint8": (GOOD.replace("index.plain", "u8.ign"), r"^case .*: a uint8 holds no sentinel but .*$"),
    "two sentinels": (
        GOOD.replace("plain", "ign+ign1"),
        r"^case .*: one kind of weights, one ignore_index and one smoothing at most$",
    ),
    "two smoothings": (
        GOOD.replace("plain", "ls+lsh"),
        r"^case .*: one kind of weights, one ignore_index and one smoothing at most$",
    ),
    "two weights": (
        GOOD.replace("plain", "w+wn"),
        r"^case .*: one kind of weights, one ignore_index and one smoothing at most$",
    ),
    "option": (GOOD.replace("plain", "w+lss"), r"^unknown option 'lss' in a case; allowed: w, wn, .*$"),
    "reduction": (GOOD.replace("mean", "max"), r"^unknown reduction 'max' in a case; allowed: mean, sum, none$"),
    "upstream": (GOOD.replace("up-one", "up-two"), r"^unknown upstream 'two' in a case; allowed: one, neg, .*$"),
    "upstream needs none": (GOOD.replace("up-one", "up-rand"), r"^case .*: upstream rand needs reduction none; .*$"),
    "layout": (GOOD.replace("contig", "fortran"), r"^unknown layout 'fortran' in a case; allowed: contig, .*$"),
    "seed": (GOOD.replace("s0", "s-1"), r"^case id '.*': cannot read 5x10, up-one or s-1; allowed: .*$"),
    "leading zero": (GOOD.replace("s0", "s007"), r"^case id '.*' is not in its normal form; allowed: .*\.s7$"),
    "probabilities with ign": (
        GOOD.replace("index.plain", "prob.ign"),
        r"^case .*: ignore_index has no meaning with prob targets$",
    ),
    "layer layout": (GOOD.replace("5x10", "5x10k4").replace("contig", "trans"), r"^case .*: a layer has shape.*$"),
    "layer rank": (GOOD.replace("5x10", "5x10x2k4"), r"^case .*: a layer has shape NxCkK.*$"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_ids_say_what_is_allowed(name: str) -> None:
    """Each wrong field is named, with what is allowed there."""
    text, message = MALFORMED[name]
    assert str(Case.parse(GOOD)) == GOOD
    with pytest.raises(CaseError, match=message):
        Case.parse(text)


def test_a_case_that_cannot_be_built_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that gives no valid problem raises CaseError with the problem's reason: a case is never skipped."""
    case = Case(family="gaussian", shape=(5, 10), dtype="float64", options=("ls",))
    assert build(case).label_smoothing == 0.1
    monkeypatch.setitem(SMOOTHINGS, "ls", 2.0)
    with pytest.raises(CaseError, match=r"^case gaussian\..* cannot be built: label_smoothing is 2.0; .*$"):
        build(case)


def test_a_digest_sees_values_options_and_nothing_of_the_layout() -> None:
    """One changed bit or option changes the digest; strides do not."""
    z, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
    base = digest_of(Problem(logits=z.copy(), target=y))
    wide = np.full((2, 4), np.nan)
    wide[:, ::2] = z
    assert digest_of(Problem(logits=wide[:, ::2], target=y)) == base
    assert digest_of(Problem(logits=np.asfortranarray(z), target=y)) == base
    for other in (
        Problem(logits=np.nextafter(z, 9.0), target=y),
        Problem(logits=z.copy(), target=1 - y),
        Problem(logits=z.copy(), target=y, label_smoothing=0.1),
        Problem(logits=z.copy(), target=y, ignore_index=0),
        Problem(logits=z.copy(), target=y, reduction="sum"),
        Problem(logits=z.copy(), target=y, weight=np.ones(2)),
        Problem(logits=z.copy(), target=y, upstream=np.array(2.0)),
    ):
        assert digest_of(other) != base


def test_far_underflows_in_every_format() -> None:
    """The distance of inactive classes is beyond the smallest subnormal number of float64, and no power of two."""
    assert np.exp(FAR) == 0.0
    assert np.frexp(-FAR)[0] != 0.5


def test_gaussian_numbers_are_those_that_would_be_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few of them are."""
    whole = Stream("x").gaussian((5, 7))
    monkeypatch.setattr("xentcheck.cases.randomness.AT_ONCE", 4)
    np.testing.assert_array_equal(Stream("x").gaussian((5, 7)), whole)
