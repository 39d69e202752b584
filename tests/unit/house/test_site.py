"""The site, without Sphinx: each page lies behind one door, generated pages say what the code says, words are known."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from generate import built, case_ids, contracts, tree
from generate.__main__ import COMMITTED
from generate.docstrings import laid_out, meanings
from generate.words import TABLES, TITLES

from xentcheck.cases.fields import IGNORE, LAYOUTS, SMOOTHING, TARGETS, UPSTREAMS, WEIGHTS
from xentcheck.cases.reading import FIELDS, MEANING_OF_REDUCTIONS
from xentcheck.cli.commands.rule import rule as command
from xentcheck.cli.main import COMMANDS, command_named
from xentcheck.errors import CaseError
from xentcheck.judging.power.required import BY_OPTION, required
from xentcheck.records.rules import kinds_of_words, rules, word, words
from xentcheck.reference.bounds.contracts import CATALOGUE, STAGES
from xentcheck.reports.formats.terminal import CAPTION
from xentcheck.vocabulary import DTYPES, HEADS, OPTIONS, OUTCOMES, QUANTITIES, REDUCTIONS, SHORT_DTYPES


def explained(code: str) -> list[str]:
    """What the command prints of a code, a word, a contract or a case. Raises CaseError."""
    done = CliRunner().invoke(command, [code], standalone_mode=False, catch_exceptions=False)
    return done.output.splitlines()


def behind_no_door(docs: Path) -> set[str]:
    """The pages of a folder that no door leads to."""
    return tree.committed(docs) - {name for patterns in tree.DOORS.values() for name in tree.behind(patterns, docs)}


def test_every_page_lies_behind_one_door(tmp_path: Path) -> None:
    """All that git holds and a build makes, each once; a page that is added is missed until a door leads to it."""
    found = Counter(name for patterns in tree.DOORS.values() for name in tree.behind(patterns))
    assert set(found) == tree.committed() | {f"{tree.BUILT}/{name}" for name in built.PAGES}
    assert set(found.values()) == {1}
    assert behind_no_door(tree.DOCS) == set()
    (tmp_path / "agreement").mkdir()
    for name in ("index", "why", "new", "agreement/numbers"):
        (tmp_path / f"{name}.md").write_text("# Title\n")
    assert behind_no_door(tmp_path) == {"new"}
    assert "\nagreement/numbers\n" in tree.toctrees(tmp_path)


@pytest.mark.parametrize("name", COMMITTED)
def test_generated_pages_are_up_to_date(name: str) -> None:
    """Those that git holds are what the code makes today."""
    text = (tree.DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert text == COMMITTED[name](), "python -m generate, in docs/, writes it anew"


def test_every_code_and_word_has_its_heading() -> None:
    """A report can link a code or a word; what the page says of a code is what the command says."""
    causes, glossary = COMMITTED["causes"](), COMMITTED["glossary"]()
    for code, rule in rules().items():
        assert f"\n### {code}\n\n**{rule.title}**\n" in causes
        assert {text for text in (rule.what, rule.looks, rule.mend) if text not in causes} == set()
    for name, found in words().items():
        assert (
            f"\n| `{name}` | {found.text} |" if found.kind in TABLES else f"\n### {name}\n\n{found.text}"
        ) in glossary
    assert set(TITLES) == set(kinds_of_words())


def test_every_word_of_a_run_is_defined() -> None:
    """The outcomes, in their order, and the words of the terminal's table, caption and closing lines."""
    assert [name for name, found in words().items() if found.kind == "outcomes"] == list(OUTCOMES)
    shown = (
        "share",
        "ULP",
        "apart",
        "grade",
        "judged by",
        "contract",
        "witness",
        "blind",
        "suspected",
        "case id",
        "variant",
    )
    assert [name for name in shown if word(name) is None] == []
    assert [name for name in ("apart", "share") if name not in CAPTION] == []
    assert explained("APART")[0].startswith("apart: Comparisons that neither agree nor fail")
    assert max(map(len, explained("apart"))) <= 80
    with pytest.raises(CaseError, match="unknown code 'beside'; allowed: a code like B20, a word like apart"):
        explained("beside")


