"""Subjects of a run: adapter x variant x device, resolved from names or from the functions of a user."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.promises import code, words
from xentcheck.adapters.registry import built_in
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.cases.fields import SMOOTHING
from xentcheck.cases.profiles.alone import COMBINED
from xentcheck.cases.profiles.reserved import reserved_for
from xentcheck.cases.profiles.sets import EAGER, EAGER_SHAPE, SHARP
from xentcheck.errors import AdapterError, DtypeError, UnavailableError, XentcheckError, declaring
from xentcheck.judging.power.required import NARROW
from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import CATALOGUE, DEFAULT, Contract, get
from xentcheck.vocabulary import DTYPES, QUANTITIES, REDUCTIONS, refusal

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.cases import Case


@dataclass(frozen=True, eq=False)
class Subject:
    """One adapter variant on one device; `missing` says why it cannot run here; `command` names it to a shell.

    graded, explained: whether its records have the shares of the other contracts, and the causes of what disagrees.
    always: whether it takes every case, as who asks for one by name expects.
    """

    adapter: Adapter
    variant: str
    device: str
    command: str
    missing: str = ""
    graded: bool = True
    explained: bool = True
    always: bool = False

    def outcomes_only(self) -> Subject:
        """The same for who looks at outcomes only: without grades and causes, which most of the work is for."""
        return replace(self, graded=False, explained=False)

    def replay(self, case: Case) -> str:
        """The line that runs one case again: a command, or Python for what no other process can import."""
        if self.command:
            return f"xentcheck replay {case} {self.command} --device {self.device} --variant {self.variant}"
        contract = f", contract={code(self.adapter.promised)}" if self.adapter.promised else ""
        place = f'device="{self.device}", variant="{self.variant}"'
        if self.adapter.calling and self.adapter.package in built_in():
            place = f'framework="{self.adapter.package}", {place}'  # it may be at hand as a function only
        name = self.adapter.name if self.adapter.name.isidentifier() else "implementation"
        return f'xentcheck.replay({name}, "{case}", {place}{contract})'

    @property
    def is_main(self) -> bool:
        """Whether this is the adapter's main variant."""
        return self.variant == self.adapter.variants[0]

    @property
    def compiles(self) -> bool:
        """Whether each problem of another shape, or with another option, costs a compilation."""
        return "jit" in self.adapter.variants

    @property
    def combines(self) -> bool:
        """Whether it takes the cases in which options, shapes, strides and reductions stand beside each other."""
        known = self.adapter.capabilities
        return known.options >= COMBINED and set(known.reductions) == set(REDUCTIONS)

    def takes(self, case: Case) -> bool:
        """Whether the subject runs a case.

        Other variants than the main one run on one shape: on means, and on one family of sums and losses, there in a
        narrow dtype without smoothing, which so few cases cannot tell from none. Tiny cases are for those judged by the
        default contract or as `stable`, and a few of the means for their other variants; linear ones are for those that
        have no logits, those with one option alone for those that do not combine all, those of one
        size, reduction or number of axes, too, and varied ones, and those beside options, for what compiles nothing.
        """
        if self.always:
            return True
        if reserved := reserved_for(case):
            capabilities = self.adapter.capabilities
            wants = {
                "tiny": self.adapter.contract_for(self.device, case.dtype, "dC/dz") in (DEFAULT, "stable"),
                "linear": "logits" not in capabilities.heads,
                **dict.fromkeys(("alone", "combined", "sized", "reduced"), not self.combines),
                **dict.fromkeys(("varied", "shaped", "beside"), not self.compiles),
            }
            few = reserved == "tiny" and case.reduction == "mean" and case.family in SHARP[:2]
            return wants[reserved] and (self.is_main or few)
        if self.is_main:
            return True
        plain = not case.inputs and "dir" not in case.options and case.layout == ("contig",) and case.target != "u8"
        smoothed = case.dtype in NARROW and not SMOOTHING.keys().isdisjoint(case.options)
        met = case.family in EAGER if case.reduction == "mean" else case.family in SHARP[:1] and not smoothed
        return plain and case.shape == EAGER_SHAPE and met


def subjects_of(adapter: Adapter, devices: Sequence[str] | None = None, command: str = "") -> list[Subject]:
    """The subjects of an adapter on those of the devices named that it declares, or on all that this machine has.

    Raises UnavailableError for a device that is declared and not there.
    """
    declared = adapter.capabilities.devices
    named = [d for d in devices or () if d in declared]
    with declaring(adapter.name):
        missing = adapter.unavailable()
        seen = () if missing else adapter.devices()
        missing = missing or adapter.unavailable()
    if devices and not missing:
        absent = [d for d in named if d not in seen]
        if absent:
            raise UnavailableError(f"{adapter.name} sees no device {absent[0]!r}; available: {', '.join(seen)}")
    chosen = tuple(named) if devices else (seen or declared[:1])
    command = command or adapter.command
    command += words(adapter.promised) if command else ""
    return [Subject(adapter, variant, device, command, missing) for device in chosen for variant in adapter.variants]


