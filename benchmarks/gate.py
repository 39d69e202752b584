"""The gate on ten branches that break a gradient and ten that only round otherwise, in projects of their own.

`python benchmarks/gate.py --framework torch --framework jax --dtype float32`

For each framework: a project in a temporary folder with a loss that is right, and its baseline by `xentcheck run
--save`; then one branch after another, each a change of one place of the source, judged by `xentcheck gate` in a
process of its own. A branch that breaks must be red, with exit code 1, a cause and a command; one that rounds must have
exit code 0. The exit code is 1 if one does not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

TORCH = """
import torch


class Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, y, ignore_index, reduction):
        kept = y != ignore_index
        label = torch.where(kept, y, 0)[:, None]
        m = z.amax(1, keepdim=True)
        e = torch.exp(z - m)
        s = e.sum(1, keepdim=True)
        losses = torch.where(kept, (m + torch.log(s) - z.gather(1, label))[:, 0], 0)
        a = e / s
        g = a.scatter_add(1, label, torch.full_like(a[:, :1], -1))
        g = torch.where(kept[:, None], g, 0)
        n = kept.sum()
        if reduction == "mean":
            g = g / n
        ctx.save_for_backward(g)
        return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / n

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (g,) = ctx.saved_tensors
        return g * (upstream[:, None] if upstream.ndim else upstream), None, None, None


def loss(input, target, ignore_index=-100, reduction="mean"):
    return Fused.apply(input, target, ignore_index, reduction)
"""

JAX = """
from functools import partial

import jax
import jax.numpy as jnp


def rows(z, y, ignore_index, reduction):
    kept = y != ignore_index
    label = jnp.where(kept, y, 0)[:, None]
    m = z.max(1, keepdims=True)
    e = jnp.exp(z - m)
    s = jnp.sum(e, 1, keepdims=True)
    losses = jnp.where(kept, (m + jnp.log(s) - jnp.take_along_axis(z, label, 1))[:, 0], 0)
    a = e / s
    g = a - (jnp.arange(z.shape[1]) == label)
    g = jnp.where(kept[:, None], g, 0)
    n = kept.sum().astype(z.dtype)
    if reduction == "mean":
        g = g / n
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / n, g


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def fused(z, y, ignore_index, reduction):
    return rows(z, y, ignore_index, reduction)[0]


def forward(z, y, ignore_index, reduction):
    return rows(z, y, ignore_index, reduction)


def backward(ignore_index, reduction, g, upstream):
    return g * (upstream[:, None] if upstream.ndim else upstream), None


fused.defvjp(forward, backward)


def loss(input, target, ignore_index=-100, reduction="mean"):
    return fused(input, target, ignore_index, reduction)
"""

Change = tuple[str, str]
"""A text of the source, and what stands in its place on a branch."""

BREAKS: dict[str, dict[str, Change]] = {
    "torch": {
        "sign": ("return g * (", "return -g * ("),
        "upstream forgotten": (" * (upstream[:, None] if upstream.ndim else upstream)", ""),
        "softmax as the gradient": (".full_like(a[:, :1], -1)", ".full_like(a[:, :1], 0)"),
        "-y as the gradient": ("g = a.scatter_add", "g = (0 * a).scatter_add"),
        "mean over all rows": ("g = g / n", "g = g / len(y)"),
        "mean forgotten": ("g = g / n", "g = g"),
        "sum divided too": ('if reduction == "mean":', 'if reduction != "none":'),
        "ignored rows kept": ("torch.where(kept[:, None], g, 0)", "g"),
        "divided by the classes": ("g = g / n", "g = g / n / z.shape[1]"),
        "no shift in the softmax": ("a = e / s", "a = torch.exp(z) / torch.exp(z).sum(1, keepdim=True)"),
    },
    "jax": {
        "sign": ("return g * (", "return -g * ("),
        "upstream forgotten": (" * (upstream[:, None] if upstream.ndim else upstream)", ""),
        "softmax as the gradient": ("g = a - (jnp", "g = a - 0 * (jnp"),
        "-y as the gradient": ("g = a - (jnp", "g = 0 * a - (jnp"),
        "mean over all rows": ("g = g / n", "g = g / len(y)"),
        "mean forgotten": ("g = g / n", "g = g"),
        "sum divided too": ('if reduction == "mean":', 'if reduction != "none":'),
        "ignored rows kept": ("jnp.where(kept[:, None], g, 0)", "g"),
        "divided by the classes": ("g = g / n", "g = g / n / z.shape[1]"),
        "no shift in the softmax": ("a = e / s", "a = jnp.exp(z) / jnp.exp(z).sum(1, keepdims=True)"),
    },
}

WIDE = "torch.promote_types(z.dtype, torch.float32)"
"""What a step of its own is kept in: in bfloat16 it would be one more rounding, which loses accuracy."""

ROUNDS: dict[str, dict[str, Change]] = {
    "torch": {
        "exp2": ("torch.exp(z - m)", f"torch.exp2((z - m).to({WIDE}) * 1.4426950408889634).to(z.dtype)"),
        "sum in another order": ("e.sum(1, keepdim=True)", "e.flip(1).sum(1, keepdim=True)"),
        "sum of two halves": (
            "e.sum(1, keepdim=True)",
            f"(e[:, ::2].sum(1, True, dtype={WIDE}) + e[:, 1::2].sum(1, True, dtype={WIDE})).to(e.dtype)",
        ),
        "running sum": ("e.sum(1, keepdim=True)", "e.cumsum(1)[:, -1:]"),
        "reciprocal": ("a = e / s", "a = e * (1 / s)"),
        "exp of z - lse": ("a = e / s", f"a = torch.exp((z - m).to({WIDE}) - torch.log(s.to({WIDE}))).to(z.dtype)"),
        "logsumexp": ("m + torch.log(s) - z", "torch.logsumexp(z, 1, True) - z"),
        "shift first": ("m + torch.log(s) - z.gather(1, label)", "torch.log(s) - (z - m).gather(1, label)"),
        "softmax of the library": ("a = e / s", "a = torch.softmax(z, 1)"),
        "divide late": ("g = g / n", "g = g * (1 / n.to(g.dtype))"),
    },
    "jax": {
        "exp2": ("jnp.exp(z - m)", "jnp.exp2((z - m) * 1.4426950408889634)"),
        "sum in another order": ("jnp.sum(e, 1, keepdims=True)", "jnp.sum(e[:, ::-1], 1, keepdims=True)"),
        "sum of two halves": (
            "jnp.sum(e, 1, keepdims=True)",
            "jnp.sum(e[:, ::2], 1, keepdims=True) + jnp.sum(e[:, 1::2], 1, keepdims=True)",
        ),
        "running sum": ("jnp.sum(e, 1, keepdims=True)", "jnp.cumsum(e, 1)[:, -1:]"),
        "reciprocal": ("a = e / s", "a = e * (1 / s)"),
        "exp of z - lse": ("a = e / s", "a = jnp.exp(z - m - jnp.log(s))"),
        "logsumexp": ("m + jnp.log(s) - jnp", "jax.nn.logsumexp(z, 1, keepdims=True) - jnp"),
        "shift first": (
            "m + jnp.log(s) - jnp.take_along_axis(z, label, 1)",
            "jnp.log(s) - jnp.take_along_axis(z - m, label, 1)",
        ),
        "softmax of the library": ("a = e / s", "a = jax.nn.softmax(z, 1)"),
        "divide late": ("g = g / n", "g = g * (1 / n)"),
    },
}

SOURCES = {"torch": TORCH, "jax": JAX}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a folder, in a process of its own."""
    code = "from xentcheck.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=folder
    )


