"""The pytest plugin: options, marker, fixture, header, verdict. It costs a run that does not use it nothing.

Nothing but pytest is imported here; what an option, the marker, the fixture or `xentcheck.conformance` asks for is
imported then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .options import CARRIED, OPTIONS, option, used

if TYPE_CHECKING:
    from .collector import Collector
    from .given import HandedCase
    from .plan import Plan


MARKER = (
    "xentcheck(profile, seed, dtypes, cases, options, reductions): which cases the fixture xentcheck_case yields, "
    "and what the implementation supports"
)

PLAN: pytest.StashKey[Plan] = pytest.StashKey()
COLLECTOR: pytest.StashKey[Collector] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xentcheck", "softmax cross-entropy and its gradients")
    for name, kind, values, text in OPTIONS:
        action = "append" if kind == "args" else "store"
        group.addoption(f"--xentcheck-{name}", action=action, metavar=values, help=text)
        parser.addini(f"xentcheck_{name}", text, type=kind, default=None)  # type: ignore[arg-type]  # a literal


def plan_of(config: pytest.Config) -> Plan:
    """What the options ask for, and who gathers the findings. Raises pytest.UsageError."""
    if PLAN not in config.stash:
        from .collector import Collector
        from .plan import Plan

        config.stash[PLAN] = plan = Plan(config)
        config.stash[COLLECTOR] = collector = Collector(plan, config)
        config.pluginmanager.register(collector, "xentcheck-collector")
    return config.stash[PLAN]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if used(config):
        plan_of(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """A worker of xdist has told all that it knows: it ends at once, as the controller waits for it."""
    if PLAN in config.stash and hasattr(config, "workerinput"):
        from .ending import end_at_once

        end_at_once()


def pytest_report_header(config: pytest.Config) -> list[str]:
    return plan_of(config).header_lines() if PLAN in config.stash else []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `pytest -n` keep the cases of one signature on one worker: they share compilations."""
    if PLAN not in config.stash or config.getoption("dist") != "load":
        return None
    from .scheduling import by_signature

    return by_signature(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The fixture's cases, by the marker nearest to the test."""
    if "xentcheck_case" not in metafunc.fixturenames:
        return
    from xentcheck.cases.selection import matches

    from .given import marked_cases

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
    from .given import HandedCase

    return HandedCase(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: Any) -> None:
    """Take over what a worker of xdist has found."""
    if found := vars(report).pop(CARRIED, None):
        plan_of(report.node.config)
        report.node.config.stash[COLLECTOR].receive(found)
