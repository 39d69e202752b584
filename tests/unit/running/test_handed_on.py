"""Nothing that is asked for is dropped on the way: every option of every command, and every field of its request."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import click
import pytest
import samples

from xentcheck import adapters
from xentcheck.adapters.spec import Spec, resolve, specs_of
from xentcheck.api import Run
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reserved import reserved_for
from xentcheck.cases.profiles.sets import EAGER_SHAPE
from xentcheck.cli import request as cli_request
from xentcheck.cli.commands import fuzz as command_fuzz
from xentcheck.cli.commands import run as command_run
from xentcheck.cli.commands.fuzz import FuzzRequest
from xentcheck.cli.main import COMMANDS as ALL
from xentcheck.cli.main import cli, command_named
from xentcheck.cli.request import RunRequest, execute_request
from xentcheck.errors import AdapterError
from xentcheck.running.subjects import Subject
from xentcheck.studies.fuzzing import Fuzzed
from xentcheck.testing.given import marked_cases
from xentcheck.testing.options import OPTIONS
from xentcheck.testing.plan import Plan
from xentcheck.vocabulary import REDUCTIONS

CASE = "gaussian.5x3.f32.index.plain.mean.up-one.contig.s0"
IMPL = ("--impl", "here:loss")

COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "run": (IMPL, ("run.run_command", "run.print_cases")),
    "replay": ((CASE, *IMPL), ("replay.replay_case",)),
    "fuzz": (IMPL, ("fuzz.fuzz_command",)),
    "grade": (IMPL, ("grade.grade_command",)),
    "accuracy": (IMPL, ("accuracy.accuracy_command",)),
    "audit": (("--atol", "1", "--rtol", "1", "--shape", "2,3"), ("audit.audit_command",)),
    "project": ((*IMPL, "--shape", "2,3"), ("project.check_projection",)),
    "faults": ((), ("faults.faults_command",)),
    "compare": (("old", "new"), ("compare.compare_command",)),
    "report": (("run.jsonl",), ("report.write_report", "report.RunFile.load")),
    "table": (("numpy",), ("table.table_command",)),
    "merge": (("1.jsonl", "2.jsonl", "--out", "run.jsonl"), ("merge.merge_command",)),
    "init": (("here:loss",), ("init.init_command",)),
    "gate": (("base", *IMPL), ("gate.gate_command",)),
    "explain": ((), ("explain.derivation", "explain.explanation_of", "explain.write_picture")),
}
"""Command -> arguments that it needs, and the functions that do its work."""

WORDS = {
    "--adapter": "numpy",
    "--impl": "other:loss",
    "--framework": "numpy",
    "--overwrites": "logits",
    "--isolation": "none",
    "--profile": "deep",
    "--dtype": "float16",
    "--device": "gpu",
    "--contract": "float16=stash",
    "--case": "ties.*",
    "--shape": "7,8",
    "--shard": "1/7",
    "--large": "9x40",
    "--executor": "dask://host:7",
    "--reduction": "sum",
    "--upstream": "negative",
    "--output-format": "github",
    "--format": "md",
    "--fail-if": "share > 7",
    "--ci": "gitlab",
    "--logits": "7,8",
    "--a-prev": "7,8",
}
"""Values that are no default; of all other options 7, which is a number and a name."""

BESIDE = {"--repeats": ("--save", "x"), "--resume": ("--out", "7")}
"""What an option goes with."""

GIVEN = [
    (name, option) for name in COMMANDS for option in command_named(name).params if isinstance(option, click.Option)
]


def told(monkeypatch: pytest.MonkeyPatch, name: str, arguments: tuple[str, ...]) -> list[str]:
    """What a command asks for: the calls of the functions that do its work, none of which is made."""
    calls: list[str] = []
    for work in COMMANDS[name][1]:
        monkeypatch.setattr(
            f"xentcheck.cli.commands.{work}", lambda *given, _as=work, **named: calls.append(f"{_as}{given}{named}")
        )
    for command in ("replay", "project"):
        monkeypatch.setattr(f"xentcheck.cli.commands.{command}.resolve", lambda spec: spec)
    monkeypatch.setattr("xentcheck.cli.commands.explain.lines", lambda *given: [])
    if name != "report":
        monkeypatch.setattr("xentcheck.records.run.RunFile.load", lambda path: path)
    try:
        cli.main([name, *arguments], standalone_mode=False)
    except (AttributeError, TypeError):  # what the command makes of a result that it did not get
        assert calls
    return calls


@pytest.mark.parametrize(("name", "option"), GIVEN, ids=lambda x: x if isinstance(x, str) else x.opts[0])
def test_every_option_of_every_command_changes_what_is_asked_for(
    name: str, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that changed nothing would be ignored, and a run that ignores what it is asked for may be green."""
    flag = option.opts[-1]
    value = () if option.is_flag else (WORDS.get(flag, "7"),)
    plain = (*COMMANDS[name][0], *BESIDE.get(flag, ()))
    if flag == "--adapter":
        plain = tuple(word for word in plain if word not in IMPL)
        assert told(monkeypatch, name, (*plain, flag, "numpy")) != told(monkeypatch, name, (*plain, flag, "torch"))
    else:
        assert told(monkeypatch, name, (*plain, flag, *value)) != told(monkeypatch, name, plain)


