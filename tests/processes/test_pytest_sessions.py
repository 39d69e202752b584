"""The pytest plugin, in pytest sessions of their own: options, exit codes and workers.

A session runs in this process, where all is imported, unless the start of one is asked about; workers are processes.
"""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command import xentcheck as command_line
from sessions import of_ones_own

import xentcheck.conformance
from xentcheck.records.run import RunFile
from xentcheck.testing.options import OPTIONS

pytest_plugins = ["pytester"]

CONFORMANCE = ("--pyargs", "xentcheck.conformance", "--xentcheck-framework", "numpy", "--xentcheck-dtype", "float32")
CASES = (
    *("--xentcheck-case", "*.5x10.*.index.plain.mean.up-neg.contig.*"),
    *("--xentcheck-case", "gaussian.10.*.index.plain.*"),
)
"""Eleven families on a small batch, and rows without a batch."""


@pytest.fixture
def here(pytester: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """A folder with implementations, which no other session has imported."""
    with of_ones_own(pytester):
        yield pytester


def conformance(here: pytest.Pytester, name: str, *options: str) -> pytest.RunResult:
    """The conformance tests of one implementation on a few cases."""
    return here.runpytest_inprocess(*CONFORMANCE, "--xentcheck-impl", f"mine:{name}", *CASES, *options)


def test_one_that_agrees_passes(here: pytest.Pytester) -> None:
    """Exit code 0, the version in the header, one verdict line, and laws."""
    done = conformance(here, "right", "-v")
    assert done.ret == pytest.ExitCode.OK
    done.stdout.re_match_lines([r"xentcheck: \S+, right \S+; profile quick, seed 0, \d+ cases"])
    done.stdout.re_match_lines([r".*test_laws\[right-eager-cpu-float32\] PASSED.*"])
    done.stdout.re_match_lines(
        [r"=+ xentcheck =+", r"agreed: [1-9]\d* of \d+ comparisons within their derived bounds.*"]
    )
    assert len(re.findall("agreed: ", done.stdout.str())) == 1


def test_one_that_does_not_fails_with_what_repeats_it(here: pytest.Pytester) -> None:
    """Exit code 1; each failure has its replay; the verdict names the mistake."""
    done = conformance(here, "wrong", "--junitxml", "junit.xml")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.re_match_lines([r"=+ FAILURES =+", r".* elements exceed their bound; .*", r"  xentcheck replay .*"])
    done.stdout.re_match_lines(
        [
            r"=+ short test summary info =+",
            r"FAILED .*",
            r"=+ xentcheck =+",
            r"1\. does not divide: .*",
            r"   where wrong/eager: .*; only with .*",
            r"   mend  .*",
            r"   again xentcheck replay .*",
            r"suspected: does not divide: .*",
            r"FAILED: \d+ disagree; \d+ of \d+ comparisons agree.*",
        ]
    )
    command = next(line.split() for line in done.stdout.lines if line.startswith("  xentcheck replay "))
    assert command_line(*command[1:], cwd=here.path).returncode == 1
    suite = ElementTree.parse(here.path / "junit.xml").getroot()[0]
    assert int(suite.attrib["failures"]) == done.parseoutcomes()["failed"]
    assert "elements exceed their bound" in ElementTree.tostring(suite, encoding="unicode")
    (alone,) = (line.partition(" alone: pytest ")[2] for line in done.stdout.lines if " alone: pytest " in line)
    again = here.runpytest_inprocess(*shlex.split(alone))
    assert again.parseoutcomes()["failed"] == sum(again.parseoutcomes().values()) == 1


BAD = {
    "impl": (["--xentcheck-impl", "mine:absent"], "implementation 'mine:absent' cannot be imported: "),
    "framework": (["--xentcheck-impl", "mine:right", "--xentcheck-framework", "mxnet"], "unknown framework 'mxnet'"),
    "framework alone": (["--xentcheck-framework", "numpy"], "--xentcheck-framework goes with --xentcheck-impl"),
    "adapter": (["--xentcheck-adapter", "mxnet"], "unknown adapter 'mxnet'; allowed: numpy, torch, jax"),
    "profile": (["--xentcheck-profile", "slow"], "unknown profile 'slow'; allowed: quick, full, deep"),
    "dtype": (["--xentcheck-dtype", "int8"], "dtype 'int8' is not judged; allowed: float64, "),
    "device": (
        ["--xentcheck-adapter", "numpy", "--xentcheck-device", "tpu"],
        "no adapter has a device among tpu; allowed: cpu",
    ),
    "case": (["--xentcheck-case", "knots*"], "no case matches 'knots*'"),
    "seed": (["--xentcheck-seed", "one"], "--xentcheck-seed is 'one'; allowed: a number"),
    "seed below 0": (["--xentcheck-seed", "-1"], "--xentcheck-seed is -1; allowed: a number from 0"),
    "timeout": (["--xentcheck-timeout", "0"], "--xentcheck-timeout is 0; allowed: a finite number above 0"),
    "no implementation": (["--xentcheck-impl", ""], "--xentcheck-impl is '', which names nothing; allowed: PKG.MOD:FN"),
    "isolation": (["--xentcheck-isolation", "jail"], "--xentcheck-isolation is 'jail'; allowed: process, none"),
    "from": (["--xentcheck-from", "absent.jsonl"], "run file absent.jsonl cannot be read: there is no such file"),
    "ids": (["--xentcheck-ids", "case"], "--xentcheck-ids is 'case'; allowed: comparison, signature"),
    "deviations": (["--xentcheck-deviations", "absent.toml"], "deviation file absent.toml cannot be read"),
    "report": (["--xentcheck-report", "mine.py/x"], "report folder mine.py/x cannot be written"),
    "out": (["--xentcheck-out", "mine.py/x"], "mine.py/x cannot be written: "),
}


@pytest.mark.parametrize("name", [name for name, *_ in OPTIONS])
def test_no_option_takes_an_empty_text_for_its_default(name: str, pytester: pytest.Pytester) -> None:
    """As of a variable that is not set, on the command line or in the ini file."""
    for text in ("", " "):
        with pytest.raises(pytest.UsageError, match=f"--xentcheck-{name} is '{text}', which names nothing; allowed: "):
            pytester.parseconfigure(f"--xentcheck-{name}", text)
    pytester.makeini(f"[pytest]\nxentcheck_{name} =\n")
    with pytest.raises(pytest.UsageError, match=f"--xentcheck-{name} is '', which names nothing; allowed: "):
        pytester.parseconfigure()


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_usage_error(name: str, here: pytest.Pytester) -> None:
    """Exit code 4 and one line, before anything is collected."""
    options, text = BAD[name]
    done = here.runpytest_inprocess("--pyargs", "xentcheck.conformance", *options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in done.stderr.lines if line]
    assert line.startswith(f"ERROR: {text}")


def test_workers_change_nothing(here: pytest.Pytester) -> None:
    """One process, two, and no xdist: the same bytes, timings and host aside; the controller alone writes."""
    found = []
    for name, workers in {"one": ("-n", "0"), "two": ("-n", "2"), "none": ("-p", "no:xdist")}.items():
        out = ("--xentcheck-out", f"{name}.jsonl", *(("--xentcheck-report", name) if name == "two" else ()))
        done = conformance(here, "wrong", *workers, *out)
        assert done.ret == pytest.ExitCode.TESTS_FAILED
        assert done.stdout.str().count(f"wrote {name}.jsonl") == 1
        run = RunFile.load(here.path / f"{name}.jsonl")
        assert len(run.records) > 20
        assert run.laws
        lines = [json.loads(line) for line in (here.path / f"{name}.jsonl").read_text().splitlines()]
        lines[0].pop("host")
        found.append([json.dumps(line) for line in lines if line["kind"] != "timing"])
    assert found[0] == found[1] == found[2]
    assert (here.path / "two" / "report.html").is_file()


def test_a_crash_is_one_failure(here: pytest.Pytester) -> None:
    """The other tests go on, in a process of the implementation that is started anew."""
    done = conformance(here, "leaves")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = done.parseoutcomes()
    assert outcomes["failed"] == 3  # the two comparisons of a row without a batch, and the law that asks for its value
    assert outcomes["passed"] > 15
    done.stdout.fnmatch_lines(["*gaussian.10.*: crash, it exited with code 9", "FAILED: 2 crash; *"])


def test_what_was_found_before_the_end_of_a_worker_is_kept(here: pytest.Pytester) -> None:
    """Records travel with the reports of their tests, so that a worker that dies, or `-x`, takes none along."""
    options = ("-n", "1", "-k", "not laws", "--xentcheck-ids", "signature", "--xentcheck-out", "part.jsonl")
    died = conformance(here, "takes_along", "--xentcheck-isolation", "none", "--max-worker-restart", "0", *options)
    assert died.parseoutcomes() == {"passed": 1, "failed": 1}
    died.stdout.fnmatch_lines(["worker 'gw0' crashed while running '::test_matrix?10.f32.*"])
    run = RunFile.load(here.path / "part.jsonl")
    assert {record.outcome for record in run.records} == {"agree", "vacuous"}
    assert all(".5x10.f32.index.plain.mean." in record.case for record in run.records)
    assert run.header.selection[-1].endswith(" comparisons")
    ended = conformance(here, "wrong", "-x", *options)
    ended.stdout.re_match_lines([r"FAILED: [1-9]\d* disagree; .*"])
    assert "disagree" in {record.outcome for record in RunFile.load(here.path / "part.jsonl").records}


def test_a_selection_is_judged_for_what_it_is(here: pytest.Pytester) -> None:
    """`-k` runs some, `--lf` those that failed, `--collect-only` none; a run file of a part can be read."""
    done = conformance(here, "wrong", "-k", "confident and not laws", "--xentcheck-out", "part.jsonl")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    first = done.parseoutcomes()
    assert first["failed"] >= 1
    assert RunFile.load(here.path / "part.jsonl").header.selection[-1].endswith(" comparisons")
    again = conformance(here, "wrong", "--lf", "-k", "confident and not laws").parseoutcomes()
    assert again["failed"] == first["failed"]
    assert "passed" not in again
    fixed = conformance(here, "right", "-k", "confident and not laws")
    assert fixed.ret == pytest.ExitCode.OK
    fixed.stdout.re_match_lines([r"agreed: [1-9]\d* of \d+ comparisons .*"])
    listed = conformance(here, "wrong", "--collect-only", "-q", "--xentcheck-out", "none.jsonl")
    assert listed.ret == pytest.ExitCode.OK
    assert "FAILED" not in listed.stdout.str()
    assert not (here.path / "none.jsonl").exists()
    nothing = conformance(here, "right", "-k", "no_such_test")
    assert nothing.ret == pytest.ExitCode.NO_TESTS_COLLECTED


DEVIATION = """
[[deviation]]
adapter = "right"
case = "knots.*"
reason = "never true"
link = "https://example.org"
"""


NARROWED = """
from xentcheck.cases import selection
cases = selection.cases
def few(profile, seed=0):
    return [c for c in cases(profile, seed) if str(c).endswith(".5x10.f32.index.plain.mean.up-neg.contig.s0")]
selection.cases = few
"""
"""A pytest plugin: a profile of a few cases, which workers have as well, so that a plan of all of it is soon done."""


def test_what_spans_all_tests_fails_the_session(here: pytest.Pytester) -> None:
    """Every test passes, a deviation matches nothing: exit code 1, with one worker and with two.

    Alone shows that the session is judged as a whole run; it starts two workers.
    """
    here.makepyfile(narrowed=NARROWED)
    (here.path / "known.toml").write_text(DEVIATION)
    options = (
        "--xentcheck-impl",
        "mine:right",
        "--xentcheck-framework",
        "numpy",
        "--xentcheck-deviations",
        "known.toml",
        "-p",
        "narrowed",
    )
    for workers in ("0", "2"):
        done = here.runpytest_subprocess("--pyargs", "xentcheck.conformance", *options, "-n", workers)
        assert "failed" not in done.parseoutcomes()
        assert done.ret == pytest.ExitCode.TESTS_FAILED
        done.stdout.fnmatch_lines(["deviation right/*knots.* matches no comparison", "FAILED: 1 failure of the run*"])


def test_options_may_stand_in_the_ini_file(here: pytest.Pytester) -> None:
    """Each has an equivalent; the command line comes first."""
    here.makeini(
        """
        [pytest]
        xentcheck_impl = mine:wrong
        xentcheck_framework = numpy
        xentcheck_dtype = float32
        xentcheck_case = *.5x10.*.index.plain.mean.up-neg.contig.*
        """
    )
    assert here.runpytest_inprocess("--pyargs", "xentcheck.conformance").ret == pytest.ExitCode.TESTS_FAILED
    done = here.runpytest_inprocess("--pyargs", "xentcheck.conformance", "--xentcheck-impl", "mine:right")
    assert done.ret == pytest.ExitCode.OK


def test_a_run_that_does_not_use_it_pays_nothing(pytester: pytest.Pytester) -> None:
    """No import but the plugin's own module, no line in header or summary; options and marker are explained."""
    pytester.makepyfile(
        """
        import sys
        def test_modules():
            found = {name for name in sys.modules if name.startswith("xentcheck")}
            assert found == {"xentcheck", "xentcheck.testing", "xentcheck.testing.options", "xentcheck.testing.plugin"}
            assert not {"numpy", "torch", "jax", "rich", "click"} & set(sys.modules)
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    assert done.ret == pytest.ExitCode.OK
    assert "xentcheck: " not in done.stdout.str()
    assert "= xentcheck =" not in done.stdout.str()
    assert "@pytest.mark.xentcheck(profile, " in pytester.runpytest_inprocess("--markers").stdout.str()
    text = pytester.runpytest_inprocess("--help").stdout.str()
    assert "--xentcheck-impl=PKG.MOD:FN" in text
    assert "xentcheck_impl (string):" in text


ALONE = """
from xentcheck import adapters
adapters.built_in = lambda: ("numpy",)
"""


def test_tests_of_ones_own_may_import_the_matrix(here: pytest.Pytester) -> None:
    """Workers hand over their records even where no option told the controller that there would be any."""
    here.makepyfile(test_mine="from xentcheck.conformance import *", narrowed=NARROWED + ALONE)
    done = here.runpytest_subprocess("-n", "2", "-k", "not laws", "-p", "narrowed")
    assert done.ret == pytest.ExitCode.OK
    done.stdout.re_match_lines([r"agreed: [1-9]\d* of \d+ comparisons .*"])


def test_what_could_not_have_failed_is_skipped(pytester: pytest.Pytester) -> None:
    """What zeros would pass, too, is no green test, in JUnit neither; under a contract that decides all are."""
    case = "gaussian.5x1003.bf16.index.plain.none.up-rand.contig.s0"
    which = ("--xentcheck-adapter", "numpy", "--xentcheck-case", case, "-k", "not laws", "--junitxml", "junit.xml")
    for contract, skipped in (("storage-accumulate", {"a", "dC/dz"}), ("decisive", set())):
        pytester.runpytest_inprocess("--pyargs", "xentcheck.conformance", *which, "--xentcheck-contract", contract)
        tests = list(ElementTree.parse(pytester.path / "junit.xml").iter("testcase"))
        told = {t.attrib["name"].rpartition("-")[2]: s.attrib["message"] for t in tests for s in t.iter("skipped")}
        assert set(told) == {f"{quantity}]" for quantity in skipped}
        assert set(told.values()) <= {"vacuous: a result of zeros would pass as well"}
        assert len(tests) > len(told)


def test_the_module_lies_where_pyargs_finds_it() -> None:
    """`xentcheck.conformance` is a file of the package."""
    assert Path(xentcheck.conformance.__file__).name == "conformance.py"


def test_what_a_run_has_found_is_not_computed_again(pytester: pytest.Pytester) -> None:
    """The same run file, by two workers, with a test for each signature; a record of the
    run that is wrong fails, which alone shows that the file was read.
    """
    chosen = ("--xentcheck-adapter", "numpy", "--xentcheck-dtype", "float32", "-k", "not laws")
    tests = (
        "--pyargs",
        "xentcheck.conformance",
        *chosen,
        *CASES,
        "--xentcheck-case",
        "gaussian.5x10.*.index.*.none.*.contig.*",
    )
    first = pytester.runpytest_inprocess(*tests, "--xentcheck-out", "run.jsonl")
    outcomes = first.parseoutcomes()
    assert set(outcomes) == {"passed", "skipped", "deselected"}
    each = outcomes["passed"] + outcomes["skipped"]
    ids = ("--xentcheck-ids", "signature", "--xentcheck-from", "run.jsonl", "-n", "2")
    again = pytester.runpytest_inprocess(*tests, *ids, "--xentcheck-out", "again.jsonl")
    assert 5 < again.parseoutcomes()["passed"] < each / 2
    run = RunFile.load(pytester.path / "run.jsonl")
    assert RunFile.load(pytester.path / "again.jsonl").records == run.records
    again.stdout.fnmatch_lines([f"records: {each} taken from run.jsonl, 0 computed"])
    wrong = next(r for r in run.records if r.case.startswith("gaussian.5x10.") and r.quantity == "dC/dz")
    planted = [replace(r, outcome="disagree", reason="planted") if r == wrong else r for r in run.records]
    replace(run, records=tuple(planted)).save(pytester.path / "run.jsonl")
    narrow = (*ids, "--xentcheck-case", wrong.case.replace("one", "*"), "--junitxml", "junit.xml")
    failing = pytester.runpytest_inprocess(*tests, *narrow)
    assert failing.ret == pytest.ExitCode.TESTS_FAILED
    name = "-".join((wrong.case, "numpy", "eager", "cpu", "dC/dz"))
    failing.stdout.fnmatch_lines([f"  {wrong.replay}", f"SUBFAILED[[]{name}[]]*::test_matrix[[]*-cpu[]]*"])
    assert wrong.replay in (pytester.path / "junit.xml").read_text()
