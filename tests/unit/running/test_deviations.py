"""The deviation file: one-line errors, what an entry selects, and strictness in both directions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import DeviationError
from xentcheck.records.file import Header
from xentcheck.records.record import Record
from xentcheck.running.collect import _failures
from xentcheck.running.deviations import SELECTORS, Deviation, Deviations, load
from xentcheck.vocabulary import EXECUTED, OUTCOMES

LINK = "https://example.org/issue/1"
ENTRY = Deviation(adapter="torch", quantity="dC/dz", case="masked.*", reason="a known fault", link=LINK)


def record(**fields: Any) -> Record:
    """A comparison that disagrees, of the kind that ENTRY selects."""
    place = {"adapter": "torch", "variant": "eager", "device": "cpu", "dtype": "float32", "quantity": "dC/dz"}
    rest = {"version": "1", "group": "g", "contract": "stash", "outcome": "disagree", "case": "masked.5x10.f32"}
    return Record(**{**place, **rest, **fields})


def written(folder: Path, text: str) -> Path:
    """A deviation file of this text."""
    path = folder / "deviations.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_entries_are_read(tmp_path: Path) -> None:
    """Needed keys and any selector; what is not named selects everything."""
    selectors = 'adapter = "torch"\nquantity = "dC/dz"\ncase = "masked.*"\n'
    text = f'[[deviation]]\n{selectors}reason = "a known fault"\nlink = "{LINK}"\n'
    assert load(written(tmp_path, text)) == [ENTRY]
    assert load(written(tmp_path, "")) == []
    assert str(ENTRY) == "torch/*/*/*/dC/dz/masked.*"


def test_the_built_in_file_is_read_and_names_known_adapters() -> None:
    """Every entry of the file beside the adapters has a reason, a link, and an adapter that exists."""
    for entry in load():
        assert entry.adapter in adapters.built_in()
        assert entry.reason
        assert entry.link.startswith(("https://", "F.cross_entropy("))


GOOD = f'adapter = "torch"\nreason = "r"\nlink = "{LINK}"\n'

MALFORMED = {
    "not TOML": ("[[deviation", r"is not TOML: .*$"),
    "another table": ("[other]\n", r"has \['other'\]; allowed: \[\[deviation\]\] entries$"),
    "newer": ("schema = 2\n", r"has schema 2; allowed: 1 \(written for another version\)$"),
    "quantity": (f'[[deviation]]\n{GOOD}quantity = "dC/dq"\n', "entry 1: quantity is 'dC/dq'; allowed: a glob of a, l"),
    "dtype": (
        f'[[deviation]]\n{GOOD}dtype = "float8*"\n',
        r"entry 1: dtype is 'float8\*'; allowed: a glob of float",
    ),
    "no list": ('deviation = "x"\n', r"has no list; allowed: \[\[deviation\]\] entries$"),
    "no entry": ("deviation = [1]\n", r"entry 1 has keys 1; needed: adapter, link, reason; allowed: .*$"),
    "missing key": ('[[deviation]]\nadapter = "a"\n', r"entry 1 has keys \['adapter'\]; needed: .*$"),
    "unknown key": (f"[[deviation]]\n{GOOD}seed = 'x'\n", r"entry 1 has keys \[.*'seed'\]; needed: .*; allowed: .*$"),
    "profile": (f"[[deviation]]\n{GOOD}profile = 'x'\n", r"entry 1: profile is 'x'; allowed: quick, full, deep$"),
    "expires": (
        f"[[deviation]]\n{GOOD}expires = 'soon'\n",
        r"entry 1: expires is 'soon'; allowed: a date as .*$",
    ),
    "expires at an hour": (f"[[deviation]]\n{GOOD}expires = 2027-01-31T10:00:00\n", r"entry 1: every value is a .*$"),
    "empty reason": ("[[deviation]]\n" + GOOD.replace('"r"', '""'), r"entry 1: every value is a string that .*$"),
    "no string": (f"[[deviation]]\n{GOOD}[[deviation]]\n{GOOD}case = 5\n", r"entry 2: every value is a string .*$"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_on_one_line(name: str, tmp_path: Path) -> None:
    """The error names the file, the entry and what is allowed."""
    text, message = MALFORMED[name]
    with pytest.raises(DeviationError, match=rf"^deviation file \S*deviations\.toml,? {message}") as found:
        load(written(tmp_path, text))
    assert "\n" not in str(found.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there, and one that is no text."""
    with pytest.raises(DeviationError, match=r"^deviation file \S+ cannot be read: No such file or directory$"):
        load(tmp_path / "none.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeviationError, match=r"^deviation file \S+ is not TOML: .*$"):
        load(path)


@pytest.mark.parametrize("field", SELECTORS)
def test_an_entry_selects_by_every_field(field: str) -> None:
    """A pattern selects by glob, case sensitive, in each of its fields."""
    value = getattr(record(), field)
    fixed = {"adapter": "torch", "reason": "r", "link": LINK}
    for pattern, selected in ((value, True), (value[:2] + "*", True), (value.upper() + "X", False), ("", False)):
        assert Deviation(**{**fixed, field: pattern}).selects(record()) == selected


def test_a_disagreement_that_an_entry_knows_becomes_a_deviation() -> None:
    """Outcome, reason and link change, everything else stays."""
    deviations = Deviations([ENTRY])
    found = deviations.apply(record(share=7.0))
    assert (found.outcome, found.reason, found.link) == ("deviation", "a known fault", LINK)
    assert (found.share, found.case) == (7.0, record().case)
    assert deviations.failures("quick") == []


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if o != "disagree"])
def test_no_other_outcome_is_excused(outcome: str) -> None:
    """A deviation excuses wrong numbers only: errors, crashes and timeouts stay what they are."""
    before = record(outcome=outcome)
    assert Deviations([ENTRY]).apply(before) is before