CAUSE = re.compile(r"^red: .* \[([A-Z]\d+)\]: \d+ new failure", re.MULTILINE)
"""A finding that names its cause."""


def unwrapped(text: str) -> str:
    """What a gate says, each finding on one line."""
    return re.sub(r"\n   (?=\S)(?!where |again )", " ", text)


def branch(source: str, change: Change) -> str:
    """The source with one change. Raises ValueError if it has no such place, or several."""
    old, new = change
    if source.count(old) != 1:
        raise ValueError(f"{source.count(old)} places of {old!r}")
    return source.replace(old, new)


def judged(folder: Path, implementation: tuple[str, ...], *, broken: bool) -> tuple[bool, str]:
    """Whether the gate says of a branch what it should, and its verdict."""
    done = command(folder, "gate", "main", *implementation, "-j", "2")
    lines = unwrapped(done.stdout).splitlines()
    verdict = lines[-1] if lines else done.stderr[-300:]
    if not broken:
        return done.returncode == 0, verdict
    causes = [line for line in lines if CAUSE.match(line)]
    told = bool(causes) and any(line.startswith("   again xentcheck replay ") for line in lines)
    return done.returncode == 1 and told, f"{verdict}; {causes[0].removeprefix('red: ') if causes else 'no cause'}"


@click.command()
@click.option("--framework", "frameworks", multiple=True, type=click.Choice(list(SOURCES)), default=list(SOURCES))
@click.option("--dtype", "dtypes", multiple=True, default=["float32"], show_default=True)
@click.option("--case", "patterns", multiple=True, help="Only cases whose id matches; by default all of `quick`.")
def main(frameworks: tuple[str, ...], dtypes: tuple[str, ...], patterns: tuple[str, ...]) -> None:
    """Judge all branches of the projects."""
    wrong = 0
    for framework in frameworks:
        with tempfile.TemporaryDirectory() as name:
            folder, module = Path(name), f"fused_{framework}_loss"
            implementation = ("--impl", f"{module}:loss", "--framework", framework)
            source = folder / f"{module}.py"
            source.write_text(SOURCES[framework])
            some = [word for pattern in patterns for word in ("--case", pattern)]
            some += [word for dtype in dtypes for word in ("--dtype", dtype)]
            first = command(folder, "run", *implementation, *some, "--save", "main", "-j", "2")
            if first.returncode:
                raise click.ClickException(first.stdout[-2000:] + first.stderr[-2000:])
            for broken, changes in ((True, BREAKS[framework]), (False, ROUNDS[framework])):
                right = 0
                for what, change in changes.items():
                    source.write_text(branch(SOURCES[framework], change))
                    start = time.perf_counter()
                    good, verdict = judged(folder, implementation, broken=broken)
                    right += good
                    mark = "" if good else "WRONG "
                    click.echo(f"{mark}{framework}, {what}: {verdict} ({time.perf_counter() - start:.0f} s)")
                colour = "red, with cause and command" if broken else "not red"
                click.echo(f"{framework}: {right} of {len(changes)} {'broken' if broken else 'rounding'} are {colour}")
                wrong += len(changes) - right
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