def narrowed_to(
    dtypes: Collection[str] | None, devices: Collection[str] | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Dtypes and devices that somebody names to Python; None: all. Raises DtypeError or AdapterError for none."""
    found = _words("dtypes", dtypes, DtypeError, f"some of {', '.join(DTYPES)}")
    return found, _words("devices", devices, AdapterError, "cpu, cuda, gpu")


def _words(
    what: str, given: Collection[str] | None, error: type[XentcheckError], allowed: str
) -> tuple[str, ...] | None:
    """The words of a collection; a single one is a collection of one. Raises the error where there is none."""
    if given is None:
        return None
    words = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Collection) else ()
    if not words:
        raise error(f"{what} is {'empty' if isinstance(given, Collection) else repr(given)}; allowed: {allowed}")
    return words


def subjects_among(adapter: Adapter, devices: Sequence[str] | None) -> list[Subject]:
    """`subjects_of`; each device must be one that the adapter declares. Raises AdapterError or UnavailableError."""
    subjects = subjects_of(adapter, devices)
    if absent := [device for device in devices or () if device not in adapter.capabilities.devices]:
        allowed = ", ".join(adapter.capabilities.devices)
        raise AdapterError(f"adapter {adapter.name} has no device among {', '.join(absent)}; allowed: {allowed}")
    return subjects


def subject_on(adapter: Adapter, device: str, variant: str | None = None, command: str = "") -> Subject:
    """The subject of one variant of an adapter, its first if none is named, on one device.

    Raises AdapterError for a device or variant that the adapter does not declare, UnavailableError for what is not
    there.
    """
    if missing := adapter.unavailable():
        raise UnavailableError(f"adapter {adapter.name}: {missing}")
    if device not in adapter.capabilities.devices:
        allowed = ", ".join(adapter.capabilities.devices)
        raise AdapterError(f"adapter {adapter.name} has no device {device!r}; allowed: {allowed}")
    chosen = variant or adapter.variants[0]
    for subject in subjects_of(adapter, [device], command):
        if subject.variant == chosen:
            return subject
    raise AdapterError(f"adapter {adapter.name} has no variant {chosen!r}; allowed: {', '.join(adapter.variants)}")


def subjects_named(
    specs: Sequence[Spec], devices: Sequence[str], dtypes: Sequence[str], *, by_name: bool
) -> list[Subject]:
    """The subjects of all specs.

    by_name: somebody asked for these, so that what is missing, or cannot take a dtype, is bad input. Raises
    UnavailableError, DtypeError or AdapterError.
    """
    subjects: list[Subject] = []
    for spec in specs:
        adapter = resolve(spec)
        if any(subject.adapter.name == adapter.name for subject in subjects):
            raise AdapterError(f"two implementations are called {adapter.name!r}; allowed: each name once")
        if by_name and (missing := adapter.unavailable()):
            raise UnavailableError(f"adapter {adapter.name}: {missing}")
        for dtype in dtypes:
            if by_name and dtype not in adapter.capabilities.dtypes:
                allowed = ", ".join(adapter.capabilities.dtypes)
                why = refusal(("dtype", dtype), adapter.refused.get(dtype, ""))
                raise DtypeError(f"adapter {adapter.name} has no {why}; allowed: {allowed}")
        subjects += subjects_of(adapter, devices or None, spec.command)
    declared = {device for spec in specs for device in resolve(spec).capabilities.devices}
    if absent := [device for device in devices if device not in declared]:
        allowed = ", ".join(sorted(declared))
        raise AdapterError(f"no adapter has a device among {', '.join(absent)}; allowed: {allowed}")
    return subjects


def contracts_of(subject: Subject, dtype: str) -> tuple[dict[str, Contract], tuple[Contract, ...]]:
    """The contract that each quantity of a subject is judged by, and the catalogue for its grade."""
    adapter = subject.adapter
    exp_ulps, log_ulps = adapter.accuracy_for(subject.device, dtype)
    catalogue, different = _catalogue(exp_ulps, log_ulps, adapter.running_sums, dtype)
    declared = {q: catalogue[get(adapter.contract_for(subject.device, dtype, q)).name] for q in QUANTITIES}
    return declared, different


def contract_of(subject: Subject, dtype: str, quantity: str, result: Any) -> Contract:
    """The contract that one result of a subject is judged by, in whatever dtype it came."""
    return contracts_of(subject, dtype)[0][quantity].returning(str(np.asarray(result).dtype), dtype)


@cache
def _catalogue(
    exp_ulps: float, log_ulps: float, running_sums: int, dtype: str
) -> tuple[dict[str, Contract], tuple[Contract, ...]]:
    """The contracts by name for functions of such an accuracy and such sums, and those that differ in a dtype."""
    catalogue = {
        name: contract.with_accuracy(exp_ulps, log_ulps).with_sums(running_sums) for name, contract in CATALOGUE.items()
    }
    return catalogue, distinct(tuple(catalogue.values()), dtype)