def test_a_disagreement_that_no_entry_knows_stays_one() -> None:
    """Another quantity of the same case still fails the run."""
    other = record(quantity="cost")
    assert Deviations([ENTRY]).apply(other) is other


def test_an_entry_whose_comparisons_all_agree_is_out_of_date() -> None:
    """An unexpected pass fails the run, whether it is complete or not."""
    deviations = Deviations([ENTRY])
    deviations.apply(record(outcome="agree"))
    deviations.apply(record(outcome="agree", dtype="float64"))
    expected = ["deviation torch/*/*/*/dC/dz/masked.* is out of date: all 2 comparisons agree"]
    assert deviations.failures() == expected
    assert deviations.failures("quick") == expected


def test_an_entry_that_is_met_once_is_up_to_date() -> None:
    """One comparison that still disagrees keeps the entry."""
    deviations = Deviations([ENTRY])
    deviations.apply(record(outcome="agree"))
    deviations.apply(record())
    assert deviations.failures("quick") == []


def test_an_entry_that_selects_nothing_fails_a_complete_run_only() -> None:
    """A selection of cases may leave an entry without comparisons; a whole profile may not."""
    deviations = Deviations([ENTRY])
    deviations.apply(record(quantity="cost", outcome="agree"))
    assert deviations.failures() == []
    assert deviations.failures("quick") == ["deviation torch/*/*/*/dC/dz/masked.* matches no comparison"]


def test_an_entry_is_good_until_its_last_day(tmp_path: Path) -> None:
    """As a date or as text; from the day after on, what it excuses fails the run."""
    for day in ("2027-01-31", '"2027-01-31"'):
        (entry,) = load(written(tmp_path, f"[[deviation]]\n{GOOD}expires = {day}\n"))
        for today, failures in ((31, []), (32, [f"deviation {entry} expired on 2027-01-31"])):
            at_work = Deviations([entry], date(2027, 1, 1) + timedelta(days=today - 1))
            assert at_work.apply(record()).outcome == "deviation"
            assert at_work.failures() == failures


def doubled(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
    """Twice the cost, which an entry may know."""
    cost, gradient = value_and_gradient(logits, target, upstream=upstream, **options)
    return 2 * cost, gradient


@pytest.mark.parametrize(
    ("more", "code"), [('quantity = "cost"', 0), ('quantity = "dC/dz"', 1), ("expires = 2020-01-01", 1)]
)
def test_a_replay_says_what_the_run_said(tmp_path: Path, more: str, code: int, capsys: Any) -> None:
    """A known fault is a deviation there, too, as long as its entry is in force; who does not name the file sees it."""
    case = "ties.2x3.f64.index.plain.mean.up-one.contig.s0"
    path = written(tmp_path, f'[[deviation]]\nadapter = "doubled"\nreason = "known"\nlink = "{LINK}"\n{more}\n')
    assert xentcheck.replay(doubled, case, framework="numpy", deviations=path) == code
    assert ("cost: deviation" in capsys.readouterr().out) == (code == 0)
    assert xentcheck.replay(doubled, case, framework="numpy") == 1


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if o not in EXECUTED])
def test_an_adapter_that_compared_nothing_fails_no_entry(outcome: str) -> None:
    """Where a framework is missing or unsupported, its entries are neither met nor out of date."""
    deviations = Deviations([ENTRY])
    deviations.apply(record(outcome=outcome))
    deviations.apply(record(adapter="jax", outcome="agree"))
    assert deviations.failures("quick") == []


def test_the_first_entry_that_selects_speaks() -> None:
    """Of two entries for one comparison the first is used, and the second counts as matching nothing."""
    wide = Deviation(adapter="torch", reason="wide", link=LINK)
    deviations = Deviations([ENTRY, wide])
    assert deviations.apply(record()).reason == "a known fault"
    assert deviations.failures("quick") == ["deviation torch/*/*/*/*/* matches no comparison"]


def test_an_entry_for_cases_of_a_later_profile_is_not_missed_before() -> None:
    """It is due from its own profile on."""
    later = replace(ENTRY, profile="full")
    deviations = Deviations([later])
    deviations.apply(record(case="other.5x10.f32"))
    assert deviations.failures("quick") == []
    assert deviations.failures("full") == deviations.failures("deep") == [f"deviation {later} matches no comparison"]


def test_every_built_in_entry_has_cases_in_its_profile() -> None:
    """No entry waits for a case that nobody runs: this alone proves it, by the ids of whole profiles."""
    entries = load()
    ids = {profile: list(map(str, cases(profile))) for profile in {entry.profile for entry in entries}}
    for entry in entries:
        assert any(fnmatchcase(case, entry.case) for case in ids[entry.profile])


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_that_was_stopped_does_not_miss_what_it_did_not_reach(stopped: bool) -> None:
    """A whole one says that an entry matches nothing."""
    deviations = Deviations([ENTRY])
    deviations.apply(record(case="gaussian.5x10.f32", outcome="agree"))
    header = Header(
        version="", generator=1, seed=0, profile="full", catalogue=(), environment={}, host={}, planned=1, selection=(),
    )  # fmt: skip
    assert header.complete
    told = _failures(header, [], deviations, stopped=stopped)
    assert told == (["stopped at the first failure"] if stopped else [f"deviation {ENTRY} matches no comparison"])
