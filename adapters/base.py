"""Adapter: one implementation under test, from a problem's arrays to its results as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata, util
from types import MappingProxyType
from typing import Any

from xentcheck.errors import AdapterError, UnavailableError, foreign, told
from xentcheck.reference.bounds.contracts import DEFAULT
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES, OPTIONS, QUANTITIES, QUANTITY_FAMILIES, REDUCTIONS, VALUES

from .needs import Lack, adds_up_to_1, needed_options

LAYER = ("a_prev", "w", "b")
"""The arrays of fused linear losses, in the order in which they get them: of functions of (x, weight, bias, target),
which never show their logits x weight^T + bias. They are judged by dC/dx (dC/da_prev), dC/dweight and dC/dbias.
"""

OF = {"dC/da_prev": "a_prev", "dC/dw": "w", "dC/db": "b"}
"""What each of these gradients is taken of."""

LAYER_QUANTITIES = (*VALUES, *OF)
"""The quantities of fused linear losses."""

LABELS = "labels"
"""Class indices as targets, in reasons and declarations."""

SHORT = "rows that do not add up to 1"
"""Rows of probabilities that a function may refuse, in reasons."""

ALL_SMOOTHED, CLASS_IGNORED = "label_smoothing of 1", "ignore_index that is a class"
"""Values of options that a function may refuse, in reasons."""

REFUSABLE: dict[str, tuple[str, Callable[[Problem], bool]]] = {
    SHORT: ("target", lambda p: p.probabilities and not adds_up_to_1(p)),
    ALL_SMOOTHED: ("option", lambda p: p.label_smoothing == 1),
    CLASS_IGNORED: ("option", lambda p: not p.probabilities and 0 <= p.ignore_index < p.classes),
}
"""By name: of what kind it is, and which problems have what a function may refuse although it takes the option;
`wrap.trying.refusals.VALUES` has a problem of each.
"""


@dataclass(frozen=True)
class Result:
    """What an implementation returned: quantity -> array, exactly as it came (dtype and shape are judged).

    changed_inputs: names of the input arrays whose elements differ after the call, `beside_` before those of arrays
    whose gaps do. warnings: what it warned of, where that was caught in another process.
    """

    values: Mapping[str, Array]
    changed_inputs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an adapter declares to support; everything else is `unsupported`, never silently skipped.

    labels: whether it takes class indices; one that does not takes rows of probabilities (option `probabilities`).
    """

    options: frozenset[str] = frozenset(OPTIONS)
    dtypes: tuple[str, ...] = DTYPES
    devices: tuple[str, ...] = ("cpu",)
    reductions: tuple[str, ...] = REDUCTIONS
    quantities: tuple[str, ...] = QUANTITIES
    heads: tuple[str, ...] = ("logits",)
    labels: bool = True


