"""The pages of words: causes by code, and the glossary. Their texts are those of `xentcheck rule`."""

from __future__ import annotations

from itertools import groupby

from xentcheck.judging.conventions import CONVENTIONS
from xentcheck.records.rules import KINDS, Rule, Word, kinds_of_words, rules, words

from .markdown import page, table

CAUSES = """A failure comes with the code of its suspected cause, as `[B20]`: a known mistake whose value or gradient
is the one found, element by element. `xentcheck rule B20` prints what stands here. Where no known mistake fits, the
cause is unknown. Each code is planted in the harness itself, in several forms: [the museum](museum.md)."""

GLOSSARY = """`xentcheck rule WORD` prints what stands here. The [causes](causes.md), the fields of a [case
id](case-ids.md) and the [contracts](contracts.md) have pages of their own."""

CONVENTION = """Degenerate inputs, and what libraries return there. A convention excuses the rows that it concerns,
and sums that they reach; all other rows are judged."""

TITLES = {
    "outcomes": "Outcomes",
    "numbers": "Numbers",
    "judging": "Judging",
    "asked": "What is asked",
    "options": "Options",
    "wrong": "Wrong answers",
}
"""Headings of the kinds of words."""

TABLES = {"options": "option", "wrong": "wrong answer"}
"""Kinds whose words are rows of a table, and what its first column is called."""


def causes() -> str:
    """`docs/causes.md`: a section for each code, below the heading of its letter."""
    parts = [CAUSES]
    for letter, found in groupby(rules().values(), key=lambda rule: rule.code[0]):
        parts += [f"## {KINDS[letter]}", *map(_cause, found)]
    return page("Causes", *parts)


def _cause(rule: Rule) -> str:
    lines = [f"* What is wrong: {rule.what}", f"* How it looks: {rule.looks}", f"* Mend: {rule.mend}"]
    if rule.seen:
        lines.append(f"* Whose bug it was: {', '.join(rule.seen)}")
    return "\n\n".join((f"### {rule.code}", f"**{rule.title}**", "\n".join(lines)))


def glossary() -> str:
    """`docs/glossary.md`: the words by kind, each with a heading to link, or in a table."""
    parts = [GLOSSARY]
    for kind, about in kinds_of_words().items():
        parts += [f"## {TITLES[kind]}", about]
        found = [word for word in words().values() if word.kind == kind]
        if kind in TABLES:
            parts.append(table((TABLES[kind], "what it is"), ((f"`{word.name}`", word.text) for word in found)))
        else:
            parts += map(_word, found)
    conventions = [(f"`{c.id}`", c.seen) for c in CONVENTIONS]
    parts += ["## Conventions", CONVENTION, table(("convention", "what libraries return"), conventions)]
    return page("Words", *parts)


def _word(word: Word) -> str:
    more = f" ([more]({word.page}))" if word.page else ""
    return f"### {word.name}\n\n{word.text}{more}"
