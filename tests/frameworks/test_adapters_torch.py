"""The PyTorch adapter hands over the problem as it is and returns what PyTorch computed, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Result
from xentcheck.errors import AdapterError
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

DTYPES = ("float32", "float64")


@pytest.fixture
def torch() -> Any:
    """PyTorch, or a skip that says that it is not installed."""
    return pytest.importorskip("torch", reason="torch is not installed")


def draw(shape: tuple[int, ...], dtype: str = "float64", seed: int = 7) -> Array:
    """Numbers between -4 and 4, always the same."""
    return np.random.default_rng(seed).uniform(-4, 4, shape).astype(dtype)


def rows(dtype: str = "float64", **changes: Any) -> Problem:
    """Five rows of six logits with class indices, changed as told."""
    return Problem(**{"logits": draw((5, 6), dtype), "target": np.array([0, 5, 2, 2, 3]), **changes})


def cost_and_gradient(adapter: Any, problem: Problem) -> Result:
    """All that the adapter has on the CPU."""
    result: Result = adapter.compute(problem, problem.quantities, device="cpu", variant="eager")
    return result


def identical(got: Array, expected: Any) -> bool:
    """Same dtype, shape and bytes as a tensor."""
    array = expected.detach().numpy()
    return (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())


OPTION_SETS: dict[str, Any] = {
    "plain": lambda dtype: {},
    "weight": lambda dtype: {"weight": draw((6,), dtype)},
    "ignore": lambda dtype: {"ignore_index": 2},
    "smoothing": lambda dtype: {"label_smoothing": 0.125},
    "sum": lambda dtype: {"reduction": "sum"},
    "none": lambda dtype: {"reduction": "none"},
    "all": lambda dtype: {
        "weight": draw((6,), dtype),
        "ignore_index": 2,
        "label_smoothing": 0.125,
        "reduction": "none",
    },
    "probabilities": lambda dtype: {"target": abs(draw((5, 6), dtype)) / 4, "label_smoothing": 0.125},
    "unbatched": lambda dtype: {"logits": draw((6,), dtype), "target": np.array(3)},
    "rank-4": lambda dtype: {"logits": draw((2, 6, 3, 2), dtype), "target": np.arange(12).reshape(2, 3, 2) % 6},
    "empty": lambda dtype: {"logits": draw((0, 6), dtype), "target": np.zeros(0, int), "reduction": "sum"},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTION_SETS)
def test_values_and_gradients_are_torchs_own(torch: Any, options: str, dtype: str) -> None:
    """Both ways in return the bits of a direct call of the functional form and of its autograd."""
    changes = OPTION_SETS[options](dtype)
    if changes.get("reduction") == "none":
        changes["upstream"] = draw((5,), dtype, seed=8)
    p = rows(dtype, **changes)
    z = torch.tensor(p.logits, requires_grad=True)
    keys = ("weight", "ignore_index", "reduction", "label_smoothing")
    given = {k: torch.tensor(changes[k]) if k == "weight" else changes[k] for k in keys if k in changes}
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(p.target), **given)
    (gradient,) = torch.autograd.grad(loss, z, torch.tensor(p.upstream).to(loss.dtype))
    axis = 0 if z.ndim == 1 else 1
    expected = {
        "a": torch.softmax(z, axis),
        "log_a": torch.log_softmax(z, axis),
        "loss" if p.reduction == "none" else "cost": loss,
        "dC/dz": gradient,
    }
    own = cost_and_gradient(adapters.get("torch"), p)
    assert set(own.values) == set(expected)
    assert all(identical(own.values[q], expected[q]) for q in expected)
    wrapped = cost_and_gradient(adapters.from_torch(torch.nn.functional.cross_entropy), p)
    assert set(wrapped.values) == set(expected) - {"a", "log_a"}
    assert all(identical(wrapped.values[q], expected[q]) for q in wrapped.values)
    assert own.changed_inputs == wrapped.changed_inputs == ()


class Spy:
    """A cross-entropy that remembers what it was called with."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.keywords: dict[str, Any] = {}
        self.upstreams: list[Any] = []

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        self.logits, self.target = args
        self.keywords = keywords
        loss = self.torch.nn.functional.cross_entropy(*args, **keywords)
        loss.register_hook(self.upstreams.append)
        return loss


