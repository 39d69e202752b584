"""JAX: a cross-entropy over `jax.nn.log_softmax`, behind layers in `jax.numpy`."""

from __future__ import annotations

import numpy as np

from xentcheck.adapters.base import Capabilities
from xentcheck.adapters.layout import OwnCopies
from xentcheck.adapters.needs import keywords
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import HEADS

from .function import DEVICES, NARROW, JaxFunction
from .heads import LEAVES, head, packed, softmaxes
from .loss import cross_entropy
from .numerics import numerics


class JaxAdapter(JaxFunction):
    """JAX itself: the adapter's own lines (`jax_loss.cross_entropy`) over `jax.nn.log_softmax`, with heads in
    `jax.numpy`.

    Masking, the mean's denominator, class weights and smoothing are those lines, not JAX's: neither credit nor blame
    for them goes to JAX. `ignore_index` is traced, so that its value does not compile anew.

    >>> from xentcheck.adapters.jax.adapter import JaxAdapter
    >>> JaxAdapter().variants
    ('jit', 'eager')
    """

    contracts = (
        *(("*", dtype, "*", "storage-backsum") for dtype in ("bfloat16", "float16")),
        ("*", "*", "*", "fused"),
    )
    running_sums = 4
    capabilities = Capabilities(devices=DEVICES, options=NARROW, heads=HEADS)
    traced = ("weight", "ignore_index")

    def __init__(self) -> None:
        super().__init__(cross_entropy, "jax")

    def steps(self, problem: Problem) -> dict[str, Array]:
        """The steps of (37) by `jax.grad` and `jax.jacobian`, eager, on the CPU."""
        jax = self.load()
        own = self.compute(problem, problem.quantities, device="cpu", variant="eager")
        copies = OwnCopies(packed(problem))
        with numerics(jax, problem.dtype), jax.default_device(jax.devices("cpu")[0]):
            arrays = {name: jax.device_put(copy.view) for name, copy in copies.items()}
            rows = head({name: arrays[name] for name in LEAVES if name in arrays})
            logits = {"logits": rows}
            upstream = arrays["upstream"].astype(rows.dtype)
            options = tuple(keywords(problem).items())
            a = jax.nn.softmax(rows, 1)
            target = arrays["target"][:, None]
            found = {
                **softmaxes(rows),
                "dC/da": jax.grad(lambda a: -jax.numpy.log(jax.numpy.take_along_axis(a, target, 1)).sum())(a),
                "da/dz": jax.vmap(jax.jacobian(jax.nn.softmax))(rows),
                **self.differentiate((), logits, arrays["target"], dict(options), upstream)[1],
            }
            values = {step: np.asarray(value) for step, value in found.items()}
        return {**values, **own.values}
