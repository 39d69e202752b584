"""The pytest plugin: options, marker, fixture, header, verdict. It costs a run that does not use it nothing.

Nothing but pytest is imported here; what an option, the marker, the fixture or `xentcheck.conformance` asks for is
imported then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .handed import HandedCase
    from .pytest_matrix import Collector, Plan

OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("adapter", "args", "NAME", "adapter to test; repeatable"),
    ("impl", "string", "PKG.MOD:FN", "a function of your own to test"),
    ("framework", "string", "torch|jax|numpy|process", "what the function is written in"),
    ("overwrites", "args", "logits", "what the function says that it overwrites; repeatable"),
    ("profile", "string", "quick|full|deep", "how many cases; default quick"),
    ("seed", "string", "S", "another draw of every case; default 0"),
    ("dtype", "args", "DTYPE", "only this dtype; repeatable"),
    ("device", "args", "DEVICE", "only this device; repeatable"),
    ("case", "args", "GLOB", "only cases whose id matches; repeatable"),
    (
        "contract",
        "args",
        "[DTYPE=]NAME",
        "the arithmetic promised, whatever is declared; repeatable, one a dtype",
    ),
    ("isolation", "string", "process|none", "run what is not built in in a process of its own; default process"),
    ("timeout", "string", "SECONDS", "for one call in that process, compilation apart; default 60"),
    ("deviations", "string", "FILE", "TOML file of known faults, besides the built-in one"),
    ("out", "string", "FILE", "run file to write"),
    ("report", "string", "DIR", "folder for the report"),
)
"""name, kind, values and help of each option `--xentcheck-NAME`, and of its ini equivalent `xentcheck_NAME`."""

MARKER = (
    "xentcheck(profile, seed, dtypes, cases, options, reductions): which cases the fixture xentcheck_case yields, "
    "and what the implementation supports"
)
MATRIX = "xentcheck.conformance"

PLAN: pytest.StashKey[Plan] = pytest.StashKey()
COLLECTOR: pytest.StashKey[Collector] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xentcheck", "softmax cross-entropy and its gradients")
    for name, kind, values, text in OPTIONS:
        action = "append" if kind == "args" else "store"
        group.addoption(f"--xentcheck-{name}", action=action, metavar=values, help=text)
        parser.addini(f"xentcheck_{name}", text, type=kind, default=None)  # type: ignore[arg-type]  # a literal


def given(config: pytest.Config, name: str) -> Any:
    """What the command line says, else the ini file; None if neither does."""
    said = config.getoption(f"--xentcheck-{name}")
    return config.getini(f"xentcheck_{name}") if said is None else said


def option(config: pytest.Config, name: str) -> Any:
    """What is given; None, or an empty list for what may be repeated, if nothing is. Raises pytest.UsageError."""
    _, kind, values, _ = next(row for row in OPTIONS if row[0] == name)
    said = given(config, name)
    if said is None:
        return [] if kind == "args" else None
    words = said if kind == "args" else [said]
    if not words or not all(word.strip() for word in words):  # as of a variable that is not set
        raise pytest.UsageError(f"--xentcheck-{name} is {''.join(words)!r}, which names nothing; allowed: {values}")
    return said


def used(config: pytest.Config) -> bool:
    """Whether an option is given, or the conformance tests are named."""
    return any(MATRIX in str(arg) for arg in config.args) or any(option(config, name) for name, *_ in OPTIONS)


def plan_of(config: pytest.Config) -> Plan:
    """What the options ask for, and who gathers the findings. Raises pytest.UsageError."""
    if PLAN not in config.stash:
        from .pytest_matrix import Collector, Plan

        config.stash[PLAN] = plan = Plan(config)
        config.stash[COLLECTOR] = collector = Collector(plan, config)
        config.pluginmanager.register(collector, "xentcheck-collector")
    return config.stash[PLAN]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if used(config):
        plan_of(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return plan_of(config).header_lines() if PLAN in config.stash else []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `pytest -n` keep the cases of one signature on one worker: they share compilations."""
    if PLAN not in config.stash or config.getoption("dist") != "load":
        return None
    from .pytest_matrix import by_signature

    return by_signature(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The fixture's cases, by the marker nearest to the test."""
    if "xentcheck_case" not in metafunc.fixturenames:
        return
    from xentcheck.cases.selection import matches

    from .handed import marked_cases

    marker = metafunc.definition.get_closest_marker("xentcheck")
    given = marker.kwargs if marker else {}
    if marker and marker.args:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: the marker xentcheck takes keywords only: {MARKER}")
    found = marked_cases(metafunc.definition.nodeid, given)
    dtypes, patterns = (option(metafunc.config, name) for name in ("dtype", "case"))
    found = [c for c in found if (not dtypes or c.dtype in dtypes) and matches(c, patterns)]
    metafunc.parametrize("xentcheck_case", found, ids=[str(case) for case in found], indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """A test that takes a case and compares nothing fails; one that hands over conventions only is skipped."""
    result = yield
    case: Any = pyfuncitem.funcargs.get("xentcheck_case")
    if case is not None and case.handed and not case.judged:
        pytest.skip(f"{case.id}: nothing in it can be decided (a convention, no elements, or saturated)")
    if case is not None and not case.judged:
        pytest.fail(f"{case.id}: nothing was compared; call xentcheck_case.assert_agrees", pytrace=False)
    return result


@pytest.fixture
def xentcheck_case(request: pytest.FixtureRequest) -> HandedCase:
    """One case after another: `.problem` with its arrays, and `.assert_agrees({"loss": ..., "dC/dz": ...})`."""
    from .handed import HandedCase

    return HandedCase(request.param)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of xdist has found."""
    if found := getattr(node, "workeroutput", {}).get("xentcheck"):
        plan_of(node.config)
        node.config.stash[COLLECTOR].receive(found)
