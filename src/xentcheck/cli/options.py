"""What the commands' options share: their names, and how text becomes subjects, processes and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xentcheck.vocabulary import DTYPES, OVERWRITABLE, TIMEOUT

if TYPE_CHECKING:
    from xentcheck.adapters.promises import Promised


def finite(what: str) -> Callable[[click.Context, click.Parameter, float], float]:
    """A callback that raises click.BadParameter for nan and infinity, which no range excludes."""

    def check(context: click.Context, option: click.Parameter, number: float) -> float:
        if not isfinite(number):
            raise click.BadParameter(f"{number}; allowed: a number of {what}", param_hint=option.opts[0])
        return number

    return check


adapter_option = click.option(
    "--adapter", "adapters", multiple=True, metavar="NAME", help="Built-in adapter; repeatable."
)
impl_option = click.option("--impl", "implementation", metavar="PKG.MOD:FN", help="A function of your own.")
framework_option = click.option(
    "--framework", metavar="torch|jax|numpy|process", help="What --impl is written in; process: IMPL is a command line."
)
overwrites_option = click.option(
    "--overwrites",
    multiple=True,
    type=click.Choice(OVERWRITABLE),
    help="What --impl says that it overwrites; that is shown, and no failure.",
)
isolation_option = click.option(
    "--isolation",
    default="process",
    show_default=True,
    type=click.Choice(["process", "none"]),
    help="Run what is not built in in a process of its own, so that it may crash or hang; none: for debuggers, as "
    "a crash or os._exit() then ends the run, never with exit code 0.",
)
timeout_option = click.option(
    "--timeout",
    default=TIMEOUT,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    callback=finite("seconds"),
    help="Seconds for one call in that process; the first of each kind, which may compile, has three times as many.",
)
dtype_option = click.option(
    "--dtype", "dtypes", multiple=True, metavar="|".join(DTYPES), help="Repeatable; default all."
)
device_option = click.option(
    "--device", "devices", multiple=True, metavar="cpu|cuda|gpu", help="Repeatable; default all there are."
)
seed_option = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0, max=2**63), help="Another draw of every case."
)
deviations_option = click.option(
    "--deviations", type=click.Path(path_type=Path), help="TOML file of known faults, besides the built-in one."
)
contract_option = click.option(
    "--contract",
    "contracts",
    multiple=True,
    metavar="[DTYPE=]NAME",
    help="The arithmetic promised, whatever is declared; repeatable, one for each dtype.",
)
FROM_0 = click.IntRange(min=0, max=10**9)
FROM_1 = click.IntRange(min=1, max=10**9)
"""Counts, which have an upper end, too: more rows, rounds or elements than anybody waits for."""

MOST_SHARDS = 1000
"""No profile has more groups of cases that take long."""

MOST_JOBS = 1000
"""No machine has memory for more workers."""

LARGEST_SIZE = 10**9
"""No machine has memory for a row of more classes, or time for more rows."""

jobs_option = click.option("-j", "--jobs", default="1", show_default=True, metavar="N|auto", help="Worker processes.")


def contracts_of(texts: Sequence[str], option: str = "--contract") -> Promised:
    """The contracts named on the command line. Raises AdapterError."""
    from xentcheck.adapters.promises import parsed

    return parsed(texts, option)


def jobs_of(text: str) -> int:
    """The number of worker processes. Raises click.BadParameter."""
    if text == "auto":
        return os.cpu_count() or 1
    if (jobs := _whole(text, MOST_JOBS)) is None:
        told = f"{shown(text)}; allowed: a number of processes from 1 to {MOST_JOBS}, or auto"
        raise click.BadParameter(told, param_hint="-j")
    return jobs


def _whole(text: str, most: int) -> int | None:
    """A number from 1 to the largest one, or None: digits beyond Python's own limit are no number of anything."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most else None


def shown(text: str) -> str:
    """A value as an error shows it: quoted, and not longer than a line has room for.

    >>> shown("9" * 5000)
    "'99999999999999999999...'"
    """
    return repr(text if len(text) <= 20 else f"{text[:20]}...")


def shard_of(text: str) -> tuple[int, int]:
    """K and N of "K/N", the K-th of N parts. Raises click.BadParameter."""
    k, n = (_whole(part, MOST_SHARDS) for part in text.partition("/")[::2])
    if k is None or n is None or k > n:
        told = f"{shown(text)}; allowed: K/N, K from 1 to N, N at most {MOST_SHARDS}"
        raise click.BadParameter(told, param_hint="--shard")
    return k, n


def numbers_of(text: str, option: str) -> list[float]:
    """Numbers separated by commas. Raises click.BadParameter."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        told = f"{shown(text)}; allowed: numbers separated by commas"
        raise click.BadParameter(told, param_hint=option) from None


def sizes_of(text: str, option: str) -> tuple[int, int]:
    """N and C. Raises click.BadParameter."""
    n, c, *more = (*(_whole(part, LARGEST_SIZE) for part in text.split(",")), None)
    if n is None or c is None or len(more) != 1:
        told = f"{shown(text)}; allowed: N,C, two numbers from 1 to {LARGEST_SIZE}"
        raise click.BadParameter(told, param_hint=option)
    return n, c