@pytest.mark.parametrize(
    ("logits", "strides"),
    [
        (draw((5, 6)), (6, 1)),
        (draw((6, 5)).T, (1, 5)),
        (draw((10, 12))[::2, ::2], (24, 2)),
        (np.broadcast_to(draw((6,)), (5, 6)), (0, 1)),
    ],
    ids=["contiguous", "transposed", "sliced", "expanded"],
)
def test_layouts_arrive(torch: Any, logits: Array, strides: tuple[int, ...]) -> None:
    """Tensors have the strides of the problem's arrays: logits, targets, class weights and upstream gradient."""
    spy = Spy(torch)
    p = rows(
        logits=logits,
        target=np.array([0, 9, 5, 9, 2, 9, 2, 9, 3, 9])[::2],
        weight=draw((12,))[::2],
        reduction="none",
        upstream=np.broadcast_to(np.array(-2.0), (5,)),
    )
    result = cost_and_gradient(adapters.from_torch(spy), p)
    assert spy.logits.stride() == strides
    assert np.array_equal(spy.logits.detach().numpy(), logits)
    assert spy.logits.is_leaf
    assert not spy.logits._is_view()
    assert (spy.target.stride(), spy.target.tolist()) == ((2,), [0, 5, 2, 2, 3])
    assert spy.keywords["weight"].stride() == (2,)
    assert [g.stride() for g in spy.upstreams] == [(0,)]
    assert spy.upstreams[0].tolist() == [-2.0] * 5
    assert result.changed_inputs == ()


def test_only_keywords_that_differ_are_passed(torch: Any) -> None:
    """A plain problem calls f(input, target); each option adds its own keyword."""
    spy = Spy(torch)
    adapter = adapters.from_torch(spy)
    for changes in ({}, {"ignore_index": 2}, {"reduction": "sum"}, {"label_smoothing": 0.125}, {"weight": np.ones(6)}):
        cost_and_gradient(adapter, rows(**changes))
        assert set(spy.keywords) == set(changes)
        assert all(np.array_equal(spy.keywords[name], value) for name, value in changes.items())


