"""The pages of the documentation: their commands parse, their links lead somewhere, their examples run, their YAML and
TOML can be read.
"""

from __future__ import annotations

import doctest
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from xentcheck.cli.commands.gate import gate
from xentcheck.cli.main import COMMANDS, command_named
from xentcheck.running.deviations import load
from xentcheck.testing.options import OPTIONS
from xentcheck.vocabulary import OPTIONS as SUPPORTED

ROOT = Path(__file__).parents[3]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").rglob("*.md"))
    if "built" not in path.parts
}


PROSE = ("compares", "and", "ends", "stands")
"""What follows the name of the tool at the start of a line of a sentence."""


def text_of(page: str) -> str:
    """A page, with `${{ ... }}` and backslashes at line ends as a shell would see them."""
    text = PAGES[page].read_text(encoding="utf-8")
    return re.sub(r"\$\{\{.*?\}\}", "1", text).replace("\\\n", " ")


def commands(page: str) -> Iterator[list[str]]:
    """The words of every line that calls xentcheck, in a code block or in backticks."""
    text = re.sub(r"run: >\n\s+(.*?)\n\s+(-.*)", r"\1 \2", text_of(page))
    for found in re.findall(r"(?:^|run: |`|\$ |- )(xentcheck (?!:)[^`\n]*)", text, re.MULTILINE):
        line = found.partition("  #")[0].partition(" > ")[0]
        if line.split()[1:2] and line.split()[1] in PROSE:
            continue
        yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str) -> None:
    """Names, options and values, without running them."""
    for arguments in commands(page):
        if not arguments or arguments[0].startswith("-") or arguments[0] not in COMMANDS:
            assert arguments in ([], ["--version"], ["--help"]), arguments
            continue
        one = command_named(arguments[0])
        if len(arguments) > 1:
            one.make_context(arguments[0], arguments[1:])


def test_there_are_commands() -> None:
    """The search finds those of the README and of the recipes."""
    assert ["explain", "--logits", "1,2,3", "--target", "1"] in list(commands("README.md"))
    assert any(arguments[0] == "fuzz" and "--seed" in arguments for arguments in commands("docs/ci.md"))


def anchors_of(text: str) -> set[str]:
    """The anchors that a forge gives to the headings of a page; of equal ones the second has a number."""
    found: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{found[anchor]}" if found[anchor] else anchor)
        found[anchor] += 1
    return anchors


def lost_links(path: Path, text: str) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading of one."""
    lost = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        there = target.exists()
        if there and anchor:
            there = anchor in anchors_of(text if target == path else target.read_text(encoding="utf-8"))
        if not there:
            lost.append(link)
    return lost


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Relative ones, to files and to their headings."""
    assert lost_links(PAGES[page], text_of(page)) == []


def test_a_lost_link_is_found() -> None:
    """A file that is not there, a heading that is not, in this page and in another; those that are there are none."""
    good = (
        "# One `two`\n\n## One two\n\n[a](power.md#what-counts) [b](#one-two) [c](#one-two-1) [d](https://x.org/#e)\n"
    )
    assert lost_links(PAGES["docs/ci.md"], good) == []
    bad = "# One\n\n```sh\n# two\n```\n[a](gone.md) [b](power.md#gone) [c](#two)\n"
    assert lost_links(PAGES["docs/ci.md"], bad) == ["gone.md", "power.md#gone", "#two"]


def failed_examples(page: str, text: str) -> int:
    """The examples of a page that print something else than it shows."""
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, page, 0), out=lambda _: None)
    return int(runner.failures)


def test_the_examples_of_pages_run() -> None:
    """Those of the page on a - y print what it shows; with another number in it they do not."""
    text = text_of("docs/why.md")
    assert {page: n for page in PAGES if (n := failed_examples(page, text_of(page)))} == {}
    assert failed_examples("docs/why.md", text.replace("-0.755, 0.665]]", "-0.755, 0.666]]")) == 2


def test_the_recipes_of_ci_can_be_read(tmp_path: Path) -> None:
    """YAML with jobs, options of the plugin that exist, a deviation file that loads."""
    recipes = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text_of("docs/ci.md"), re.DOTALL)]
    assert "gradients" in recipes[0]["jobs"]
    (gitlab,) = (recipe for recipe in recipes if "gradients" in recipe)
    assert gitlab["gradients"]["artifacts"]["reports"] == {"junit": "junit.xml"}
    gates = " ".join(text_of("docs/ci.md").split()).split("xentcheck gate ")[1:]
    options = {option for parameter in gate.params for option in parameter.opts}
    assert len(gates) == 3
    assert {word for line in gates for word in line.partition(" #")[0].split()[:12] if word.startswith("--")} <= options
    known = {f"--xentcheck-{name}" for name, *_ in OPTIONS}
    for page in PAGES:
        assert set(re.findall(r"--xentcheck-[a-z]+", text_of(page))) <= known
    (deviations,) = re.findall(r"```toml\n(.*?)```", text_of("docs/ci.md"), re.DOTALL)
    assert tomllib.loads(deviations)
    (tmp_path / "known.toml").write_text(deviations)
    assert [entry.adapter for entry in load(tmp_path / "known.toml")] == ["my_loss"]


def test_every_option_is_explained() -> None:
    """In the glossary, which the guides for adapters and for other languages refer to."""
    table = text_of("docs/glossary.md").partition("## Options")[2].partition("|---|---|")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(SUPPORTED)
    for page in ("write-an-adapter", "other-languages"):
        assert "](glossary.md#options)" in text_of(f"docs/{page}.md")


def test_findings_are_counted_and_of_the_tested_versions() -> None:
    """The README counts them before its first commands; each has a number, and a version that is installed in CI."""
    findings = re.split(r"^## (\d+)\. ", text_of("docs/findings.md"), flags=re.MULTILINE)[1:]
    numbers, texts = findings[::2], findings[1::2]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    above = text_of("README.md").partition("pip install")[0]
    assert f"[{len(numbers)} discrepancies in released software](docs/findings.md)" in above
    tested = dict(re.findall(r"^(\w+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    for text in texts:
        named = re.findall(r"\b(torch|jax|optax|scipy|numpy) (\d[\d.]*\d)", text.partition("```")[0])
        assert named
        assert [(name, tested[name]) for name, _ in named] == named


def test_the_citation_is_of_this_version() -> None:
    """CITATION.cff has what the format asks for, and the version, name and licence of the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors", "version"} <= set(citation)
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["title"].startswith(f"{project['name']}: ")
    assert citation["authors"] == project["authors"]
