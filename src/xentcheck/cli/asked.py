"""The options that say whom a command asks, in one place: it gets the implementations, and what they promise."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import click

from xentcheck.adapters.promises import Promised, parsed
from xentcheck.adapters.spec import FRAMEWORKS, Spec, specs_of
from xentcheck.errors import AdapterError
from xentcheck.vocabulary import OVERWRITABLE, TIMEOUT

from .options import finite

Command = Callable[..., int]

ADAPTERS = click.option(
    "--adapter", "adapters", multiple=True, metavar="NAME", help="numpy, torch, jax or an installed one; repeatable."
)
IMPLEMENTATION = (
    click.option("--impl", "implementation", metavar="PKG.MOD:FN", help="Your own function: module and name."),
    click.option(
        "--framework",
        metavar="|".join(FRAMEWORKS),
        help="What --impl is written in; default: torch or jax, whichever its module imports; process: --impl is a "
        "command line of any language.",
    ),
)
CONTRACT = click.option(
    "--contract",
    "contracts",
    multiple=True,
    metavar="[DTYPE=]NAME",
    help="Contract to judge by, whatever is declared; repeatable, one for each dtype (`xentcheck grade` finds it).",
)
IN_A_PROCESS = (
    click.option(
        "--overwrites",
        multiple=True,
        type=click.Choice(OVERWRITABLE),
        help="Input that --impl overwrites on purpose: shown, and no failure.",
    ),
    click.option(
        "--isolation",
        default="process",
        show_default=True,
        type=click.Choice(["process", "none"]),
        help="process: your function runs in a process of its own, and a crash or a hang is one failure. none, for "
        "debuggers: it runs in this process, and a crash ends the run, never with exit code 0.",
    ),
    click.option(
        "--timeout",
        default=TIMEOUT,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True, max=1e6),
        callback=finite("seconds"),
        help="Seconds for one call in that process; three times as many for the first call of each kind, which may "
        "compile.",
    ),
)


def asks_any(command: Command) -> Command:
    """The command gets `specs` and `promised` from the options that name implementations, and say how to call them."""

    @wraps(command)
    def call(
        *,
        adapters: tuple[str, ...],
        implementation: str | None,
        framework: str | None,
        overwrites: tuple[str, ...],
        isolation: str,
        timeout: float,
        contracts: tuple[str, ...],
        **others: object,
    ) -> int:
        promised = contracts_of(contracts)
        limit = timeout if isolation == "process" else 0
        specs = specs_of(adapters, implementation, framework, limit, contracts=promised, overwrites=overwrites)
        return command(specs=tuple(specs), promised=promised, **others)

    return _with(call, ADAPTERS, *IMPLEMENTATION, *IN_A_PROCESS, CONTRACT)


def asks_one(command: Command) -> Command:
    """The command gets `spec`, of the one implementation that its argument or --impl names. Raises AdapterError."""

    @wraps(command)
    def call(
        *,
        adapter: str | None,
        implementation: str | None,
        framework: str | None,
        contracts: tuple[str, ...],
        **others: object,
    ) -> int:
        named = (adapter,) if adapter else ()
        specs = specs_of(named, implementation, framework, contracts=contracts_of(contracts))
        if len(specs) != 1:
            raise AdapterError(f"{command.__name__} needs one implementation: ADAPTER, or --impl with --framework")
        return command(spec=specs[0], **others)

    return _with(call, click.argument("adapter", required=False), *IMPLEMENTATION, CONTRACT)


def contracts_of(texts: tuple[str, ...]) -> Promised:
    """The contracts named on the command line. Raises AdapterError."""
    return parsed(texts, "--contract")


def only(specs: tuple[Spec, ...], what: str) -> Spec:
    """The one implementation that was named. Raises AdapterError for none or several."""
    if len(specs) != 1:
        raise AdapterError(f"{what} needs one implementation: --adapter NAME, or --impl with --framework")
    return specs[0]


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
