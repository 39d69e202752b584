"""What Python is given is refused in one line that says what is allowed, before anything is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click
import pytest

from xentcheck import adapters
from xentcheck.adapters.spec import Spec, imported
from xentcheck.adapters.wrap.functions import command_of
from xentcheck.cases import Case
from xentcheck.cases.selection import law_dtypes
from xentcheck.cli.options import jobs_of
from xentcheck.errors import AdapterError, DeviationError
from xentcheck.running.deviations import known_with
from xentcheck.running.subjects import subjects_among, subjects_named

NUMPY = Spec("numpy", timeout=0)

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "deviations": (lambda: known_with(3), DeviationError, "deviations is of type int; allowed: a TOML file"),
    "a-name-twice": (
        lambda: subjects_named([NUMPY, NUMPY], [], [], by_name=True),
        AdapterError,
        "two implementations are called 'numpy'; allowed: each name once",
    ),
    "a-device-that-no-adapter-has": (
        lambda: subjects_named([NUMPY], ["cpu", "tpu"], [], by_name=True),
        AdapterError,
        "no adapter has a device among tpu; allowed: cpu",
    ),
    "a-device-that-this-one-lacks": (
        lambda: subjects_among(adapters.get("numpy"), ["tpu"]),
        AdapterError,
        "adapter numpy has no device among tpu; allowed: cpu",
    ),
    "a-framework": (
        lambda: imported(Spec("math:exp", "tensor")),
        AdapterError,
        "unknown framework 'tensor'; allowed: torch, jax, numpy, process",
    ),
    "no-command": (
        lambda: adapters.from_process([]),
        AdapterError,
        "from_process got no command; allowed: a program and its arguments",
    ),
    "a-head": (
        lambda: adapters.from_torch(math.exp, head="tail"),
        AdapterError,
        "head is 'tail'; allowed: logits, layer",
    ),
    "no-processes": (
        lambda: jobs_of("0"),
        click.BadParameter,
        "'0'; allowed: a number of processes from 1 to 1000, or auto",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_words_are_refused_in_one_line(name: str) -> None:
    """What, and what is allowed."""
    call, error, text = REFUSED[name]
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == text


def test_devices_that_are_there_are_taken() -> None:
    """By one adapter, and by all of them."""
    assert [s.device for s in subjects_among(adapters.get("numpy"), ["cpu"])] == ["cpu"]
    assert [s.device for s in subjects_named([NUMPY], ["cpu"], ["float32"], by_name=True)] == ["cpu"]


def test_laws_of_quick_are_asked_in_float32_where_it_is_chosen() -> None:
    """Else in the first dtype; of other profiles in all."""
    chosen = [Case(family="gaussian", shape=(2, 3), dtype=dtype) for dtype in ("float64", "float32", "bfloat16")]
    assert law_dtypes(chosen, "quick") == ("float32",)
    assert law_dtypes(chosen[::2], "quick") == ("float64",)
    assert law_dtypes(chosen, "full") == ("float64", "float32", "bfloat16")


def test_another_process_finds_functions_of_modules_only() -> None:
    """Not those that are made in a function."""
    assert command_of(jobs_of, "torch") == "--impl xentcheck.cli.options:jobs_of --framework torch"
    assert command_of(lambda: 0, "torch") == ""
