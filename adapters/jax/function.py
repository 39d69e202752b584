"""Functions of JAX like `torch.nn.functional.cross_entropy`, under `jax.vjp`, jitted and eager."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.base import Adapter, Capabilities, Result
from xentcheck.adapters.layout import OwnCopies
from xentcheck.adapters.needs import keywords
from xentcheck.adapters.ways import calling, loss_of
from xentcheck.errors import Refused, UnavailableError
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DIRECTIONAL, GRADIENTS, OPTIONS, VALUES

from .directions import forward, pulled_back
from .heads import FIXED, LEAVES, Pytree, grouped, head, packed, softmaxes
from .numerics import numerics, sees
from .ways import GRADIENT_OF, batched, product

if TYPE_CHECKING:
    from jax import Array as JaxArray

DEVICES = ("cpu", "gpu")
NARROW = frozenset(OPTIONS) - {"wide_sentinel"}
"""JAX holds integers in 32 bits unless `jax_enable_x64` is set."""


class JaxFunction(Adapter):
    """A function with the signature of `torch.nn.functional.cross_entropy` over JAX arrays, under `jax.vjp`.

    It gets (input, target) by position and only those keywords that differ from PyTorch's defaults; all but `weight`
    are Python values, so that each value of theirs is a compilation. JAX arrays have no strides: layouts end here.
    """

    package = "jax"
    copies = True
    calling = "function"
    variants = ("jit", "eager")
    capabilities = Capabilities(devices=DEVICES, options=NARROW, quantities=(*VALUES, "dC/dz", *DIRECTIONAL))
    accuracies = (("cpu", "float64", 2.0, 1.5), ("cpu", "*", 1.5, 1.5), ("gpu", "*", 2.0, 8.0))
    exp_ulps = 8.0
    log_ulps = 8.0
    traced: tuple[str, ...] = ("weight",)
    ways: tuple[str, ...] = ("label-dtypes", "vmap", *GRADIENT_OF)
    way = ""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        self.function = function
        self._compiled: dict[tuple[str, str, bool], Callable[..., Any]] = {}
        self._forward = True

    def start(self) -> Any:
        """Import JAX and start its backends, without its advice on the terminal to install another one."""
        jax = super().start()
        log = logging.getLogger("jax._src.xla_bridge")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            jax.devices()
        finally:
            log.setLevel(level)
        return jax

    def devices(self) -> tuple[str, ...]:
        """`cpu`, and `gpu` where JAX sees one."""
        try:
            jax = self.load()
        except UnavailableError:
            return ()
        return tuple(d for d in self.capabilities.devices if sees(jax, d))

    def settings(self) -> dict[str, str]:
        """The settings during `compute`; they are restored after it."""
        jax = self.load()
        with numerics(jax, "float64"):
            return {
                "x64": "for float64",
                "default_matmul_precision": str(jax.config.jax_default_matmul_precision),
                "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
            }

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """Value and gradients of one `jax.vjp`, pulled back from the problem's upstream gradient.

        A value without a gradient is that of the function itself: of a `jax.custom_vjp`, what stands for it where
        nobody differentiates.
        """
        jax = self.load()
        wanted = self.provided(problem, quantities)
        copies = OwnCopies(packed(problem))
        with numerics(jax, problem.dtype), jax.default_device(jax.devices(device)[0]):
            arrays = {name: jax.device_put(copy.view) for name, copy in copies.items()}
            found: Pytree = {}
            if "a" in wanted or "log_a" in wanted:
                found |= self._call("softmax", variant)(arrays["logits"])
            if not {*VALUES, *GRADIENTS}.isdisjoint(wanted):
                asked = self._value if set(GRADIENTS).isdisjoint(wanted) else self._differentiate
                found |= asked(problem, arrays, variant)
            if not set(DIRECTIONAL).isdisjoint(wanted):
                found |= self._along(problem, arrays, variant)
            values = {q: np.asarray(found[q]) for q in wanted}
        return Result(values, copies.changed())

    def otherwise(self, way: str) -> AbstractContextManager[None] | None:
        """In a batched call, or with another gradient."""
        return calling(self, way) if way in self.ways else None

    def _value(self, problem: Problem, arrays: Pytree, variant: str) -> Pytree:
        static, given = self._options(problem, arrays)
        leaves = {name: arrays[name] for name in LEAVES if name in arrays}
        value, there = self._call("value", variant)(static, leaves, arrays["target"], given)
        if not there:
            raise Refused(self.way)
        return {"loss" if problem.reduction == "none" else "cost": value}

    def _differentiate(self, problem: Problem, arrays: Pytree, variant: str) -> Pytree:
        static, given = self._options(problem, arrays)
        leaves = {name: arrays[name] for name in LEAVES if name in arrays}
        call = self._call("differentiate", variant)
        upstream = arrays["upstream"]
        if problem.needs:
            given = {**given, FIXED: {name: leaves.pop(name) for name in list(leaves) if name not in problem.needs}}
        for _ in range(problem.backwards - 1):
            call(static, leaves, arrays["target"], given, -2 * upstream)
        value, gradients = call(static, leaves, arrays["target"], given, upstream)
        return {"loss" if problem.reduction == "none" else "cost": value, **gradients}

    def _along(self, problem: Problem, arrays: Pytree, variant: str) -> Pytree:
        static, given = self._options(problem, arrays)
        asked = static, arrays["logits"], arrays["target"], given, arrays["upstream"], arrays["v"]
        try:
            found: Pytree = self._call("along", variant)(*asked)
        except TypeError as error:  # a `jax.custom_vjp` has no forward mode
            if "forward-mode" not in str(error) or not self._forward:
                raise
            self._forward = False
            found = self._call("along", variant)(*asked)
        return found

    def _options(self, problem: Problem, arrays: Pytree) -> tuple[tuple[tuple[str, Any], ...], Pytree]:
        """Those that are compiled in, and those that are traced; an ignore_index that is traced always is."""
        options = keywords(problem)
        if "ignore_index" in self.traced and not problem.probabilities:
            options["ignore_index"] = problem.ignore_index
        static = tuple((name, value) for name, value in options.items() if name not in self.traced)
        return static, {name: arrays.get(name, value) for name, value in options.items() if name in self.traced}

    def along(
        self, static: tuple[tuple[str, Any], ...], logits: JaxArray, target: JaxArray, given: Pytree, *rest: JaxArray
    ) -> Pytree:
        """jvp and hvp, forward or pulled back."""

        def loss(z: JaxArray) -> JaxArray:
            output: JaxArray = self.called()(z, target, **dict(static), **given)
            return output

        return (forward if self._forward else pulled_back)(loss, logits, *rest)

    def _call(self, what: str, variant: str) -> Callable[..., Any]:
        """One of the computations; jitted ones are made once, so that equal signatures compile once."""
        calls: dict[str, Callable[..., Any]] = {
            "differentiate": self.differentiate,
            "along": self.along,
            "value": self.value,
        }
        function = calls.get(what, softmaxes)
        if variant == "eager":
            return function
        key = what, self.way, self._forward
        if key not in self._compiled:
            import jax

            apart = partial(function)  # of equal functions JAX keeps one trace, which would be that of another way
            static = None if what == "softmax" else 0
            self._compiled[key] = jax.jit(apart, static_argnums=static)
        return self._compiled[key]

    def head(self, leaves: Mapping[str, JaxArray]) -> tuple[JaxArray, ...]:
        """What the function gets before the target."""
        return (head(leaves),)

    def value(
        self, static: tuple[tuple[str, Any], ...], leaves: Pytree, target: JaxArray, given: Pytree
    ) -> tuple[JaxArray, Any]:
        """The loss, or what `way` makes of a gradient, and whether that is there."""
        options = {**dict(static), **given}
        if self.way in GRADIENT_OF:
            return product(self.way, self.called(), self.head(leaves), target, options)
        return self.called()(*self.head(leaves), target, **options), True

    def called(self) -> Callable[..., Any]:
        """The function, as it is called in `way`."""

        def call(*arrays: JaxArray, **options: Any) -> JaxArray:
            output: JaxArray = loss_of(self.name, self.function(*arrays, **options))
            return output

        return batched(call) if self.way == "vmap" else call

    def differentiate(
        self, static: tuple[tuple[str, Any], ...], leaves: Pytree, target: JaxArray, given: Pytree, upstream: JaxArray
    ) -> tuple[JaxArray, Pytree]:
        """The loss and the gradient per quantity, by `jax.vjp` with respect to the leaves."""
        import jax

        fixed: Pytree = given.get(FIXED, {})
        given = {name: value for name, value in given.items() if name != FIXED}

        def loss(leaves: Pytree) -> JaxArray:
            output: JaxArray = self.called()(*self.head({**fixed, **leaves}), target, **dict(static), **given)
            self.require_shape(jax.numpy.shape(output), upstream.shape)
            return output

        value, pull = jax.vjp(loss, leaves)
        return value, grouped(pull(upstream.astype(value.dtype))[0])