def test_all_commands_are_looked_at() -> None:
    """But for the list of adapters and the meaning of codes, which take no option."""
    assert set(ALL) - set(COMMANDS) == {"adapters", "rule"}
    assert command_named("adapters").params == []


NUMPY = (Spec("numpy"),)
PLAIN = RunRequest(NUMPY, "quick", (), (), 0, 1, None, None)
CHANGED: dict[str, Any] = {
    "specs": (Spec("numpy", contracts=(("*", "stash"),)),),
    "profile": "full",
    "dtypes": ("float64",),
    "devices": ("cpu",),
    "seed": 7,
    "jobs": 2,
    "out": Path("run.jsonl"),
    "accuracy_rounds": 7,
    "faults": True,
    "patterns": ("*.f64.*",),
    "stop": True,
    "deviations": Path("known.toml"),
    "contracts": (("*", "stash"),),
    "shard": (1, 2),
    "executor": "host:8786",
    "large": ("9x40",),
}
"""Field of a request -> a value that is no default."""

LATER = {"report_dir", "as_json", "output_format", "save", "repeats", "resume"}
"""What is made of the records afterwards; what is resumed, has tests of its own (`test_journal`)."""


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a request would execute, in words: the tasks, subjects and contracts, and how the records are gathered."""
    monkeypatch.chdir(tmp_path)
    Path("known.toml").write_text('[[deviation]]\nadapter = "a"\nreason = "r"\nlink = "https://example.org"\n')
    seen: list[Any] = []
    names = ("float64", "float32", "float16")
    cases = lambda profile, seed: [  # noqa: E731 - a profile
        Case.parse(CASE.replace("f32", short).replace(".s0", f".s{seed}").replace("5x3", f"{len(profile)}x3"))
        for short in ("f64", "f32", "f16")
    ]
    monkeypatch.setattr("xentcheck.cases.selection.cases", cases)
    monkeypatch.setattr(adapters, "built_in", lambda: ("numpy",))

    def work(tasks: Any, subjects: Any) -> None:
        seen.append((tasks, [[s.adapter.contract_for("cpu", d, "cost") for d in names] for s in subjects]))

    def collect(header: Any, finished: Any, deviations: Any, *, progress: Any, **named: Any) -> Any:
        seen.append((header.planned, header.selection, header.complete, header.shard, deviations.entries, named))

    monkeypatch.setattr(cli_request, "execute", work)
    for name in ("execute_parallel", "execute_on_dask"):
        monkeypatch.setattr(cli_request, name, lambda *given, _as=name: seen.append((_as, given)))
    monkeypatch.setattr(cli_request, "collect", collect)
    monkeypatch.setattr(cli_request.Journal, "complete", lambda journal, found: seen.append(journal.out))

    def of(request: RunRequest) -> str:
        seen.clear()
        execute_request(request)
        return repr(seen)

    return of


@pytest.mark.parametrize("field", CHANGED)
def test_every_field_of_a_request_changes_what_is_executed(field: str, executed: Any) -> None:
    """Contracts without an implementation are those of all that come with the package."""
    plain = replace(PLAIN, specs=()) if field == "contracts" else PLAIN
    changed = replace(plain, **{field: CHANGED[field]})
    assert changed != plain
    assert executed(changed) != executed(plain)
    assert executed(plain) == executed(plain)


def test_only_a_whole_profile_is_complete(executed: Any) -> None:
    """An entry of a deviation file that matches nothing is out of date there only."""
    narrowed = {"dtypes": ("float64",), "devices": ("cpu",), "selection": ("*.f64.*",), "shard": "1/2"}
    header = samples.run().header
    assert header.complete
    for field, value in narrowed.items():
        assert not replace(header, **{field: value}).complete
    for field in ("dtypes", "devices", "patterns", "shard"):
        assert ", False, " in executed(replace(PLAIN, **{field: CHANGED[field]}))
    assert ", True, " in executed(PLAIN)


def test_all_fields_of_a_request_are_looked_at() -> None:
    """A new one needs a value above."""
    assert {f.name for f in fields(RunRequest)} == {*CHANGED, *LATER}


ENDS = {
    "all agree": (samples.run(samples.record()), 0),
    "a disagreement": (samples.run(samples.record(outcome="disagree", share=2.0)), 1),
    "a blind group": (samples.run(samples.record(rejected=("zero",))), 1),
    "a broken law": (samples.run(samples.record(), failures=("numpy breaks the law shift",)), 1),
    "nothing compared": (samples.run(), 1),
}


@pytest.mark.parametrize("name", ENDS)
def test_run_ends_with_1_whatever_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is green as a whole or not at all."""
    found, code = ENDS[name]
    monkeypatch.setattr(command_run, "execute_request", lambda *given: Run(found))
    assert command_run.run_command(PLAIN) == code


