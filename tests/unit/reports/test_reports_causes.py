"""Causes of a run: each failure has one, what its failures share and no agreement has is told, codes are explained."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from samples import record, run

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cli.commands.rule import rule as command
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.suspects import SOURCES
from xentcheck.errors import CaseError
from xentcheck.museum import along as along_museum
from xentcheck.museum import heads
from xentcheck.museum import numpy as numpy_museum
from xentcheck.records.record import Record
from xentcheck.records.rules import rule, rules
from xentcheck.reports.analysis.causes.found import LABELS_ALONE, UNEXAMINED, UNKNOWN, causes_of
from xentcheck.reports.analysis.causes.shared import Agreements
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.reports.analysis.causes.traits import size_of, traits_of
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.formats.markdown import FAILING, PASSING, markdown
from xentcheck.reports.formats.terminal import WIDTH, others, shown, told
from xentcheck.reports.formats.write import to_json
from xentcheck.vocabulary import UNSURE

ROWS = "B20: off by the factor valid/N = 3/5: divides by all rows"
OTHER = "B24: twice the right result"


def failure(case: str, *suspects: str, **changes: object) -> Record:
    common = {"outcome": "disagree", "quantity": "cost", "share": 3.0}
    return record(case=case, suspects=suspects, **{**common, **changes})


def agreement(case: str, **changes: object) -> Record:
    return record(case=case, outcome="agree", **{"quantity": "cost", **changes})


def case(options: str = "plain", reduction: str = "mean", shape: str = "5x10", target: str = "index") -> str:
    return f"gaussian.{shape}.f32.{target}.{options}.{reduction}.up-one.contig.s0"


def test_each_failure_has_one_cause_that_of_most_first() -> None:
    """A failure that two mistakes explain has that of most of the others; what is unknown comes last."""
    failing = [
        failure(case("ign", shape="64x10"), ROWS),
        failure(case("ign"), ROWS.replace("3/5", "2/5"), OTHER),
        failure(case("w"), OTHER),
        *(failure(case(shape=f"{n}x3"), UNSURE, elements=1) for n in (3, 4)),
        failure(case(shape="9x3"), quantity="hvp", failing=3),
        failure(case("ls"), outcome="error", reason="ValueError: no"),
    ]
    found = causes_of(Agreements(), failing)
    assert [(c.code, len(c.records)) for c in found] == [("B20", 2), ("B24", 1), ("", 1), ("", 2), ("", 1)]
    assert [c.sentence for c in found] == [
        "divides by all rows",
        "twice the right result",
        "error: ValueError: no",
        UNKNOWN,
        UNEXAMINED,
    ]
    assert found[0].smallest.case == case("ign")
    assert sum(len(c.records) for c in found) == len(failing)
    assert found[0].mend == rule("B20").mend


@pytest.mark.parametrize(
    ("outcome", "raised", "advised"),
    [
        ("error", "AssertionError", True),
        ("error", "ValueError", True),
        ("error", "IndexError", False),
        ("timeout", "ValueError", False),
    ],
)
def test_who_may_have_meant_a_refusal_is_told_how_to_refuse(outcome: str, raised: str, advised: bool) -> None:
    """Where a function raises what refusals are made of; a crash, and an exception of another kind, are none."""
    (cause,) = causes_of(
        Agreements(), [failure(case("ls"), outcome=outcome, raised=raised, reason=f"{raised}: below 1")]
    )
    assert ("NotImplementedError" in cause.advice) == advised
    assert any("mend" in line for line in told(cause, 1, 1)) == advised
    assert "xentcheck rule" not in cause.advice


@pytest.mark.parametrize("suspect", [OTHER, UNSURE])
@pytest.mark.parametrize(("target", "advised"), [("prob", True), ("hot", True), ("index", False)])
def test_who_may_take_labels_alone_is_told_how_to_say_so(suspect: str, target: str, advised: bool) -> None:
    """Where all failures have rows of probabilities, and no agreement has."""
    failing = [failure(case(reduction=r, target=target), suspect) for r in ("mean", "sum")]
    agreeing = agreement(case("w" if target == "index" else "plain"))
    (cause,) = causes_of(Agreements([agreeing]), failing)
    assert (LABELS_ALONE in cause.mend) == advised
    (cause,) = causes_of(Agreements([agreeing, agreement(case("w", target="prob"))]), failing)
    assert LABELS_ALONE not in cause.mend  # some of them agree


def test_a_mistake_that_explains_little_does_not_come_before_what_is_unknown() -> None:
    """One or two failures beside three may be explained by chance; as many as are unknown is no chance."""
    unknown = [failure(case(shape=f"{n}x3"), UNSURE) for n in range(3, 6)]
    for n, codes in ((1, ["", "B24"]), (2, ["", "B24"]), (3, ["B24", ""])):
        beside = [failure(case(), OTHER) for _ in range(n)]
        assert [c.code for c in causes_of(Agreements(), [*unknown, *beside])] == codes


def test_what_is_in_all_failures_and_in_no_agreement_is_told() -> None:
    """As few words as do; alternatives where each failure has one of two; a size where just the larger ones fail."""
    agreeing = [
        agreement(case(o, r)) for o in ("plain", "w", "ls", "ign") for r in ("mean", "sum") if (o, r) != ("ign", "mean")
    ]

    def only(failing: list[Record], agreeing: list[Record] = agreeing) -> str:
        return causes_of(Agreements(agreeing), failing)[0].only

    assert only([failure(case("ign"), ROWS)]) == "only with ignored rows, reduction mean"
    either = [a for a in agreeing if a.case != case("w")]
    assert only([failure(case("ign"), ROWS), failure(case("w"), ROWS)], either) == (
        "only with reduction mean, class weights or ignored rows"
    )
    small = [agreement(case(shape="5x10")), agreement(case(shape="7x99"))]
    assert only([failure(case(shape="5x1003"), ROWS)], small) == "only with 1003 classes and more"
    assert only([failure(case(reduction=r), ROWS) for r in ("mean", "sum")]) == ""
    assert only([failure(case(target="hot"), ROWS)]) == "only with rows of probabilities"  # of two words the last
    assert only([failure(case("ign"), ROWS)], []) == "in everything that was asked for"
    assert (
        only([failure(case("ls", "mean"), ROWS)])
        == "all with label smoothing, reduction mean (1 agreement has that, too)"
    )


def test_an_agreement_of_another_quantity_or_implementation_says_nothing() -> None:
    """A gradient that is right does not tell where a value is wrong."""
    failing = [failure(case("ign"), ROWS)]
    others = [agreement(case("ign"), quantity="dC/dz"), agreement(case("ign"), adapter="other"), agreement(case())]
    assert causes_of(Agreements(others), failing)[0].only == "only with ignored rows"


def test_a_code_in_several_wordings_comes_before_one_that_explains_less() -> None:
    """Whatever the count of a single wording: A01 explains two failures, and A04 these two and one more."""
    both = "A01: exp overflows", "A04: the logarithm of a softmax"
    failing = [failure(case(), *both), failure(case("w"), *both), failure(case("ls"), "A04: epsilon is added")]
    assert [(c.code, len(c.records)) for c in causes_of(Agreements(), failing)] == [("A04", 2), ("A04", 1)]
    assert [c.code for c in causes_of(Agreements(), failing[:2])] == ["A01"]


def test_means_of_parts_lose_ties() -> None:
    """Whichever is named first; they win where they explain one failure more."""
    case, parts = "gaussian.64x10.f32.index.plain.mean.up-one.contig.s{}", "B22: 8 chunks: the mean of their means"
    for both in ((parts, OTHER), (OTHER, parts)):
        tied = [failure(case.format(i), *both) for i in range(3)]
        for failing, code in ((tied, "B24"), ([*tied, failure(case.format(3), parts)], "B22")):
            assert f"[{code}]" in suspicion(failing)
            assert causes_of(Agreements(), failing)[0].code == code


def test_traits_are_read_from_ids() -> None:
    """Of options, target, reduction, layout, upstream, layers and axes; of handed arrays the dtype alone."""
    found = traits_of(record(case="deep.3x7x2.f32.prob.wn+lsh.none.up-rand.trans+twice.s0", dtype="float32"))
    assert found == {
        "dtype float32",
        "values deep",
        "rows of probabilities",
        "class weights",
        "label smoothing",
        "reduction none",
        "an upstream gradient per row",
        "transposed logits",
        "a second backward",
        "more than two axes",
    }
    assert "a layer before" in traits_of(record(case="gaussian.5x10k4.f32.index.plain.mean.up-one.contig.s0"))
    assert "a single unbatched row" in traits_of(record(case="gaussian.10.f32.index.plain.mean.up-one.contig.s0"))
    assert traits_of(record(case="handed", dtype="float16")) == {"dtype float16"}
    assert size_of(record(case="deep.3x7x2.f32.prob.wn.none.up-rand.trans.s0")) == (7, 6)
    assert size_of(record(case="handed")) == (0, 0)


def test_a_cause_fits_80_columns_but_for_its_command() -> None:
    """Labelled lines: where, the smallest case, what is wrong, the mend."""
    r = failure(
        case("ign"), ROWS, index=(0, 1), got="0x1p-1", expected="0x1p-2", bound="0x1p-20", replay="xentcheck replay"
    )
    (cause,) = causes_of(Agreements([agreement(case("w"))]), [r])
    *lines, command_line = told(cause, 1, 1)
    labels = [line.split()[0] for line in (*lines, command_line) if line[3:4] != " "]
    assert labels == ["1.", "where", "case", "wrong", "mend", "again"]
    assert max(map(len, lines)) <= WIDTH
    assert command_line == "   again xentcheck replay"


def test_report_md_is_short_whatever_fails() -> None:
    """At most 4,000 bytes for a pass and 16,000 for any failure; what is left out is counted: alone has 400 causes."""
    assert len(markdown(run(agreement(case()))).encode()) <= PASSING
    texts = [f"X{n:02}: {chr(65 + n % 26) * 300} {chr(97 + n // 26)} é" * 3 for n in range(400)]
    many = [failure(case(shape=f"{n}x3"), t, adapter=f"a{n}", replay="x" * 5000) for n, t in enumerate(texts)]
    text = markdown(run(*many))
    assert len(text.encode()) <= FAILING
    assert re.search(r"\.\.\. and \d+ more lines of causes in report.html and in the run file\.", text)


def test_every_code_that_is_named_has_a_rule() -> None:
    """Those of the causes, of the patterns and of the museum up to G, whose trackers are where they were met."""
    named = set()
    for text in (
        "gaussian.5x10.f32.index.w+ls+ign.mean.up-neg.trans.s0",
        "gaussian.7x9.f32.signed.w+ls.none.up-rand.contig.s0",
    ):
        c = Counterfactual.of(build(Case.parse(text)))
        named |= {code for source in SOURCES for code, _, _ in source(c)}
    sources = ("A01", "A04", "A05", "A09", "A10", "A11", "B26", "C32", "E51", "E59", "F74", "F78", "G94")
    assert named | set(sources) <= set(rules())
    museum = [f for f in (*numpy_museum.FAULTS, *heads.FAULTS, *along_museum.FAULTS) if f.name < "H"]
    own = {code for f in museum for code in re.findall("[A-G][0-9]{2}", f.name.partition("-")[0])}
    assert own - set(rules()) <= {"C38", "F77", "F80"}  # named by another code, or by none
    met = {f.issue for f in museum} | {
        "optax#1792",
        "jax#17117",
        "Paddle#74070",
    }  # and three that have no fault of their own
    for found in rules().values():
        assert set(found.seen) <= met, found.code
        assert all((found.title, found.what, found.looks, found.mend))


def test_a_code_is_explained_by_the_command() -> None:
    """One, all, and none that there is not."""
    one = CliRunner().invoke(command, ["b20"], standalone_mode=False)
    assert one.output.splitlines()[0] == "B20: the mean divides by all rows, or by another count"
    assert max(map(len, one.output.splitlines())) <= 80
    listed = CliRunner().invoke(command, [], standalone_mode=False).output.splitlines()
    assert [line[:3] for line in listed[: listed.index("")]] == list(rules())
    with pytest.raises(CaseError, match="unknown code 'Z99'; allowed: A01"):
        rule("Z99")


def test_json_holds_the_causes() -> None:
    """Code, how many, what they have in common, the smallest case with its command, the mend; none for a pass."""
    failing = [failure(case(shape=shape), "B20: divides by all rows", replay=shape) for shape in ("9x9", "2x3")]
    (cause,) = json.loads(to_json(run(*failing)))["causes"]
    assert (cause["code"], cause["sentence"], cause["failures"]) == ("B20", "divides by all rows", 2)
    assert cause["smallest"]["case"] == case(shape="2x3")
    assert cause["smallest"]["replay"] == "2x3"
    assert cause["mend"] == rule("B20").mend
    assert cause["only"]
    assert json.loads(to_json(run(agreement(case()))))["causes"] == []


def test_what_explains_few_single_numbers_does_so_by_chance() -> None:
    """One cost of five is no cause; three of five are, and one is if it explains a gradient of several rows as well."""
    known, none = ("A12: 2^z in the place of exp(z)",), (UNSURE,)

    def named(*suspects: tuple[str, ...], gradients: int = 0) -> set[str]:
        found = [record(outcome="disagree", quantity="cost", elements=1, suspects=s) for s in suspects]
        found += [record(outcome="disagree", quantity="dC/dz", elements=50, suspects=known)] * gradients
        assert ("A12" in suspicion(found)) == any(cause.code for cause in causes_of(Agreements(found), found))
        return {cause.code for cause in causes_of(Agreements(found), found)}

    assert named(known, none, none, none, none) == {""}
    assert named(known, known, known, none, none) == {"A12", ""}
    assert named(known, none, none, none, gradients=3) == {"A12", ""}


def test_what_was_read_off_one_case_is_told_of_the_smallest() -> None:
    """Each case has its own numbers; those of the case that is shown stand beside what all have in common."""
    common = "each row of the gradient has a factor of its own"
    failing = [failure(case(shape=f"{n}x3"), f"B27: by {n}.5, 2: {common}", elements=9) for n in (4, 3, 5)]
    (found,) = causes_of(Agreements(), failing)
    assert found.sentence == f"{common} (here by 3.5, 2)"
    (alone,) = causes_of(Agreements(), failing[:1])
    assert alone.sentence == f"by 4.5, 2: {common}"


@pytest.mark.parametrize(("unknown", "first"), [(4, ""), (2, "B24")])
def test_what_fits_fewer_gradients_than_nothing_does_is_not_told_first(unknown: int, first: str) -> None:
    """Of results of several elements, more are unknown than explained; single numbers do not count."""
    failing = [failure(case(shape=f"{n}x3"), OTHER, quantity="dC/dz", elements=3 * n) for n in (3, 4, 5)]
    failing += [failure(case(shape=f"{n}x7"), UNSURE, quantity="dC/dz", elements=7 * n) for n in range(3, 3 + unknown)]
    failing += [failure(case(shape=f"{n}x9"), UNSURE, elements=1) for n in (3, 4)]
    assert causes_of(Agreements(), failing)[0].code == first
    assert suspicion(failing).startswith("suspected" if first else "cause unknown")


def test_one_mistake_with_another_number_in_each_case_is_one_kind() -> None:
    """Chunks of two and of three rows, margins of 0.1 and 0.3; from which number to which is told."""
    chunks = [f"B22: chunks of {n} rows: the mean over the chunks of their means" for n in (2, 3, 4)]
    found = [record(outcome="disagree", elements=9, suspects=(text,)) for text in chunks]
    sentence = "the mean over the chunks of their means [B22], which explains 3 of 3 failures examined"
    assert suspicion(found) == f"suspected: {sentence}"
    margins = [record(outcome="disagree", elements=9, suspects=(f"A12: a margin, m = {m}",)) for m in (0.1, 0.3, 0.2)]
    assert suspicion(margins) == "suspected: a margin, m = 0.1 to 0.3 [A12], which explains 3 of 3 failures examined"
    assert [cause.sentence for cause in causes_of(Agreements(), margins)] == ["a margin, m = 0.1 to 0.3"]
    single = [record(outcome="disagree", elements=1, suspects=(f"A12: a margin, m = {m}",)) for m in (0.1, 0.3, 0.2)]
    assert suspicion(single).startswith("cause unknown")


def test_a_cause_of_fewer_than_a_quarter_is_none_of_the_run() -> None:
    """Five mistakes that explain one failure each; two that explain half."""
    each = [record(outcome="disagree", elements=9, suspects=(f"A1{n}: mistake {'x' * n}",)) for n in range(5)]
    assert suspicion(each).startswith("cause unknown")
    assert suspicion([*each[:2], *each[:2]]).startswith("suspected")


def test_several_forms_of_one_code_have_its_title() -> None:
    """Where no form explains most of what the code explains."""
    forms = ["the first logit is subtracted", "the mean is subtracted", "the last logit is subtracted"]
    found = [record(outcome="disagree", elements=9, suspects=(f"A01: {text}",)) for text in forms]
    assert suspicion(found) == f"suspected: {rule('A01').title} [A01], which explains 3 of 3 failures examined"
    assert "the mean is subtracted" in suspicion([*found, *[found[1]] * 3])


def test_a_mistake_is_weighed_in_the_quantities_that_it_explains() -> None:
    """All losses and no gradient: what autograd makes of a mistake may have no name; of half the losses it is none."""
    losses = [record(outcome="disagree", quantity="loss", elements=9, suspects=("A13: not rescaled",))] * 3
    gradients = [record(outcome="disagree", quantity="dC/dz", elements=50, suspects=(UNSURE,))] * 4
    assert suspicion([*losses, *gradients]).startswith("suspected: not rescaled [A13]")
    others = [record(outcome="disagree", quantity="loss", elements=9, suspects=(UNSURE,))] * 4
    assert suspicion([*losses, *others]).startswith("cause unknown")


def test_the_terminal_tells_no_cause_of_few_failures_beside_that_of_most() -> None:
    """One mistake looks like others in a case here and there; what is no mistake that is known is always told."""
    by = [("A12: a temperature",)] * 99 + [("A10: few bits",)]
    found = [record(outcome="disagree", elements=9, suspects=s, case=f"c{i}") for i, s in enumerate(by)]
    error = record(outcome="error", raised="ValueError", check="raises", case="e")

    def codes(*failing: Record) -> list[str]:
        return [cause.code for cause in shown(summarize(run(*failing)).causes)]

    assert codes(*found) == ["A12"]
    assert others(summarize(run(*found)).causes) == "... and 1 more cause of 1 failure"
    assert codes(*found, error) == ["A12", ""]
    assert codes(*found[-20:]) == ["A12", "A10"]
    assert others(summarize(run(*found[-20:])).causes) == ""


def test_broken_laws_leave_the_causes_on_the_first_screen() -> None:
    """One mistake breaks many laws; what is beyond three of them comes after the causes."""
    laws = tuple(f"torch breaks the law no. {i}" for i in range(9))
    found = run(failure(case(), "B20: divides by all rows"), failures=laws)
    text = markdown(found)
    assert text.index("no. 2") < text.index("divides by all rows") < text.index("no. 3") < text.index("no. 8")
