"""Large problems: blocks of rows are judged as the whole would be, and a fault in one element has its index."""

from __future__ import annotations

import gc
import io
import json
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from rich.console import Console

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.profiles.reserved import tiny_cases
from xentcheck.cli.main import cli
from xentcheck.errors import CaseError, XentcheckError
from xentcheck.judging.verdict import Judgement
from xentcheck.records.record import Record
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject
from xentcheck.running.tasks import Finished, run_task
from xentcheck.studies.large.blocks import Block, blocks_of, large_cases, takers, together
from xentcheck.studies.large.merging import Part, merged
from xentcheck.studies.large.pace import pace

WHOLE = Case.parse("gaussian.50x300.f32.index.ign.none.up-one.contig.s0")
NUMPY = Subject(adapters.get("numpy"), "eager", "cpu", "--adapter numpy")


class Faulty(NumpyAdapter):
    """One element of dC/dz is doubled, in the block of a seed."""

    def __init__(self, case: Case, row: int, label: int) -> None:
        super().__init__()
        self.logits, self.at = build(case).logits, (row, label)

    def compute(self, problem: Problem, quantities: Any, **place: str) -> Result:
        values = {q: np.array(x) for q, x in super().compute(problem, quantities, **place).values.items()}
        if np.array_equal(np.asarray(problem.logits), np.asarray(self.logits)):
            values["dC/dz"][self.at] *= 2
        return Result(values)


def records_of(subject: Subject, whole: Case = WHOLE, rows: int = 7, **asked: Any) -> list[Record]:
    """What is found of a large case in blocks of so many rows."""
    blocks = blocks_of(whole, rows)
    done = together(blocks, (run_task(block, [subject]) for block in blocks), lambda elements: None, **asked)
    return [record for finished in done for record in finished.records]


def drawn(whole: Case = WHOLE, rows: int = 7) -> tuple[Any, Any]:
    """Logits and target of all blocks."""
    problems = [build(block.case) for block in blocks_of(whole, rows)]
    return np.concatenate([p.logits for p in problems]), np.concatenate([p.target for p in problems])


def exact(z: Any, y: Any, **options: Any) -> dict[str, Any]:
    """The exact results, rounded once."""
    p = Problem(logits=z.copy(), target=y, **options)
    quantities = [q for q in p.quantities if q not in ("a", "log_a")]
    return {q: np.asarray(pair[0], z.dtype) for q, pair in Exact(p).evaluate(quantities).items()}


SAME = (
    "outcome",
    "share",
    "ulp",
    "farthest",
    "index",
    "got",
    "expected",
    "bound",
    "elements",
    "applicable",
    "rejected",
)
COUNTED = ("ulp_counts", "share_counts", "failing")


def test_blocks_are_judged_as_the_whole_is() -> None:
    """50 x 300 in blocks of 7 rows: the same worst element, counts and power as of one array of all of them."""
    z, y = drawn()
    options = {"reduction": "none", "upstream": np.ones(50, np.float32)}
    values = exact(z, y, **options)
    values["dC/dz"] *= np.float32(1 + 2**-22)
    whole = xentcheck.check_large(logits=z, target=y, results=values, reduction="none")
    starts = range(0, 50, 7)
    parts = [(z[k : k + 7], y[k : k + 7], {q: x[k : k + 7] for q, x in values.items()}) for k in starts]
    blocks = xentcheck.check_large(blocks=parts, rows=50, reduction="none")
    assert whole.ok
    assert blocks.ok
    for one, other in zip(whole.records, blocks.records, strict=True):
        assert one.elements == (50 if one.quantity == "loss" else 50 * 300)
        for field in (*SAME, *COUNTED):
            if field not in ("applicable", "rejected") or one.quantity == "dC/dz":
                assert getattr(one, field) == getattr(other, field), field
        assert one.blind_fraction == pytest.approx(other.blind_fraction)