class Adapter(ABC):
    """One implementation under test. The constructor imports no framework: `unavailable` says whether it could.

    name: as on the command line. package: the distribution whose version is recorded. variants: ways to call it, the
    main one first. contracts: the arithmetic it promises, as rows (device, dtype, quantity family, contract) with `*`
    for any, the first that fits; where none fits it is judged by the default contract. promised: what somebody declared
    for it, pairs of dtype (or `*`) and contract; it comes before the rows. accuracies: how well it evaluates exp and
    log, in ULPs of its arithmetic, as rows (device, dtype, exp, log), measured by `benchmarks/elementary.py`; where
    none fits, exp_ulps and log_ulps. running_sums: in how many of them at least, side by side, the exponentials of a
    row are added (`Contract.running_sums`). command: the options that name it on the
    command line; empty where only Python can. calling: how what it wraps takes its options, in words, empty where it
    wraps nothing: as keywords of a `function`, of a `class` that it is made of, or not at all as a `module`; `later`
    names those that what a class makes is called with; `linear` is a fused linear loss, with pairs of our names and its
    own; `fixed` is one without `reduction`, `axis` one that has an axis argument instead; `adapter` one that somebody
    has wrapped already; `always` names options always given, `places` those taken by position only, with what stands
    there where the option is none of ours.
    guessed: options, dtypes, reductions, `labels` and `keywords` that nobody declared, and `unnamed-` with the name of
    one. refused: those of them that it does not take, and the exception, or the finding, that says so. overwrites:
    inputs that it says it overwrites, of `vocabulary.OVERWRITABLE`. never_set: parameters of what it wraps that no
    problem sets. ways: those of `ways.WAYS` in which it can be called.
    copies: whether `compute` hands on copies of the problem's arrays, and tells what changed in them; of other adapters
    the problem itself is a copy.
    """

    name: str
    package: str
    variants: tuple[str, ...] = ("eager",)
    capabilities: Capabilities = Capabilities()
    contracts: tuple[tuple[str, str, str, str], ...] = ()
    accuracies: tuple[tuple[str, str, float, float], ...] = ()
    promised: tuple[tuple[str, str], ...] = ()
    exp_ulps: float = 2.0
    log_ulps: float = 2.0
    running_sums: int = 1
    command: str = ""
    calling: str = ""
    guessed: frozenset[str] = frozenset()
    refused: Mapping[str, str] = MappingProxyType({})
    overwrites: tuple[str, ...] = ()
    never_set: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    copies: bool = False

    _broken: str = ""

    def unavailable(self) -> str:
        """Why the implementation cannot run here ("torch is not installed"), or an empty string.

        Imports nothing; an installation that fails to import is known from the first attempt (`devices`, `compute`) on.
        """
        if self._broken:
            return self._broken
        return "" if util.find_spec(self.package) else f"{self.package} is not installed"

    def version(self) -> str:
        """Version of the package, without importing it; empty if it is not installed."""
        return version_of(self.package)

    def load(self) -> Any:
        """The imported package. Raises UnavailableError with the first line of whatever its start raises."""
        if reason := self.unavailable():
            raise UnavailableError(reason)
        try:
            with foreign():
                return self.start()
        except Exception as error:
            self._broken = f"{self.package} cannot start: {told(error)}"
            raise UnavailableError(self._broken) from error

    def start(self) -> Any:
        """Import the package, and set going whatever may fail to start."""
        return import_module(self.package)

    @abstractmethod
    def devices(self) -> tuple[str, ...]:
        """The devices that this machine has for it, of those declared; empty if it cannot run."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The numerics settings in force (threads, x64, matmul precision ...)."""

    @abstractmethod
    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """Run the implementation on a problem; return the quantities of those asked for that it provides."""

    def steps(self, problem: Problem) -> dict[str, Array]:
        """The chain rule (37) at rows of logits with class indices, for `explain`; empty if it has none.

        Keys: `a`, `log_a`, `dC/da` (m, K) for C = -ln a_y, `da/dz` (m, K, K), `dC/dz`, and the problem's quantities.
        """
        return {}

    def poisoned(self) -> AbstractContextManager[None] | None:
        """A context in which memory that is allocated and not written holds nan; None if there is no such way."""
        return None

    def otherwise(self, way: str) -> AbstractContextManager[None] | None:
        """A context in which calls are made in one of `ways.WAYS`, which changes no result; None if there is none."""
        return None

    def require_shape(self, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        """Raise AdapterError if the implementation's loss has another shape than the upstream gradient."""
        if tuple(found) != tuple(expected):
            raise AdapterError(f"{self.name} returned a loss of shape {tuple(found)}; allowed: {tuple(expected)}")

    @property
    def declared(self) -> tuple[tuple[str, str, str, str], ...]:
        """All rows of contracts that hold for it, those promised first."""
        return (*(("*", dtype, "*", contract) for dtype, contract in self.promised), *self.contracts)

    def declared_for(self, device: str, dtype: str, quantity: str) -> str:
        """Name of the contract that is declared for a quantity, or an empty string."""
        place = (device, dtype, QUANTITY_FAMILIES[quantity])
        for *pattern, contract in self.declared:
            if all(p in ("*", x) for p, x in zip(pattern, place, strict=True)):
                return contract
        return ""

    def contract_for(self, device: str, dtype: str, quantity: str) -> str:
        """Name of the contract that a quantity is judged by."""
        return self.declared_for(device, dtype, quantity) or DEFAULT

    def accuracy_for(self, device: str, dtype: str) -> tuple[float, float]:
        """The accuracy of exp and log on a device, for a dtype."""
        for *pattern, exp_ulps, log_ulps in self.accuracies:
            if all(p in ("*", x) for p, x in zip(pattern, (device, dtype), strict=True)):
                return exp_ulps, log_ulps
        return self.exp_ulps, self.log_ulps

    def provided(self, problem: Problem, quantities: Sequence[str]) -> list[str]:
        """Those quantities of the ones asked for that the problem defines and the adapter declares."""
        return [q for q in quantities if q in problem.quantities and q in self.capabilities.quantities]

    def unsupported(self, problem: Problem) -> str:
        """Why the problem is outside the declared capabilities, or an empty string."""
        c = self.capabilities
        if problem.dtype not in c.dtypes:
            return self._because("dtype", problem.dtype)
        if problem.head not in c.heads:
            return Lack("head", problem.head)
        if problem.reduction not in c.reductions:
            return self._because("reduction", problem.reduction)
        if not (problem.probabilities or c.labels):
            return self._because("target", LABELS)
        for name, (kind, has_it) in REFUSABLE.items():
            if name in self.refused and has_it(problem):
                return self._because(kind, name)
        missing = sorted(needed_options(problem) - c.options)
        return self._because("option", missing[0]) if missing else ""

    def _because(self, kind: str, name: str) -> str:
        return Lack(kind, name, refused=self.refused.get(name, ""))


@cache
def version_of(package: str) -> str:
    """Version of an installed distribution, read once; empty if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
