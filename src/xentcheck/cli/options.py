"""What the commands' options share: their names, and how text becomes processes and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import click

from xentcheck.vocabulary import DTYPES


def finite(what: str) -> Callable[[click.Context, click.Parameter, float], float]:
    """A callback that raises click.BadParameter for nan and infinity, which no range excludes."""

    def check(context: click.Context, option: click.Parameter, number: float) -> float:
        if not isfinite(number):
            raise click.BadParameter(f"{number}; allowed: a number of {what}", param_hint=option.opts[0])
        return number

    return check


dtype_option = click.option(
    "--dtype", "dtypes", multiple=True, metavar="|".join(DTYPES), help="Only this dtype; repeatable. Default: all."
)
device_option = click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="cpu|cuda|gpu",
    help="Only this device; repeatable. Default: all that there are.",
)
seed_option = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0, max=2**63),
    help="Another number draws other logits and targets for every case.",
)
deviations_option = click.option(
    "--deviations",
    type=click.Path(path_type=Path),
    help="TOML file of known faults, which do not fail the run; see docs/ci.md.",
)
FROM_0 = click.IntRange(min=0, max=10**9)
FROM_1 = click.IntRange(min=1, max=10**9)
"""Counts, which have an upper end, too: more rows, rounds or elements than anybody waits for."""

MANY_CASES = "How many cases: quick meets every pair of option levels, full every three, deep every four."
"""What --profile says."""

MOST_SHARDS = 1000
"""No profile has more groups of cases that take long."""

MOST_JOBS = 1000
"""No machine has memory for more workers."""

LARGEST_SIZE = 10**9
"""No machine has memory for a row of more classes, or time for more rows."""

out_option = click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file to write.")

jobs_option = click.option("-j", "--jobs", default="1", show_default=True, metavar="N|auto", help="Worker processes.")


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
