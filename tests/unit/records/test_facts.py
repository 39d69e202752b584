"""The facts of a record: each failure has its own, older files get them once, and nobody looks into a sentence."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import house
import numpy as np
import pytest
from samples import NAN, record, run

from xentcheck import adapters
from xentcheck.adapters import from_numpy
from xentcheck.cases import Case
from xentcheck.records.facts import CHECKS, Facts, sentence
from xentcheck.records.file.old import with_facts
from xentcheck.records.findings import LawResult
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of

LABELS = Case.parse("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0")


def outcomes_of(function: Callable[..., Any], **declared: Any) -> list[Record]:
    """What a function of NumPy gets."""
    return run_case(LABELS, subjects_of(from_numpy(function, **declared), ["cpu"], ""))


def raises(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """No loss."""
    raise LookupError("3: no such class")


def one_axis_more(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """A value of another shape, and a gradient of another dtype."""
    return np.zeros((1,), np.float32), np.zeros((5, 10), np.float16)


def overwrites(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """Labels that are gone after the call."""
    target[:] = 0
    return np.float32(0), np.zeros((5, 10), np.float32)


def zeros(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """Zeros."""
    return np.float32(0), np.zeros((5, 10), np.float32)


FACTS: dict[str, tuple[Callable[..., Any], dict[str, Facts]]] = {
    "raises": (raises, dict.fromkeys(("cost", "dC/dz"), Facts(check="raises", raised="LookupError"))),
    "form": (
        one_axis_more,
        {
            "cost": Facts(check="shape", form=("(1,)", "()")),
            "dC/dz": Facts(check="dtype", form=("float16", "float32")),
        },
    ),
    "inputs": (overwrites, dict.fromkeys(("cost", "dC/dz"), Facts(check="inputs", changed=("target",)))),
    "bound": (
        zeros,
        {"cost": Facts(check="bound of cost", failing=1), "dC/dz": Facts(check="bound of dC/dz", failing=50)},
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_each_failure_has_its_facts(name: str) -> None:
    """As fields, and the sentence is made of them; the same facts are read from the sentence of an older file."""
    function, expected = FACTS[name]
    found = {r.quantity: r for r in outcomes_of(function)}
    assert {q: Facts(**r.given()) for q, r in found.items()} == expected
    for r in found.values():
        told = "LookupError: 3: no such class" if name == "raises" else ""
        assert r.reason == sentence(r, r.outcome, r.quantity, elements=r.elements, told=told)
        old = {"outcome": r.outcome, "reason": r.reason, "quantity": r.quantity}
        assert Record.from_json({**record().to_json(), **with_facts(old)}).given() == r.given()


OLD: dict[str, tuple[str, Facts]] = {
    "the implementation returned no cost": ("error", Facts(check="present")),
    "OracleError: no value: none": ("error", Facts(check="raises", raised="OracleError")),
    "not called: it has answered none of 5 calls": ("timeout", Facts(check="raises", not_called=True)),
    "the process ended with exit code 1": ("crash", Facts(check="raises")),
    "the call changed its input target, beside_logits": (
        "disagree",
        Facts(check="inputs", changed=("target", "beside_logits")),
    ),
    "all-ignored: nan and 0": ("convention", Facts(convention="all-ignored", returned="nan and 0")),
    "one backward only, which raises RuntimeError: a, which raises b": (
        "unsupported",
        Facts(lacks=("one backward only",), refused="RuntimeError: a, which raises b"),
    ),
    "head network": ("unsupported", Facts(lacks=("head", "network"))),
    "only on Tuesdays": ("unsupported", Facts(lacks=("only on Tuesdays",))),
    "known, and mended in 2.1": ("deviation", Facts()),
    "a result of zeros would pass as well": ("vacuous", Facts()),
}


@pytest.mark.parametrize("schema", [1, 2])
def test_older_run_files_get_their_facts_from_the_sentence(schema: int, tmp_path: Path) -> None:
    """Each kind of sentence that they hold; a file of this schema has its facts, whatever its sentences say."""
    without = [record(quantity="cost", outcome=outcome, reason=text) for text, (outcome, _) in OLD.items()]
    path = tmp_path / "run.jsonl"
    run(*without).save(path)
    assert {Facts(**r.given()) for r in RunFile.load(path).records} == {Facts()}
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(header), "schema": schema}), *lines, ""]))
    found = {r.reason: Facts(**r.given()) for r in RunFile.load(path).records}
    assert found == {text: facts for text, (_, facts) in OLD.items()}


def test_the_facts_of_a_record_survive_and_name_checks_that_exist() -> None:
    """Through a run file's line; the names of checks are those of the list."""
    sample = record(outcome="unsupported", lacks=("option", "k_dims"), refused="ValueError", not_called=True, **NAN)
    assert Record.from_json(json.loads(json.dumps(sample.to_json()))) == sample
    assert {facts.check for _, by_quantity in FACTS.values() for facts in by_quantity.values()} <= set(CHECKS)