def test_calls_arrays_and_blocks_agree(tmp_path: Path) -> None:
    """An implementation that is called, files that are mapped, and a generator: equal but for names and places."""
    called = {r.quantity: r for r in records_of(NUMPY)}
    z, y = drawn()
    p = Problem(logits=z, target=y, reduction="none", upstream=np.ones(50, np.float32))
    values = NUMPY.adapter.compute(p, ("loss", "dC/dz"), device="cpu", variant="eager").values
    for name, array in {"z": z, "y": y, **{q.replace("/", ""): x for q, x in values.items()}}.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("z", "y", "loss", "dCdz")}
    results = {"loss": mapped["loss"], "dC/dz": mapped["dCdz"]}
    contract = NUMPY.adapter.contract_for("cpu", "float32", "dC/dz")
    found = xentcheck.check_large(
        logits=mapped["z"], target=mapped["y"], results=results, reduction="none", contract=contract
    )
    for r in found.records:
        for field in ("outcome", "index", "got", "expected", "elements", "ulp_counts"):
            assert getattr(r, field) == getattr(called[r.quantity], field), field


def test_bfloat16_is_read_as_numpy_has_saved_it(tmp_path: Path) -> None:
    """As two bytes without a meaning; the result is wrong in one element, and that is found."""
    z, y = drawn(Case.parse("gaussian.50x300.bf16.index.plain.mean.up-one.contig.s0"))
    right = exact(z, y)
    right["dC/dz"][31, 299] *= 2
    for name, array in {"z": z, "g": right["dC/dz"]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    z, g = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "zg")
    assert z.dtype == np.dtype("V2")
    cost, gradient = xentcheck.check_large(
        logits=z, target=y, results={"cost": right["cost"], "dC/dz": g}, contract="fused"
    ).records
    assert (cost.outcome, gradient.outcome) == ("agree", "disagree")
    assert (gradient.index, gradient.failing, gradient.dtype) == ((31, 299), 1, "bfloat16")


def test_one_wrong_element_is_named_with_its_row_and_the_line_that_replays_its_block() -> None:
    """In the last block, which is shorter, as in any other; what is right around it stays right."""
    for block in (blocks_of(WHOLE, 7)[3], blocks_of(WHOLE, 7)[-1]):
        subject = replace(NUMPY, adapter=Faulty(block.case, 0, 123))
        found = {r.quantity: r for r in records_of(subject)}
        wrong = found["dC/dz"]
        assert (wrong.outcome, wrong.index, wrong.failing) == ("disagree", (block.first, 123), 1)
        assert wrong.reason == "1 of 15000 elements exceed their bound"
        assert wrong.case == str(WHOLE)
        assert wrong.notes == ("judged in blocks of up to 7 rows, each a problem of its own",)
        assert wrong.replay == f"xentcheck replay {block.case} --adapter numpy --device cpu --variant eager"
        assert found["loss"].outcome == "agree"
        (again,) = (r for r in run_case(block.case, [subject]) if r.quantity == "dC/dz")
        assert (again.outcome, again.share, again.index) == ("disagree", wrong.share, (0, 123))


def test_stop_ends_with_the_first_block_that_fails() -> None:
    """What comes after it is not called."""
    block = blocks_of(WHOLE, 7)[2]
    found = records_of(replace(NUMPY, adapter=Faulty(block.case, 0, 5)), stop=True)
    assert {r.elements for r in found if r.quantity == "dC/dz"} == {21 * 300}


@pytest.mark.parametrize(("dtypes", "seed"), [(["bfloat16"], 0), (["float64", "bfloat16"], 5), (["float32"], 3)])
def test_an_id_names_dtype_and_seed_itself(dtypes: list[str], seed: int) -> None:
    """Others that are asked for beside it are refused, not overlooked; the same ones are not."""
    whole = replace(WHOLE, seed=5)
    assert large_cases(str(whole)) == large_cases(str(whole), ["float32"], 5) == [whole]
    with pytest.raises(CaseError, match=f"^case {re.escape(str(whole))} is of "):
        large_cases(str(whole), dtypes, seed)