def test_the_upstream_gradient_is_applied_per_row(torch: Any) -> None:
    """Powers of two as upstream scale each row of the gradient exactly."""
    upstream = np.array([1.0, -2.0, 4.0, -0.5, 0.0])
    adapter = adapters.get("torch")
    ones = cost_and_gradient(adapter, rows(reduction="none", upstream=np.ones(5))).values["dC/dz"]
    scaled = cost_and_gradient(adapter, rows(reduction="none", upstream=upstream)).values["dC/dz"]
    assert np.array_equal(scaled, upstream[:, None] * ones)
    assert np.all(ones != 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_scalar_upstream_is_taken_in_the_problems_dtype(torch: Any, dtype: str) -> None:
    """The default upstream is a float64 scalar; the gradient that arrives has the dtype of the loss."""
    spy = Spy(torch)
    result = cost_and_gradient(adapters.from_torch(spy), rows(dtype, upstream=np.array(-4.0)))
    assert [(str(g.dtype), float(g)) for g in spy.upstreams] == [(f"torch.{dtype}", -4.0)]
    assert result.values["dC/dz"].dtype == dtype


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_the_last_backward_is_the_judged_one(torch: Any, calls: int) -> None:
    """An implementation whose gradient grows with every backward call shows the second of two calls."""

    class Growing(torch.autograd.Function):  # type: ignore[misc]  # torch is imported by the test
        @staticmethod
        def forward(ctx: Any, loss: Any) -> Any:
            ctx.calls = []
            return loss.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            ctx.calls.append(float(upstream))
            return upstream * len(ctx.calls), None

    def growing(z: Any, y: Any) -> Any:
        return Growing.apply(torch.nn.functional.cross_entropy(z, y))

    right = cost_and_gradient(adapters.get("torch"), rows(backwards=calls)).values["dC/dz"]
    wrong = cost_and_gradient(adapters.from_torch(growing), rows(backwards=calls)).values["dC/dz"]
    assert np.array_equal(wrong, calls * right)


def test_the_first_of_two_backwards_has_another_upstream(torch: Any) -> None:
    """It is -2 times the judged one, so that a gradient kept from the first call is wrong in size and sign."""
    spy = Spy(torch)
    cost_and_gradient(adapters.from_torch(spy), rows(backwards=2, upstream=np.array(3.0)))
    assert [float(g) for g in spy.upstreams] == [-6.0, 3.0]


def test_overwritten_inputs_are_named(torch: Any) -> None:
    """Planted faults: logits overwritten, a class weight changed, a byte between the logits written."""

    def overwriting(z: Any, y: Any, weight: Any) -> Any:
        loss = torch.nn.functional.cross_entropy(z, y, weight=weight)
        z.data.zero_()
        weight.data[0] += 1
        return loss

    def beside(z: Any, y: Any, weight: Any) -> Any:
        z.data.as_strided((59,), (1,))[1] = 0
        return torch.nn.functional.cross_entropy(z, y, weight=weight)

    p = rows(logits=draw((5, 12))[:, ::2], weight=np.ones(6))
    before = p.logits.tobytes() if p.logits is not None else b""
    assert cost_and_gradient(adapters.from_torch(overwriting), p).changed_inputs == ("logits", "weight")
    assert cost_and_gradient(adapters.from_torch(beside), p).changed_inputs == ("beside_logits",)
    assert p.logits is not None
    assert p.logits.tobytes() == before


def test_settings_hold_inside_and_are_restored(torch: Any) -> None:
    """One thread and full float32 products during the call, also recorded; the caller's own afterwards."""
    seen = []

    def looking(z: Any, y: Any) -> Any:
        seen.append((torch.get_num_threads(), torch.get_float32_matmul_precision()))
        raise RuntimeError("planted")

    found = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("high")
        settings = adapters.get("torch").settings()
        with pytest.raises(RuntimeError, match="planted"):
            cost_and_gradient(adapters.from_torch(looking), rows())
        assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "high")
    finally:
        torch.set_num_threads(found[0])
        torch.set_float32_matmul_precision(found[1])
    assert seen == [(1, "highest")]
    assert settings["float32_matmul_precision"] == "highest"
    assert (settings["threads"], settings["tf32_matmul"]) == ("1", "False")


def layer(dtype: str, **changes: Any) -> Problem:
    """Five rows of three activations into six classes."""
    arrays = {"a_prev": draw((3, 5), dtype).T, "w": draw((6, 3), dtype, 1), "b": draw((6,), dtype, 2)}
    return Problem(**{**arrays, "target": np.array([0, 5, 2, 2, 3]), **changes})


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layer_is_one_linear_map(torch: Any, dtype: str) -> None:
    """The last layer's gradients are the bits of a direct F.linear and F.cross_entropy."""
    p = layer(dtype, label_smoothing=0.125)
    x, w, b = (torch.tensor(v).requires_grad_() for v in (p.a_prev, p.w, p.b))
    x = torch.empty_strided((5, 3), (1, 5), dtype=x.dtype).copy_(x.detach()).requires_grad_()
    loss = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(x, w, b), torch.tensor(p.target), label_smoothing=0.125
    )
    expected = dict(zip(("dC/db", "dC/dw", "dC/da_prev"), torch.autograd.grad(loss, (b, w, x)), strict=True))
    result = cost_and_gradient(adapters.get("torch"), p)
    assert set(result.values) == {"cost", *expected}
    assert identical(result.values["cost"], loss)
    assert all(np.array_equal(result.values[q], expected[q].numpy()) for q in expected)
    assert result.values["dC/dw"].shape == (6, 3)
    assert result.changed_inputs == ()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_network_has_a_sigmoid_layer_before(torch: Any, dtype: str) -> None:
    """Gradients of both layers, as one vector each, the hidden layer's first: the bits of direct calls."""
    hidden = {"hidden_w": draw((3, 4), dtype, 3), "hidden_b": draw((3,), dtype, 4), "a_prev": draw((5, 4), dtype, 5)}
    p = layer(dtype, **hidden)
    x, v, c, w, b = (torch.tensor(a).requires_grad_() for a in (p.a_prev, p.hidden_w, p.hidden_b, p.w, p.b))
    linear = torch.nn.functional.linear
    loss = torch.nn.functional.cross_entropy(linear(torch.sigmoid(linear(x, v, c)), w, b), torch.tensor(p.target))
    dv, dc, dw, db, dx = torch.autograd.grad(loss, (v, c, w, b, x))
    result = cost_and_gradient(adapters.get("torch"), p)
    assert identical(result.values["cost"], loss)
    assert identical(result.values["dC/dw"], torch.cat([dv.flatten(), dw.flatten()]))
    assert identical(result.values["dC/db"], torch.cat([dc, db]))
    assert identical(result.values["dC/da_prev"], dx)