def test_an_empty_name_is_no_implementation() -> None:
    """As of a variable that is not set, wherever the options come from."""
    for implementation, framework in (("", None), ("here:loss", "")):
        with pytest.raises(AdapterError):
            specs_of((), implementation, framework)


def test_a_spec_tells_its_adapter_what_it_was_told() -> None:
    """Contracts, and what may be overwritten."""
    told = resolve(Spec("numpy", contracts=(("*", "stash"),), overwrites=("logits",)))
    assert (told.contract_for("cpu", "float64", "cost"), told.overwrites) == ("stash", ("logits",))
    assert resolve(Spec("numpy")).overwrites == ()


def test_every_variant_runs_on_means_of_one_shape() -> None:
    """The main one on everything else, too."""
    jit, eager = (Subject(adapters.get("jax"), variant, "cpu", "") for variant in ("jit", "eager"))
    chosen = [case for case in cases("quick") if not reserved_for(case)]
    taken = {case.shape for case in chosen if eager.takes(case)}
    assert taken == {EAGER_SHAPE}
    assert all(jit.takes(case) for case in chosen)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"seed": 7}, lambda c: c.seed == 7),
        ({"dtypes": "float16"}, lambda c: c.dtype == "float16"),
        ({"reductions": ["sum"]}, lambda c: c.reduction == "sum"),
        ({"cases": "ties.*"}, lambda c: c.family == "ties"),
        ({"options": ["weight"]}, lambda c: "ls" not in c.options),
        ({"profile": "full"}, lambda c: c.shape == (4, 3)),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_every_keyword_of_the_marker_chooses(asked: dict[str, Any], kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cases of what it names, and no other."""

    def all_cases(profile: str, seed: int) -> list[Case]:
        fields = product(("gaussian", "ties"), ("float32", "float16"), REDUCTIONS, ((), ("w",), ("w", "ls")))
        return [
            Case(family=f, shape=(len(profile), 3), dtype=d, reduction=r, options=o, seed=seed) for f, d, r, o in fields
        ]

    monkeypatch.setattr("xentcheck.cases.selection.cases", all_cases)
    every = all_cases(asked.get("profile", "quick"), asked.get("seed", 0))
    assert marked_cases("here", asked) == [case for case in every if kept(case)]
    assert marked_cases("here", {}) == all_cases("quick", 0)


FUZZING = FuzzRequest(NUMPY, (), (), 1.0, 0, Path("saved.txt"), None, 20)
FUZZED: dict[str, Any] = {
    "specs": CHANGED["specs"],
    "dtypes": ("float64",),
    "seconds": 7.0,
    "seed": 7,
    "saved": Path("other.txt"),
    "deviations": Path("known.toml"),
    "most": 7,
    "contracts": CHANGED["contracts"],
}


@pytest.mark.parametrize("field", FUZZED)
def test_every_field_of_a_fuzzing_request_changes_what_is_fuzzed(
    field: str, executed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for `fuzz`; a device is one of those that there are."""
    assert {f.name for f in fields(FuzzRequest)} == {*FUZZED, "devices"}
    monkeypatch.setattr(adapters, "available", lambda: ("numpy",))
    calls: list[str] = []

    def fuzz(subjects: Any, dtypes: Any, *, saved: Any, known: Any, progress: Any, **named: Any) -> Fuzzed:
        judged = [s.adapter.contract_for("cpu", "float32", "cost") for s in subjects]
        calls.append(repr((judged, list(dtypes), saved.path, known.entries, named)))
        return Fuzzed()

    monkeypatch.setattr("xentcheck.studies.fuzzing.fuzz", fuzz)
    plain = replace(FUZZING, specs=()) if field == "contracts" else FUZZING
    for request in (plain, replace(plain, **{field: FUZZED[field]})):
        command_fuzz.fuzz_command(request)
    assert calls[0] != calls[1]


ASKED: dict[str, Any] = {
    "adapter": ["numpy"],
    "impl": "json:dumps",
    "framework": "numpy",
    "overwrites": ["logits"],
    "profile": "full",
    "dtype": ["float64"],
    "device": ["cpu"],
    "seed": "7",
    "case": ["*.f64.*"],
    "contract": ["stash"],
    "isolation": "none",
    "timeout": "7",
    "deviations": "known.toml",
    "from": __file__,
    "ids": "signature",
    "out": "run.jsonl",
    "report": "out",
}


class Config:
    """What pytest knows of the options."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    @property
    def pluginmanager(self) -> Config:
        return self

    def hasplugin(self, name: str) -> bool:
        return True

    def getoption(self, flag: str, default: Any = None) -> Any:
        return self.given.get(flag.removeprefix("--xentcheck-"), default)

    def getini(self, name: str) -> None:
        return None


@pytest.mark.usefixtures("executed")
@pytest.mark.parametrize("name", ASKED)
def test_every_option_of_the_plugin_changes_its_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to an implementation of one's own is given beside one."""
    assert set(ASKED) == {row[0] for row in OPTIONS}
    monkeypatch.setattr("xentcheck.testing.plan.resolve", lambda spec: adapters.get("numpy"))
    monkeypatch.setattr("xentcheck.testing.plan.subjects_named", lambda *given, **named: [])
    own = {"impl": "json:loads"} if name in ("impl", "framework", "overwrites", "isolation", "timeout") else {}
    plans = [Plan(Config(**given)) for given in (own, {**own, name: ASKED[name]})]  # type: ignore[arg-type]  # all it asks
    assert len({repr(sorted(vars(plan).items())) for plan in plans}) == 2


def test_python_has_the_options_of_the_command_line() -> None:
    """What `run` takes of an implementation, `check` takes by a name that says the same."""
    from xentcheck.api import check

    of_the_command = {option.name for option in command_named("run").params}
    same = {"contract": "contracts"}
    for name in ("framework", "contract", "overwrites", "profile", "dtypes", "devices", "seed", "deviations"):
        assert name in inspect.signature(check).parameters
        assert same.get(name, name) in of_the_command