def test_every_wrong_answer_is_in_words() -> None:
    """All that a group of comparisons may have to reject, and no others."""
    kinds = (("index", "probabilities"), REDUCTIONS, ((), BY_OPTION), ("logits", "layer"), DTYPES)
    found = {
        name
        for quantity in QUANTITIES
        for kind in itertools.product(*kinds)
        for name in required(quantity, *kind, "decisive", (3, 1000))
    }
    assert found == {name for name, meant in words().items() if meant.kind == "wrong"}


def test_every_option_is_in_words() -> None:
    """All that `options=` takes and a summary may name, in the same order, and no others; so is the word head."""
    assert [name for name, meant in words().items() if meant.kind == "options"] == list(OPTIONS)
    assert explained("k_dims")[0].startswith("k_dims: Logits of shape (N, C, d1..dk)")
    assert all(f"`{head}`" in words()["head"].text for head in HEADS)


def test_every_part_of_an_id_is_explained() -> None:
    """All that the parser takes has a row of the page, and an example each of its nine fields."""
    page = case_ids.case_ids()
    upstreams = {f"up-{name}" for name in UPSTREAMS}
    taken = {*WEIGHTS, *IGNORE, *SMOOTHING, *LAYOUTS, *TARGETS, *upstreams, *REDUCTIONS, *SHORT_DTYPES.values(), "dir"}
    assert {name for name in taken if f"\n| `{name}` | " not in page} == set()
    assert set(MEANING_OF_REDUCTIONS) == set(REDUCTIONS)
    told = explained(case_ids.EXAMPLE)
    assert told[0] == case_ids.EXAMPLE
    assert [line.split()[0] for line in told if line[2:3].strip()][1:] == list(FIELDS)
    assert "  upstream   up-neg        a negative scalar" in told
    with pytest.raises(CaseError, match="dtype is 'f31'"):
        CliRunner().invoke(
            command, [case_ids.EXAMPLE.replace("f32", "f31")], standalone_mode=False, catch_exceptions=False
        )


def test_every_contract_stage_and_field_is_explained() -> None:
    """Each contract has a heading, each stage a row, each field that a contract changes the words of its docstring."""
    page = contracts.contracts()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [*CATALOGUE, "Stages", "Fields"]
    assert {stage for stage in STAGES if f"\n| `{stage}` | " not in page} == set()
    told = contracts.fields_told()
    changed = {line.split("`")[1] for line in page.splitlines() if line.startswith("* `")}
    assert len(changed) > 10
    assert changed <= set(told)
    assert explained("stash-sum")[:2] == [
        "stash-sum: a contract",
        "  rounds    logits, sum, log, log_a, between, reduction",
    ]
    assert told["shifted"] == "the maximum is subtracted before exp, so that the largest exponential is 1"


def test_docstrings_are_laid_out() -> None:
    """Parameters become a list, and a word with a colon that is none of them stays in its sentence."""
    text = ["Scale.", "", "a, b: numbers; note: any. Returns (m,). Raises ShapeError.", "", ">>> f(a, b: 1)"]
    listed = [line for line in laid_out(text, ["a", "b"]) if line]
    assert listed == [
        "Scale.",
        "* ``a``, ``b``: numbers; note: any.",
        "Returns (m,).",
        "Raises ShapeError.",
        ">>> f(a, b: 1)",
    ]
    assert meanings("A. note: this.", ["a"]) == {}


def test_built_pages_have_what_they_are_made_of() -> None:
    """Every command with its options, the README with links that lead on. Alone imports all commands."""
    text = built.commands()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(COMMANDS)
    assert "Usage: xentcheck replay [OPTIONS] CASE_ID" in text
    options = [(name, option) for name in COMMANDS for option in command_named(name).params]
    assert [(name, o.opts) for name, o in options if isinstance(o, click.Option) and not o.help] == []
    found = built.LINK.findall(built.readme())
    assert "../ci.md" in found
    assert [link for link in found if not (tree.DOCS / link.removeprefix("../")).exists()] == []
    assert "autofunction:: xentcheck.check\n" in built.python()