def test_each_block_has_a_seed_of_its_own() -> None:
    """Also those of two draws of one case, and all rows are there once."""
    blocks = [block for seed in (0, 1) for block in blocks_of(replace(WHOLE, seed=seed), 7)]
    assert len({block.case.seed for block in blocks}) == len(blocks) == 16
    assert [block.first for block in blocks[:8]] == list(range(0, 50, 7))
    assert sum(block.rows for block in blocks) == 100


PLAIN = Record(
    adapter="a", variant="v", device="cpu", dtype="float32", quantity="dC/dz", case="c", group="g", contract="fused",
    outcome="agree", elements=6, share=0.5, applicable=("zero",), rejected=("zero",), index=(1, 2), blind_fraction=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("others", "outcome"),
    [
        ({}, "agree"),
        ({"outcome": "vacuous", "rejected": ()}, "agree"),
        ({"outcome": "disagree", "failing": 2, "share": 9.0}, "disagree"),
        ({"outcome": "error", "elements": 0, "share": None, "reason": "ValueError: no"}, "error"),
        ({"outcome": "crash", "elements": 0, "share": None, "index": ()}, "crash"),
        ({"outcome": "unsupported", "elements": 0, "share": None}, "unsupported"),
        ({"outcome": "convention", "elements": 0, "share": None, "rejected": (), "applicable": ()}, "agree"),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_block(others: dict[str, Any], outcome: str) -> None:
    """But zeros that pass in one block may be rejected by another."""
    found = merged("whole", [Part(0, 2, PLAIN), Part(2, 2, replace(PLAIN, **others)), Part(4, 2, PLAIN)])
    assert (found.outcome, found.failing) == (outcome, others.get("failing", 0))
    assert found.elements == 12 + others.get("elements", 6)


def test_where_zeros_pass_in_all_blocks_nothing_is_proven() -> None:
    """Nor where zero is right in all of them."""
    blind = replace(PLAIN, outcome="vacuous", rejected=(), blind_fraction=1.0)
    assert merged("whole", [Part(0, 2, blind), Part(2, 2, blind)]).outcome == "vacuous"
    trivial = replace(blind, outcome="trivial", applicable=())
    assert merged("whole", [Part(0, 2, trivial), Part(2, 2, trivial)]).outcome == "trivial"


def test_the_mean_of_arrays_is_that_of_all_rows() -> None:
    """With weights and ignored rows: the gradient of a block by itself is divided by too little, and refused."""
    z, y = drawn()
    weight = np.linspace(0.5, 2, 300, dtype=np.float32)
    right = exact(z, y, weight=weight)
    whole = xentcheck.check_large(logits=z, target=y, results=right, weight=weight)
    assert whole.ok
    assert [r.outcome for r in whole.records] == ["agree", "agree"]
    part = exact(z[:7], y[:7], weight=weight)["dC/dz"]
    right["dC/dz"][:7] = part
    wrong = xentcheck.check_large(logits=z, target=y, results=right, weight=weight)
    assert [r.outcome for r in wrong.records] == ["agree", "disagree"]
    right["cost"] = right["cost"] * np.float32(1.001)
    assert xentcheck.check_large(logits=z, target=y, results={"cost": right["cost"]}, weight=weight).ok is False


def some(rows: tuple[int, ...] = (7, 7), **changes: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Right blocks, the last of them changed."""
    for k, n in enumerate(rows):
        z = np.random.default_rng(k).normal(size=(n, 30)).astype(np.float32)
        block = {"logits": z, "target": np.arange(n), "results": exact(z, np.arange(n))}
        yield tuple((block | (changes if k == len(rows) - 1 else {})).values())  # type: ignore[misc]  # three of them


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "nothing to judge, or too much; allowed: one of an implementation and a case; blocks; logits, .*"),
    "a case without an implementation": ({"case": "5x3"}, "nothing to judge, or too much; .*"),
    "two ways": ({"blocks": [], "logits": np.zeros((1, 2))}, "nothing to judge, or too much; .*"),
    "a reduction beside a case": (
        {"implementation": "numpy", "case": "5x3", "reduction": "sum"},
        "reduction makes no difference beside case; allowed: case, implementation, .*",
    ),
    "a weight beside a case": (
        {"implementation": "numpy", "case": "5x3", "weight": np.ones(3)},
        "weight makes no difference beside case; .*",
    ),
    "dtypes beside blocks": ({"blocks": some(), "dtypes": ["float16"]}, "dtypes makes no difference beside blocks; .*"),
    "results beside blocks": ({"blocks": some(), "results": {"cost": 1.0}}, "results makes no difference beside .*"),
    "rows beside arrays": (
        {"logits": np.zeros((2, 3)), "target": [0, 1], "results": {"cost": 1.0}, "rows": 3},
        "rows makes no difference beside logits; allowed: logits, target, results, .*",
    ),
    "no dtypes": ({"implementation": "numpy", "case": "5x3", "dtypes": []}, "dtypes is empty; allowed: .*"),
    "another dtype": ({"implementation": "numpy", "case": "5x3", "dtypes": "int8"}, "dtype 'int8' is not judged; .*"),
    "no devices": ({"implementation": "numpy", "case": "5x3", "devices": []}, "devices is empty; allowed: cpu, .*"),
    "another device": ({"implementation": "numpy", "case": "5x3", "devices": "tpu"}, "adapter numpy has no device .*"),
    "no seed": ({"implementation": "numpy", "case": "5x3", "seed": "1"}, "seed is '1'; allowed: a whole number from 0"),
    "no text": ({"implementation": "numpy", "case": (5, 3)}, "case is of type tuple; allowed: ROWSxCLASSES, .*"),
    "deviations that are no file": (
        {"implementation": "numpy", "case": "5x3", "deviations": 7},
        "deviations is of type int; allowed: a TOML file",
    ),
    "deviations without a name": (
        {"implementation": "numpy", "case": "5x3", "deviations": ""},
        "deviations is '', which names nothing; allowed: a TOML file",
    ),
    "no size": ({"implementation": "numpy", "case": "5by3"}, "'5by3' is no large problem; allowed: ROWSxCLASSES, .*"),
    "a layer": (
        {"implementation": "numpy", "case": "gaussian.5x3k4.f32.index.plain.mean.up-one.contig.s0"},
        "case .* has no rows of logits to take apart; allowed: the shape ROWSxCLASSES",
    ),
    "a row beyond memory": ({"implementation": "numpy", "case": "5x99999999"}, "case .* has 99999999 classes; .*"),
    "rows for a year": ({"implementation": "numpy", "case": f"{10**17}x3"}, "case .* has 1000.* rows; allowed: .*"),
    "no iterable": ({"blocks": 5}, "blocks are of type int; allowed: an iterable of blocks"),
    "a block of two": ({"blocks": [(1, 2)]}, r"block 0 is of 2 parts; allowed: \(logits, target, results\)"),
    "no block": ({"blocks": [None]}, r"block 0 is of type NoneType; allowed: \(logits, target, results\)"),
    "rows in words": ({"blocks": some(), "rows": "14"}, "rows is '14'; allowed: a whole number from 1"),
    "less than no row": ({"blocks": some(), "rows": -1}, "rows is -1; allowed: a whole number from 1"),
    "an early end": ({"blocks": some(), "rows": 20}, "the blocks have 14 rows; allowed: 20, as was announced"),
    "other classes": (
        {"blocks": some(logits=np.zeros((7, 29), np.float32), results={"cost": np.float32(0)})},
        "block 1 has float32 of 29 classes with cost; allowed: float32 of 30 classes with cost, dC/dz, as block 0",
    ),
    "one row": ({"blocks": some(logits=np.zeros(30, np.float32))}, r"block 1: logits have shape \(30,\); .*"),
    "a label": ({"blocks": some(target=np.arange(7) + 25)}, r"block 1: target\[5\] is 30; allowed: 0 to 29, .*"),
    "an unknown result": ({"blocks": some(results={"loss": 1})}, "block 1: results have 'loss'; allowed: .*mean"),
    "no results": ({"blocks": some(results={})}, "block 1: results are empty; allowed: a dict of array by .*"),
    "no dict": ({"logits": np.zeros((2, 3)), "target": [0, 1], "results": 5}, "results are of type int; .*"),
    "rows of probabilities": (
        {"logits": np.ones((2, 3)), "target": np.ones((2, 3)), "results": {}},
        "target has rows of probabilities; allowed: class indices, or blocks of both",
    ),
    "a smoothed cost": (
        {"logits": np.ones((2, 3)), "target": [0, 1], "results": {"cost": 1.0}, "label_smoothing": 0.1},
        "the cost of smoothed labels needs all rows at once; .*",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_line(name: str) -> None:
    """Which block it is, what is wrong with it, and what is allowed."""
    given, line = WRONG[name]
    with pytest.raises(XentcheckError, match=f"^{line}$"):
        xentcheck.check_large(**given)


def test_a_generator_is_right_until_its_last_block_is_wrong() -> None:
    """A wrong shape of a result is a disagreement, as everywhere; no block at all is no agreement."""
    assert xentcheck.check_large(blocks=some(), rows=14).ok
    wrong = xentcheck.check_large(blocks=some(results={"cost": np.zeros(2, np.float32), "dC/dz": np.zeros((7, 29))}))
    assert [r.outcome for r in wrong.records] == ["disagree", "disagree"]
    assert wrong.records[0].reason == "shape (2,), expected ()"
    nothing = xentcheck.check_large(blocks=iter(()))
    assert not nothing.ok
    assert nothing.verdict.reasons == ("no comparison was executed",)


@pytest.mark.parametrize("rows", [(7, 0, 7), (0, 7), (7, 7)])
def test_a_block_that_is_a_convention_takes_nothing_from_the_others(rows: tuple[int, ...]) -> None:
    """One without a row, or whose rows are all ignored: right ones beside it agree, and wrong ones do not."""
    ignored = {"target": np.full(7, -100), "results": {"cost": np.float32(np.nan), "dC/dz": np.zeros((7, 30), "f")}}
    last = {} if 0 in rows else ignored
    found = xentcheck.check_large(blocks=some(rows, **last))
    assert found.ok, found.verdict.explanation()
    assert {r.outcome for r in found.records} == {"agree"}
    assert all(any("convention in 1 of" in note for note in r.notes) for r in found.records)
    wrong = ((z, y, {q: x * np.float32(1.001) for q, x in results.items()}) for z, y, results in some(rows, **last))
    assert {r.outcome for r in xentcheck.check_large(blocks=wrong).records} == {"disagree"}
    alone = xentcheck.check_large(blocks=some((7,), **ignored))
    assert [r.outcome for r in alone.records] == ["convention", "convention"]
    assert not alone.ok


def test_the_arrays_of_the_caller_stay_writable() -> None:
    """A generator may fill one buffer again and again."""
    z, g = np.zeros((7, 30), np.float32), np.zeros((7, 30), np.float32)

    def blocks() -> Iterator[tuple[Any, Any, Any]]:
        for k in range(3):
            z[:] = np.random.default_rng(k).normal(size=z.shape)
            g[:] = exact(z, np.arange(7))["dC/dz"]
            yield z, np.arange(7), {"dC/dz": g}

    assert xentcheck.check_large(blocks=blocks(), rows=21).ok


def test_progress_tells_the_rate_and_the_time_left() -> None:
    """A line each tenth of the way; where nobody knows the end, each time that the number has doubled."""
    for total, lines in ((1000, 10), (None, 10)):
        stream, ticks = io.StringIO(), iter(range(1000))
        with pace(total, Console(file=stream, width=200), lambda: float(next(ticks))) as told:  # noqa: B023 - used here
            for _ in range(1000):
                told(1)
        shown = stream.getvalue().splitlines()
        assert len(shown) == lines
        assert shown[-1].startswith("checking: 1000 of 1000 elements" if total else "checking: 512 elements")
    assert "elements/s" in shown[-1]


def test_a_case_of_any_size_is_a_run_like_any_other() -> None:
    """Its header names it; a block whose process dies is a crash of the whole, which is seen here alone."""
    (whole,) = large_cases("9x40", ["float32"])
    run = xentcheck.check_large("numpy", case="9x40", dtypes=["float32"])
    assert run.ok
    assert run.file.header.selection == (str(whole),)
    assert {r.case for r in run.records} == {str(whole)}
    (block,) = blocks_of(whole)
    lost = Finished(block.signature, tuple(block.lost([NUMPY], "gone")), 0.0)
    (found,) = together([block], [lost], lambda elements: None)
    assert {(r.case, r.outcome, r.reason) for r in found.records} == {(str(whole), "crash", "gone")}


def test_laws_are_asked_of_what_is_called_in_blocks() -> None:
    """As in any run: one gradient buffer for all calls is right in every block."""
    buffers: dict[Any, Any] = {}

    def static(logits: Any, target: Any, upstream: Any = 1.0) -> tuple[Any, Any]:
        gradient = cross_entropy_grad(logits, target, upstream=upstream)
        buffer = buffers.setdefault(gradient.shape, np.empty_like(gradient))
        buffer[...] = gradient
        return cross_entropy(logits, target), buffer

    run = xentcheck.check_large(static, "numpy", case="9x40", dtypes=["float32"])
    assert {r.outcome for r in run.records} == {"agree"}
    assert [law.law for law in run.file.laws if not law.kept] == ["independent"]
    assert not run.ok


def test_every_block_is_taken_by_the_main_variant_alone() -> None:
    """Also one that profiles have for some implementations only; who asks for it misses no row."""
    case = tiny_cases(0)[0]
    assert not NUMPY.takes(case)
    assert len(Block(case, case, 0).run([NUMPY])) == len(quantities_of(case))
    jit, eager = (Subject(adapters.get("jax"), variant, "cpu", "") for variant in ("jit", "eager"))
    assert [s.variant for s in takers([jit, eager])] == ["jit"]


def test_the_command_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 and the verdict as JSON; what narrows a profile is refused: alone this runs the command here."""
    arguments = ["run", "--adapter", "numpy", "--large", "9x40", "--dtype", "bfloat16", "--json"]
    assert cli.main(arguments, standalone_mode=False) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["ok"]
    assert verdict["counts"] == {"agree": 4}
    assert cli.main([*arguments[:-1], "--out", str(tmp_path / "run.jsonl")], standalone_mode=False) == 0
    assert {law.dtype for law in xentcheck.Run.load(tmp_path / "run.jsonl").file.laws} == {"bfloat16"}
    for option in (("--case", "*"), ("--list-cases",), ("--accuracy", "1"), ("--faults",), ("--shard", "1/2")):
        with pytest.raises(click.UsageError, match=r"^--large does not go with --case, "):
            cli.main([*arguments, *option], standalone_mode=False)


def test_a_judge_and_its_arrays_go_without_a_collection_of_garbage() -> None:
    """Else block after block would stay in memory."""
    judge = Judgement(build(WHOLE), ("loss", "dC/dz"), [])
    judge.run()
    gone = weakref.ref(judge)
    gc.disable()
    try:
        del judge
        assert gone() is None
    finally:
        gc.enable()