READER = "xentcheck.records.file.old"
"""The one module that looks into sentences, of older files."""


def looks(source: str) -> list[str]:
    """Places where a module looks into the text of a `reason`: methods, parts, comparisons, patterns, other names."""
    tree = ast.parse(source)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return [ast.unparse(above[node]) for node in _reasons(tree) if _looked_into(node, above)]


def _reasons(tree: ast.AST) -> Iterator[ast.AST]:
    """What stands for a reason: an attribute, or a field by its name; that of a UnicodeDecodeError is another."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "reason" and ast.unparse(node.value) != "error":
            yield node
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if isinstance(node.slice, ast.Constant) and node.slice.value == "reason":
                yield node.slice
        elif isinstance(node, ast.Call) and ast.unparse(node).endswith(".get('reason')"):
            yield node.args[0]


def _looked_into(node: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    parent = above[node]
    if isinstance(parent, (ast.Attribute, ast.Subscript, ast.Compare, ast.Assign, ast.NamedExpr)):
        return True
    if isinstance(parent, ast.Call):
        return ast.unparse(parent.func) not in ("printable", "Failed", "Unanswered")
    while isinstance(parent, (ast.Tuple, ast.List, ast.Set)):
        node, parent = parent, above[parent]
    return isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node


def test_nobody_looks_into_a_sentence() -> None:
    """Whoever needs a fact reads its field, in every module but the reader of older files: this alone looks at all."""
    modules = {name: path.read_text() for name, path in house.modules().items() if name != READER}
    assert len(modules) > 200
    assert {name: found for name, source in modules.items() if (found := looks(source))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "r.reason.startswith('shape')",
        "r.reason[0]",
        "'shape' in r.reason",
        "r.reason == 'x'",
        "re.match('shape', r.reason)",
        "x = r.reason",
        "[t for t in (last, failure.reason)]",
        "data.get('reason')",
        "data['reason'].split()",
    ],
)
def test_a_look_into_a_sentence_is_found(source: str) -> None:
    """Each way alone."""
    assert looks(source)


@pytest.mark.parametrize(
    "source",
    ["f'{r.reason}'", "if r.reason:\n    print()", "printable(r.reason)", "Record(reason=r.reason)", "error.reason"],
)
def test_showing_a_sentence_is_none(source: str) -> None:
    """What is told to people may be handed on."""
    assert looks(source) == []


def test_a_law_is_kept_only_within_its_bounds() -> None:
    """nan is within nothing; what could not be asked breaks no law; nobody changes what was found."""
    place = {"adapter": "a", "variant": "v", "device": "cpu", "dtype": "float32", "law": "threads", "detail": ""}
    for share, kept in ((0.0, True), (1.0, True), (np.nextafter(1.0, 2.0), False), (np.nan, False), (np.inf, False)):
        assert LawResult(**place, share=float(share)).kept == kept
        assert LawResult(**place, share=float(share), unasked="one thread").kept
    with pytest.raises(FrozenInstanceError):
        LawResult(**place, share=2.0).share = 0.0  # type: ignore[misc]


def test_a_record_keeps_few_margins() -> None:
    """Of a hundred rows whose label leads, each with one."""
    case = Case.parse("confident.100x3.f32.index.plain.mean.up-one.contig.s0")
    found = {r.quantity: r for r in run_case(case, subjects_of(adapters.get("numpy")))}
    assert len(found["dC/dz"].margins) == 32
