"""Declarations: what an adapter says of itself, as the text of a message, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import inf

from xentcheck.reference.bounds.contracts import get as contract_of
from xentcheck.vocabulary import DTYPES, HEADS, OPTIONS, OVERWRITABLE, QUANTITIES, REDUCTIONS

from .base import LABELS, Adapter, Capabilities


def declaration(adapter: Adapter) -> dict[str, str]:
    """Variants, capabilities, contracts and accuracy of an adapter; words are separated by blanks.

    >>> from xentcheck.adapters.numpy.adapter import NumpyAdapter
    >>> declaration(NumpyAdapter())["devices"]
    'cpu'
    """
    c = adapter.capabilities
    return {
        "variants": " ".join(adapter.variants),
        "calling": adapter.calling,
        "guessed": " ".join(sorted(adapter.guessed)),
        "never_set": " ".join(adapter.never_set),
        "options": " ".join(sorted(c.options)),
        "dtypes": " ".join(c.dtypes),
        "reductions": " ".join(c.reductions),
        LABELS: "yes" if c.labels else "no",
        "quantities": " ".join(c.quantities),
        "heads": " ".join(c.heads),
        "devices": " ".join(c.devices),
        "overwrites": " ".join(adapter.overwrites),
        "contracts": json.dumps(adapter.declared),
        "exp_ulps": str(adapter.exp_ulps),
        "log_ulps": str(adapter.log_ulps),
        "accuracies": json.dumps(adapter.accuracies),
        "running_sums": str(adapter.running_sums),
    }


def declare(adapter: Adapter, text: Mapping[str, str]) -> None:
    """Take a declaration over; a missing field leaves the narrowest: logits, cpu, float32, no options.

    Raises ValueError, TypeError or AttributeError for what cannot be read, AdapterError for an unknown contract.
    """
    adapter.variants = tuple(text.get("variants", "eager").split())
    adapter.calling = text.get("calling", "")
    adapter.guessed = frozenset(text.get("guessed", "").split())
    adapter.never_set = tuple(text.get("never_set", "").split())
    adapter.capabilities = Capabilities(
        options=frozenset(_words(text, "options", "", OPTIONS)),
        dtypes=_words(text, "dtypes", "float32", DTYPES),
        reductions=_words(text, "reductions", "mean", REDUCTIONS),
        quantities=_words(text, "quantities", "loss cost dC/dz", QUANTITIES),
        heads=_words(text, "heads", "logits", HEADS),
        devices=tuple(text.get("devices", "cpu").split()),
        labels="yes" in _words(text, LABELS, "yes", ("yes", "no")),
    )
    adapter.overwrites = _words(text, "overwrites", "", OVERWRITABLE)
    rows = json.loads(text.get("contracts", "[]"))
    if contract := text.get("contract"):
        rows = [["*", "*", "*", contract]]
    adapter.contracts, adapter.promised = tuple(_contract(row) for row in rows), ()
    if not adapter.variants or not adapter.capabilities.devices:
        raise ValueError("variants or devices are empty")
    adapter.exp_ulps = float(text.get("exp_ulps", adapter.exp_ulps))
    adapter.log_ulps = float(text.get("log_ulps", adapter.log_ulps))
    accuracies = json.loads(text.get("accuracies", "[]"))
    adapter.accuracies = tuple((str(d), str(t), float(e), float(n)) for d, t, e, n in accuracies)
    adapter.running_sums = int(text.get("running_sums", adapter.running_sums))
    if adapter.running_sums < 0:
        raise ValueError("running_sums is negative")
    ulps = (adapter.exp_ulps, adapter.log_ulps, *(n for row in adapter.accuracies for n in row[2:]))
    if not all(0 <= n < inf for n in ulps):
        raise ValueError("an accuracy is negative or not finite")


def _contract(row: Sequence[str]) -> tuple[str, str, str, str]:
    """One row of contracts. Raises ValueError, or AdapterError for a contract that there is not."""
    device, dtype, family, name = map(str, row)
    return device, dtype, family, contract_of(name).name


def _words(text: Mapping[str, str], name: str, default: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """The words of a field. Raises ValueError for one that is not allowed there."""
    found = tuple(text.get(name, default).split())
    for word in found:
        if word not in allowed:
            raise ValueError(f"{name} has {word!r}; allowed: {', '.join(allowed)}")
    return found
