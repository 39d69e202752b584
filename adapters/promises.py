"""Promises: the contracts that somebody declares for an implementation, by name, whatever its adapter says itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, TypeVar

from xentcheck.errors import AdapterError
from xentcheck.reference.bounds.contracts import get as contract_of
from xentcheck.vocabulary import DTYPES

if TYPE_CHECKING:
    from .base import Adapter

ANY = "*"
"""Stands for every dtype that has no contract of its own."""

Given = str | Mapping[str, str] | None
"""A contract as users write it: its name, or dtype -> name."""

Promised = tuple[tuple[str, str], ...]
"""Dtype, or `*`, and contract: those of single dtypes first, in the order of the vocabulary."""

A = TypeVar("A", bound="Adapter")


def promised(given: Given) -> Promised:
    """A contract as users write it, in the one form that is compared and handed on. Raises AdapterError.

    >>> promised("fused"), promised({"float16": "stash", "bfloat16": "fused"})
    ((('*', 'fused'),), (('bfloat16', 'fused'), ('float16', 'stash')))
    """
    if given is None:
        return ()
    if isinstance(given, str):
        return ((ANY, contract_of(given).name),)
    if not isinstance(given, Mapping):
        raise AdapterError(f"contract is of type {type(given).__name__}; allowed: a name, or a dict of dtype to name")
    if not given:
        raise AdapterError(f"contract has no dtype; allowed: a contract for some of {', '.join(DTYPES)}")
    for dtype in given:
        if dtype not in (*DTYPES, ANY):
            raise AdapterError(f"contract for dtype {dtype!r}, which is not judged; allowed: {', '.join(DTYPES)}")
    return tuple((dtype, contract_of(given[dtype]).name) for dtype in (*DTYPES, ANY) if dtype in given)


def parsed(texts: Sequence[str], option: str) -> Promised:
    """The contracts of an option that may be repeated: NAME, or DTYPE=NAME. Raises AdapterError.

    >>> parsed(["fused", "bfloat16=stash-sum"], "--contract")
    (('bfloat16', 'stash-sum'), ('*', 'fused'))
    """
    found: dict[str, str] = {}
    for text in texts:
        dtype, equals, name = text.rpartition("=")
        if equals and not dtype:
            raise AdapterError(f"{option} {text!r} has no dtype; allowed: NAME, or DTYPE=NAME")
        dtype = dtype or ANY
        if dtype in found:
            where = "for all dtypes" if dtype == ANY else f"for {dtype}"
            raise AdapterError(f"{option} is given twice {where}; allowed: one contract each")
        found[dtype] = name
    try:
        return promised(found) if found else ()
    except AdapterError as error:
        raise AdapterError(f"{option}: {error}") from None


def words(some: Promised) -> str:
    """The options that say it on the command line, each after a blank.

    >>> words((("bfloat16", "stash-sum"), ("*", "fused")))
    ' --contract bfloat16=stash-sum --contract fused'
    """
    return "".join(f" --contract {name if dtype == ANY else f'{dtype}={name}'}" for dtype, name in some)


def code(some: Promised) -> str:
    """The same as a value in Python.

    >>> code((("bfloat16", "stash-sum"),)), code((("*", "fused"),))
    ("{'bfloat16': 'stash-sum'}", "'fused'")
    """
    return repr(some[0][1] if some[0][0] == ANY else dict(some))


def promising(adapter: A, some: Promised) -> A:
    """The adapter, judged by these contracts, which come before all that it declares. Raises AdapterError for none."""
    if not hasattr(adapter, "capabilities"):
        told = f"{type(adapter).__name__} is no adapter"
        raise AdapterError(f"{told}; allowed: the name of one, or what `adapters.from_torch` and its like return")
    if not some:
        return adapter
    chosen = copy(adapter)
    before = {} if ANY in dict(some) else dict(adapter.promised)
    chosen.promised = promised({**before, **dict(some)})
    return chosen


def settled(adapter: A) -> A:
    """The adapter with its promises among what it declares: whoever finds it by name need not repeat them."""
    if not adapter.promised:
        return adapter
    chosen = copy(adapter)
    chosen.contracts, chosen.promised = adapter.declared, ()
    return chosen
