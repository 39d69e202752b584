"""What a project starts with: a test of its loss, and a job that gates pull requests, as texts to write."""

from __future__ import annotations

import re
import shlex
import string
from dataclasses import dataclass
from pathlib import Path

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.spec import FRAMEWORKS, GUESSED, Spec
from xentcheck.vocabulary import DTYPES, OPTIONS

PYTHON = "3.12"
"""Version of the jobs' interpreter, which every framework supports."""

CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
"""Where the small build of PyTorch lies."""

JOBS = {"github": Path(".github/workflows/xentcheck.yml"), "gitlab": Path(".gitlab/xentcheck.yml")}
"""Whose job is written, and where."""


class Template(string.Template):
    """A text whose gaps look like nothing in YAML or a shell."""

    delimiter = "%%"


@dataclass(frozen=True)
class Starter:
    """A loss of a project: how it is found, what it takes, and what its project needs.

    dtypes: those that were chosen, empty for all. installed: whether Python finds its module from any folder. own: the
    words that install the project.
    """

    spec: Spec
    adapter: Adapter
    dtypes: tuple[str, ...] = ()
    installed: bool = True
    own: str = ""

    @property
    def name(self) -> str:
        """Its name as a part of the names of files and functions."""
        return re.sub(r"\W+", "_", self.adapter.name).strip("_").lower() or "loss"

    @property
    def baseline(self) -> Path:
        """The file that the gate compares with."""
        return Path("baselines") / f"{self.name}.jsonl"

    @property
    def framework(self) -> str:
        """What it is written in, which may have been guessed; empty for an adapter of something else."""
        found = self.adapter.package if self.spec.framework == GUESSED else self.spec.framework
        return found if found in FRAMEWORKS else ""

    @property
    def gate(self) -> str:
        """The command that judges it beside the baseline."""
        named = f" --framework {self.framework}" if self.framework else ""
        return f"xentcheck gate {self.baseline.as_posix()} --impl {shlex.quote(self.spec.name)}{named}"

    def files(self, ci: str) -> dict[Path, str]:
        """Path -> text of what is written beside the baseline; ci: one of JOBS, or none."""
        found = {Path("tests") / f"test_{self.name}_xentcheck.py": self.test()}
        return found | ({JOBS[ci]: self.job(ci)} if ci in JOBS else {})

    def job(self, ci: str) -> str:
        """The job that gates pull requests, as YAML."""
        extras = ",".join([name for name in ("torch", "jax") if name == self.framework] + ["report"])
        words = ("pip install", self.own, f'"xentcheck[{extras}]"', CPU_WHEELS if self.framework == "torch" else "")
        text = (Path(__file__).parent / "templates" / f"{ci}.yml").read_text(encoding="utf-8")
        gaps = {"python": PYTHON, "install": " ".join(filter(None, words)), "gate": self.gate}
        return Template(text).substitute(gaps)

    def test(self) -> str:
        """A test that calls `assert_agrees` with the options that were found."""
        options = self._options()
        given = [self._subject(), *(["options=OPTIONS"] if options else []), *self._dtypes()]
        lines = [
            f'"""{self.adapter.name} is a softmax cross-entropy, and its gradient is right, within derived bounds."""',
            "",
            *self._imports(),
            *options,
            "",
            "",
            f"def test_{self.name}_agrees_with_the_exact_values():",
            f"    xentcheck.assert_agrees({', '.join(given)})",
        ]
        return "".join(f"{line}\n" for line in lines)

    def _subject(self) -> str:
        if self.spec.framework == "process":
            return f"from_process({self.spec.name!r})"
        function = self.spec.name.partition(":")[2]
        return f'{function}, "{self.framework}"' if self.framework else function

    def _imports(self) -> list[str]:
        if self.spec.framework == "process":
            return ["import xentcheck", "from xentcheck.adapters import from_process"]
        module, _, function = self.spec.name.partition(":")
        first = function.partition(".")[0]
        found = f"from {module} import {first}"
        if self.installed:
            return ["import xentcheck", "", found]
        path = "sys.path.insert(0, str(Path(__file__).parents[1]))  # the project is not installed"
        return ["import sys", "from pathlib import Path", "", "import xentcheck", "", path, f"{found}  # noqa: E402"]

    @property
    def _declares(self) -> bool:
        """Whether options= can say what was found: not of an adapter, nor of what takes rows of probabilities only."""
        return bool(self.adapter.guessed) and self.adapter.capabilities.labels and self.spec.framework != "process"

    def _options(self) -> list[str]:
        if not self._declares:
            return []
        found = [f'    "{option}",' for option in OPTIONS if option in self.adapter.capabilities.options]
        told = f"# What {self.adapter.name} takes, by its signature and by trying; what is not here is not judged."
        return ["", told, *(["OPTIONS = {", *found, "}"] if found else ["OPTIONS = set()"])]

    def _dtypes(self) -> list[str]:
        refused = self._declares and set(self.adapter.refused) & set(DTYPES)
        chosen = self.dtypes or (self.adapter.capabilities.dtypes if refused else ())
        return [f"dtypes=[{', '.join(f'{name!r}' for name in chosen)}]".replace("'", '"')] if chosen else []