def test_layers_draw_no_random_numbers(torch: Any) -> None:
    """The caller's random state is the same afterwards, although `nn.Linear` initialises itself at random."""
    state = torch.get_rng_state()
    cost_and_gradient(adapters.get("torch"), layer("float64"))
    assert torch.equal(torch.get_rng_state(), state)
    torch.nn.Linear(3, 6)
    assert not torch.equal(torch.get_rng_state(), state)


def test_only_what_is_asked_for_is_computed(torch: Any) -> None:
    """Without a gradient quantity there is no backward: a loss without a graph has a value, and no gradient."""

    def detached(z: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, y).detach()

    adapter = adapters.from_torch(detached)
    assert set(adapter.compute(rows(), ("cost",), device="cpu", variant="eager").values) == {"cost"}
    with pytest.raises(RuntimeError, match="does not require grad"):
        adapter.compute(rows(), ("cost", "dC/dz"), device="cpu", variant="eager")


def test_results_come_as_they_are(torch: Any) -> None:
    """A loss of another dtype or shape is returned so, for the judge to see."""

    def widened(z: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(z.double(), y)

    values = cost_and_gradient(adapters.from_torch(widened), rows("float32")).values
    assert (str(values["cost"].dtype), str(values["dC/dz"].dtype)) == ("float64", "float32")
    kept = adapters.from_torch(lambda z, y: torch.nn.functional.cross_entropy(z, y)[None])
    assert kept.compute(rows(), ("cost",), device="cpu", variant="eager").values["cost"].shape == (1,)


def test_a_function_that_returns_no_tensor_is_refused(torch: Any) -> None:
    """One line that names the function and the type."""
    adapter = adapters.from_torch(lambda z, y: 1.0, name="floaty")
    with pytest.raises(AdapterError) as caught:
        cost_and_gradient(adapter, rows())
    assert str(caught.value) == "floaty returned float; allowed: a torch.Tensor, the loss"


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_log_softmax_is_the_model_of_its_contract_bit_by_bit(torch: Any, dtype: str, classes: int) -> None:
    """On the CPU: R((z - m) - R(log R(S))), with R the rounding to storage, in every element of rows of 4 scales.

    exp and log of another library differ by rounding errors of float32, which R hides unless S or log S lies on the
    edge between two numbers; such a row is told by its sum in float64, and left out.
    """
    scales = np.array([0.1, 1.0, 5.0, 20.0]).repeat(16)[:, None]
    z = (draw((64, classes)) * scales).astype(dtype)
    wide = z.astype(np.float64)
    t = wide - wide.max(1, keepdims=True)
    total = np.exp(t).sum(1, keepdims=True)
    stored = total.astype(dtype).astype(np.float64)
    log_total = np.log(stored).astype(dtype).astype(np.float64)
    model = (t - log_total).astype(dtype)
    sure = np.ones(len(z), bool)
    for edge in (1 - 1e-5, 1 + 1e-5):
        sure &= ((total * edge).astype(dtype).astype(np.float64) == stored)[:, 0]
        sure &= ((np.log(stored) * edge).astype(dtype).astype(np.float64) == log_total)[:, 0]
    assert sure.sum() > 56
    problem = Problem(logits=z, target=np.zeros(64, np.int64))
    got = adapters.get("torch").compute(problem, ("log_a",), device="cpu", variant="eager").values["log_a"]
    assert got[sure].tobytes() == model[sure].tobytes()


def test_a_loss_of_another_shape_has_no_gradient(torch: Any) -> None:
    """One line that names the function, its shape and the right one."""
    adapter = adapters.from_torch(lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="none"), name="rows")
    with pytest.raises(AdapterError) as caught:
        cost_and_gradient(adapter, rows())
    assert str(caught.value) == "rows returned a loss of shape (5,); allowed: ()"


