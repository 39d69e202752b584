"""Shrinking a failure, and its script: the smallest problem still fails, and a fresh interpreter says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from interpreters import Interpreter, interpreter

from xentcheck import adapters
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.adapters.scripting import Failure
from xentcheck.adapters.spec import Spec
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cli.main import cli
from xentcheck.errors import OutputError, ProblemError
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reproduce import script
from xentcheck.reproduce.script import repeats, script_of
from xentcheck.reproduce.shrink import failure_of, shrink
from xentcheck.running.subjects import contracts_of, subjects_of
from xentcheck.vocabulary import QUANTITIES

EXAMPLES = Path(__file__).parents[2] / "examples"
CASE = "gaussian.5x10.{}.index.{}.{}.up-neg.contig.s0"

WRONG = {
    "torch": """
import torch

def loss(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    rows = torch.nn.functional.cross_entropy(
        input, target, weight, ignore_index=ignore_index, reduction="none", label_smoothing=label_smoothing)
    return {"none": rows, "sum": rows.sum(), "mean": rows.mean()}[reduction]
""",
    "jax": """
import jax
import jax.numpy as jnp

def loss(input, target, ignore_index=-100, reduction="mean"):
    kept = target != ignore_index
    axis = 0 if input.ndim == 1 else 1
    log_a = jax.nn.log_softmax(input, axis)
    rows = -jnp.take_along_axis(log_a, jnp.expand_dims(jnp.where(kept, target, 0), axis), axis).squeeze(axis)
    rows = jnp.where(kept, rows, 0)
    return {"none": rows, "sum": rows.sum(), "mean": rows.mean()}[reduction]
""",
    "numpy": """
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def loss(logits, target, ignore_index=-100, reduction="mean", upstream=1.0):
    scale = (target != ignore_index).mean() if reduction == "mean" and target.size else 1.0
    options = {"ignore_index": ignore_index, "reduction": reduction}
    g = cross_entropy_grad(logits, target, **options, upstream=upstream)
    return (cross_entropy(logits, target, **options) * scale).astype(logits.dtype), (g * scale).astype(g.dtype)
""",
}
"""The mean divides by all rows, in each framework."""


def repeat(folder: Path) -> subprocess.CompletedProcess[str]:
    """The script, in a fresh interpreter and in its folder."""
    return subprocess.run([sys.executable, "repro.py"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def having_imported() -> Iterator[Callable[[str], Interpreter]]:
    """Fresh interpreters by the framework that they have imported: each import costs a second or two."""
    with ExitStack() as started:
        yield cache(lambda framework: started.enter_context(interpreter(framework)))


@pytest.mark.parametrize(
    ("framework", "dtype"), [("torch", "f32"), ("torch", "bf16"), ("jax", "f64"), ("torch", "f16"), ("numpy", "bf16")]
)
def test_a_script_repeats_the_smallest_failure(
    framework: str,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    having_imported: Callable[[str], Interpreter],
) -> None:
    """One kept and one ignored row, no option besides; the script exits with 1, and with 0 once the loss is right.

    Alone this shrinks what runs in a worker of each framework, and starts an interpreter for its script; of a second
    dtype only the script is of interest.
    """
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    warm = having_imported(framework)
    module = f"wrong_{framework}_{dtype}"
    (tmp_path / f"{module}.py").write_text(WRONG[framework])
    monkeypatch.chdir(tmp_path)
    command = ["replay", CASE.format(dtype, "ign", "mean"), "--impl", f"{module}:loss", "--framework", framework]
    if dtype in ("bf16", "f16") and framework != "numpy":
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(script.subprocess, "run", warm.run_command)
        command += ["--isolation", "none"]
    assert cli.main([*command, "--script", "repro.py"], standalone_mode=False) == 1
    assert "does not repeat" not in capsys.readouterr().out
    text = (tmp_path / "repro.py").read_text()
    assert len(text.splitlines()) <= 25
    assert "[[0.0, 0.0], [0.0, 0.0]]" in text
    done = warm.run(text, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "exact\n0.693147180" in done.stdout
    fixed = WRONG[framework].replace("rows.mean()", "rows.sum() / (target != ignore_index).sum()")
    (tmp_path / f"{module}.py").write_text(fixed.replace('if reduction == "mean" and target.size', "if False"))
    assert warm.run(text, tmp_path).returncode == 0


SCRIPTED = (
    "gaussian.5x10.f64.index.w+ls+ign.mean.up-neg.contig.s0",
    "gaussian.5x10.f32.index.plain.none.up-rand.trans.s0",
    "gaussian.3x3x3x2.bf16.index.ls.none.up-rand.sliced+tstr.s0",
    "gaussian.10.f16.index.w.sum.up-neg.contig.s0",
    "gaussian.5x10.f32.prob.w.mean.up-one.twice.s0",
    "gaussian.5x10.f32.prob.w+ls.mean.up-neg.contig.s0",
    "masked.5x10.f32.index.w.none.up-rand.twice.s0",
    "gaussian.5x10.f32.u8.w+ign1.mean.up-neg.contig.s0",
    "gaussian.5x10.f64.index.w+ls+ign+dir.none.up-rand.contig.s0",
    "gaussian.5x10.f32.index.dir.mean.up-neg.contig.s0",
    "dyadic.5x10k8.f32.index.w+ls+ign.mean.up-neg.contig.s0",
    "masked.5x10k8.f64.index.plain.none.up-rand.contig.s0",
    "gaussian.5x10k8h6.f64.index.ign.sum.up-neg.twice.s0",
)


@pytest.mark.parametrize(
    ("framework", "text"),
    [
        *product(("torch", "jax"), SCRIPTED),
        # the reference is one function of logits, and rounds narrow dtypes outside of it
        *(("numpy", text) for text in SCRIPTED if ".f32." in text and "k8" not in text and "dir" not in text),
    ],
)
def test_a_script_computes_what_the_adapter_does(framework: str, text: str) -> None:
    """Bit by bit, whatever options, layouts and heads (JAX, where XLA fuses what it sees: within the bound); another
    value is told apart; 25 lines at most.
    """
    adapter = adapters.get(framework)
    if adapter.unavailable():
        pytest.skip(adapter.unavailable())
    problem, variant = build(Case.parse(text)), adapter.variants[0 if text == SCRIPTED[0] else -1]
    found = adapter.compute(problem, problem.quantities, device="cpu", variant=variant).values
    values = {q: x.astype(np.float64) for q, x in found.items() if q in WRITTEN[framework]}
    assert values
    for quantity, value in values.items():
        bound = np.zeros(value.shape)
        if framework == "jax":
            contract = contracts_of(subjects_of(adapter)[0], problem.dtype)[0][quantity]
            bound = Bounds(Exact(problem), contract).evaluate([quantity])[quantity].reshape(value.shape)
        right = Failure(problem, quantity, "disagree", exact=value, bound=2 * bound)
        spec, subject = Spec(framework), subjects_of(adapter)[0 if text == SCRIPTED[0] else -1]
        written = script_of(right, spec, subject, text)
        assert len(written.splitlines()) <= 25, written
        assert exit_code(written) == 0, written
        wrong = replace(right, exact=np.where(np.isfinite(value), value + 1, 0.0))
        assert exit_code(script_of(wrong, spec, subject, text)) == 1
        form = script_of(replace(right, form=True), spec, subject, text)
        assert exit_code(form) == 0
        assert exit_code(form.replace(f'!= "{problem.dtype}"', '!= "int8"')) == 1


WRITTEN = dict.fromkeys(("torch", "jax"), QUANTITIES) | {"numpy": ("loss", "cost", "dC/dz")}
"""What a script can compute: a function of NumPy returns a value and a gradient."""


def exit_code(text: str) -> int:
    """Of a script that is run in this process, JAX's setting restored."""
    try:
        with pytest.raises(SystemExit) as left:
            exec(compile(text, "repro.py", "exec"), {})
    finally:
        if "jax" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", False)
    return int(str(left.value.code))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_of_a_loss_in_javascript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It speaks the protocol itself, and needs NumPy only."""
    for path in (EXAMPLES / "node").glob("*.mjs"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    case = "common-offset.5x10.f32.index.plain.mean.up-one.contig.s0"
    command = ["replay", case, "--impl", "node wrong_loss.mjs", "--framework", "process", "--script", "repro.py"]
    assert cli.main(command, standalone_mode=False) == 1
    assert len((tmp_path / "repro.py").read_text().splitlines()) <= 25
    assert repeat(tmp_path).returncode == 1
    shutil.copy("loss.mjs", "wrong_loss.mjs")
    assert repeat(tmp_path).returncode == 0


def test_a_crash_shrinks_to_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is started anew for every attempt."""
    source = WRONG["numpy"].replace(
        "    scale", "    if logits.ndim == 1:\n        import os\n        os._exit(3)\n    scale"
    )
    (tmp_path / "leaving.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    command = ["replay", "gaussian.3.f32.index.plain.none.up-one.contig.s0", "--impl", "leaving:loss"]
    assert cli.main([*command, "--framework", "numpy", "--script", "repro.py"], standalone_mode=False) == 1
    assert "ends in crash" in (tmp_path / "repro.py").read_text()
    assert repeat(tmp_path).returncode == 3
    with pytest.raises(OutputError, match=r"leaving.py/y\.py cannot be written"):
        cli.main([*command, "--framework", "numpy", "--script", "leaving.py/y.py"], standalone_mode=False)


SHRUNK = (
    "gaussian.5x10.f32.prob.w.none.up-rand.sliced.s0",
    "gaussian.3x3x3x2.f32.index.ls.none.up-str.trans.s0",
    "gaussian.5x10.f32.index.w+ls+ign.mean.up-neg.twice.s0",
)


@pytest.mark.parametrize("text", SHRUNK)
def test_what_fails_after_shrinking_fails_as_the_whole_does(text: str) -> None:
    """Probabilities, k dims and layouts become one row; the exact value is that of the smaller problem."""
    torch = pytest.importorskip("torch")

    def doubled(input: object, target: object, **options: object) -> object:
        return 2 * torch.nn.functional.cross_entropy(input, target, **options)

    (subject,) = subjects_of(adapters.from_torch(doubled))
    problem = build(Case.parse(text))
    quantity = "loss" if problem.reduction == "none" else "cost"
    found = shrink(subject, problem, quantity)
    assert found.outcome == "disagree"
    assert found.problem.logits_shape in ((1, 2), (1, 1))
    assert found.problem.weight is None
    again = failure_of(subject, found.problem, quantity)
    assert again is not None
    assert np.array_equal(np.asarray(again.exact), np.asarray(found.exact))


@pytest.mark.parametrize(
    "text", ["gaussian.5x10k8h6.f64.index.ign.sum.up-neg.contig.s0", "dyadic.5x10k8.f64.prob.w.none.up-rand.contig.s0"]
)
def test_layers_and_networks_are_shrunk(text: str) -> None:
    """To one row, one input, and without the layer before."""

    class Doubled(NumpyAdapter):
        def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
            found = super().compute(problem, quantities, device=device, variant=variant)
            return Result({q: 2 * x if q == "dC/dw" else x for q, x in found.values.items()})

    found = shrink(subjects_of(Doubled())[0], build(Case.parse(text)), "dC/dw").problem
    assert found.head == "layer"
    assert found.a_prev is not None
    assert found.a_prev.shape == (1, 1)
    assert found.classes <= 2


def test_an_overflow_that_is_right_is_no_failure() -> None:
    """A float16 sum beyond 65504 is infinite; a script allows it, too."""
    pytest.importorskip("torch")
    logits = np.full((20, 2), 0, np.float16)
    logits[:, 0] = 6000
    problem = Problem(logits=logits, target=np.ones(20, np.int64), reduction="sum", upstream=np.ones((), np.float16))
    (subject, *_) = subjects_of(adapters.get("numpy"))
    assert failure_of(subject, problem, "cost") is None
    told = Failure(problem, "cost", "disagree", exact=np.array(120000.0), bound=np.array(np.inf))
    assert exit_code(script_of(told, Spec("torch"), subjects_of(adapters.get("torch"))[0], "x")) == 0


MODULE = """
import torch
import torch.nn.functional as F
from xentcheck.adapters import from_torch

class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z.clone()

    @staticmethod
    def backward(ctx, g):
        raise RuntimeError("no backward")

def bad_backward(input, target, reduction="mean"):
    return F.cross_entropy(Backward.apply(input), target, reduction=reduction)

def writes_weight(input, target, weight=None, reduction="mean"):
    loss = F.cross_entropy(input, target, weight, reduction=reduction)
    if weight is not None:
        weight.data.zero_()
    return loss

def fused(x, weight, bias, target, reduction="mean"):
    return F.cross_entropy(F.linear(x, weight, 2 * bias), target, reduction=reduction)

held = from_torch(fused, head="layer", options=["upstream"])

class Summed(torch.nn.Module):
    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return 2 * F.cross_entropy(input, target, label_smoothing=self.label_smoothing, reduction="sum")

def strided_targets(input, target, reduction="mean"):
    labels = target if target.is_contiguous() else 0 * target
    return F.cross_entropy(input, labels, reduction=reduction)

def empty(input, target, reduction="mean"):
    if input.numel() == 0 and reduction == "sum":
        return input.sum() + 1
    return F.cross_entropy(input, target, reduction=reduction)
"""

KINDS = {
    "bad_backward": ("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0", "ends in error"),
    "writes_weight": ("gaussian.4x11.f32.index.w.mean.up-one.contig.s0", "c = torch.tensor("),
    "fused": ("gaussian.6x9k9.f32.index.plain.mean.up-neg.contig.s0", "weight=w"),
    "held": ("gaussian.6x9k9.f32.index.plain.mean.up-neg.contig.s0", "loss = held.function"),
    "Summed": ("gaussian.5x10.f32.index.ls.sum.up-one.contig.s0", "loss()(z, y)"),
    "strided_targets": ("gaussian.4x11.f32.index.plain.mean.up-one.tstr.s0", "as_strided"),
    "empty": ("gaussian.0x11.f32.index.plain.sum.up-one.contig.s0", "torch.zeros((0, "),
}
"""Implementation -> a case that it fails, and what its script has."""


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_failure_has_a_script_that_repeats_it(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    having_imported: Callable[[str], Interpreter],
) -> None:
    """Backward, inputs, layers, classes, strides, nothing at all: the script is run before it is handed out."""
    pytest.importorskip("torch")
    monkeypatch.setattr(script.subprocess, "run", having_imported("torch").run_command)
    (tmp_path / f"kinds_{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    case, words = KINDS[name]
    command = ["replay", case, "--impl", f"kinds_{name}:{name}", "--framework", "torch", "--isolation", "none"]
    assert cli.main([*command, "--script", "repro.py"], standalone_mode=False) == 1
    assert "does not repeat" not in capsys.readouterr().out
    text = (tmp_path / "repro.py").read_text()
    assert words in text
    assert len(text.splitlines()) <= 25
    mended = text.replace(f"from kinds_{name} import {name}", "from torch.nn.functional import cross_entropy")
    if name in ("bad_backward", "writes_weight", "strided_targets", "empty"):
        assert exit_code(mended.replace("import cross_entropy as loss", "import cross_entropy as loss")) == 0


def test_a_script_that_repeats_nothing_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that is wrong from its tenth call on."""
    (tmp_path / "tenth.py").write_text(
        "from xentcheck.reference import cross_entropy, cross_entropy_grad\ncalls = []\n"
        "def loss(logits, target, reduction='mean', upstream=1.0):\n"
        "    calls.append(1)\n"
        "    value = cross_entropy(logits, target, reduction=reduction) * (2 if len(calls) > 9 else 1)\n"
        "    return value, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)\n"
    )
    monkeypatch.chdir(tmp_path)
    command = ["replay", "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0", "--impl", "tenth:loss"]
    assert cli.main([*command, "--framework", "numpy", "--shrink"], standalone_mode=False) == 1
    assert "the script does not repeat the failure in a fresh interpreter" in capsys.readouterr().out


def test_what_does_not_fail_is_not_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and no script."""
    command = ["replay", "ties.2x3.f64.index.plain.mean.up-one.contig.s0", "--adapter", "numpy"]
    assert cli.main([*command, "--script", str(tmp_path / "repro.py")], standalone_mode=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing fails here: no script was written"
    assert not (tmp_path / "repro.py").exists()
    (subject, *_) = subjects_of(adapters.get("numpy"))
    problem = Problem(logits=np.zeros((2, 2)), target=np.array([0, 1]))
    with pytest.raises(ProblemError, match="cost of this problem does not fail: there is nothing to shrink"):
        shrink(subject, problem, "cost")


def test_a_script_that_breaks_repeats_nothing() -> None:
    """An import that fails, a syntax error, another exception, silence: none is the failure."""
    problem = Problem(logits=np.zeros((1, 2)), target=np.array([0]))
    wrong = Failure(problem, "cost", "disagree")
    raised = Failure(problem, "cost", "error", "ZeroDivisionError")
    ours = Failure(problem, "cost", "error", "AdapterError")
    says = 'print("got", 1); import sys; sys.exit(1)'
    assert repeats(says, wrong)
    assert repeats("1 / 0", raised)
    assert repeats("raise TypeError(3)", ours)
    for broken in ("import no_such_module", "def (", "raise SystemExit(1)", "undefined"):
        assert not any(repeats(broken, failure) for failure in (wrong, raised, ours))
    assert not repeats("raise TypeError(3)", raised)