def test_devices_are_those_that_torch_sees(torch: Any) -> None:
    """cpu always, cuda when there is one, and none that is not declared."""
    seen = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    assert adapters.get("torch").devices() == seen
    assert adapters.from_torch(print, devices=["cuda"]).devices() == seen[1:]
    assert "torch" in adapters.available()


def test_steps_are_exact_where_softmax_is(torch: Any) -> None:
    """Four equal logits: a = 1/4, so that dC/da = -4 at the target, da/dz = diag(a) - a a^T, and (37) gives a - y."""
    p = Problem(logits=np.zeros((2, 4)), target=np.array([1, 3]), reduction="sum")
    steps = adapters.get("torch").steps(p)
    y = np.eye(4)[[1, 3]]
    assert set(steps) == {"a", "log_a", "dC/da", "da/dz", "cost", "dC/dz"}
    assert np.array_equal(steps["a"], np.full((2, 4), 0.25))
    assert np.array_equal(steps["dC/da"], -4 * y)
    assert np.array_equal(steps["da/dz"], np.broadcast_to(np.eye(4) / 4 - 1 / 16, (2, 4, 4)))
    assert np.array_equal(np.einsum("mj,mjk->mk", steps["dC/da"], steps["da/dz"]), 0.25 - y)
    assert adapters.from_torch(torch.nn.functional.cross_entropy).steps(p) == {}


def test_steps_of_a_layer_hold_its_gradients_too(torch: Any) -> None:
    """dC/dz comes beside the layer's own quantities, and dC/db is its sum over the rows."""
    steps = adapters.get("torch").steps(layer("float64"))
    assert set(steps) == {"a", "log_a", "dC/da", "da/dz", "cost", "dC/dz", "dC/db", "dC/dw", "dC/da_prev"}
    assert np.array_equal(steps["dC/db"], torch.from_numpy(steps["dC/dz"].copy()).sum(0).numpy())


@pytest.mark.parametrize(
    "needs", [("a_prev",), ("w",), ("b",), ("a_prev", "b"), ("a_prev", "w"), ("w", "b"), ()], ids=str
)
def test_a_layer_learns_what_is_asked_for_and_no_more(
    needs: tuple[str, ...], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Input, weight and bias need a gradient where theirs is asked for: a loss may look at that."""
    from xentcheck.adapters.torch import tensors

    def kept(w: Any, b: Any) -> Any:
        made.append(linear(w, b))
        return made[-1]

    made, linear = [], tensors.linear
    monkeypatch.setattr(tensors, "linear", kept)
    layer = {"a_prev": draw((5, 3)), "w": draw((6, 3)), "b": draw((6,))}
    p = Problem(target=np.array([0, 5, 2, 2, 3]), needs=needs, **layer)
    inputs = tensors.Tensors(p, "cpu")
    tensors.head(p, inputs)
    found = {"a_prev": inputs["a_prev"], "w": made[0].weight, "b": made[0].bias}
    assert {name for name, tensor in found.items() if tensor.requires_grad} == set(needs or found)


def test_a_value_alone_is_asked_for_without_a_graph(torch: Any) -> None:
    """As in an evaluation: a loss that looks at it takes the way that it takes there."""
    seen = []

    def loss(input: Any, target: Any) -> Any:
        seen.append(torch.is_grad_enabled())
        return torch.nn.functional.cross_entropy(input, target)

    adapter = adapters.from_torch(loss)
    for wanted in (("cost",), ("cost", "dC/dz")):
        adapter.compute(rows(), wanted, device="cpu", variant="eager")
    assert seen == [False, True]
