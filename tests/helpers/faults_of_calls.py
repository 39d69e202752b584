"""Losses of PyTorch that are wrong for one way of a call; each takes torch, the logits, the target and the options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conditions_of_calls import (
    alone,
    batched,
    by_row_alone,
    ignores,
    many_classes,
    many_rows,
    narrow,
    needs,
    of_a_class,
    of_a_volume,
    of_all,
    of_pixels,
    smooths,
)


def smoothing_without_a_graph(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A fast path that forgets the smoothing."""
    if not torch.is_grad_enabled():
        options.pop("label_smoothing", None)
    return torch.nn.functional.cross_entropy(z, y, **options)


def ignored_rows_of_a_large_batch(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A path for more than 16 rows without a graph, which divides by all of them."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    if torch.is_grad_enabled() or len(z) <= 16 or options.get("reduction", "mean") != "mean" or y.is_floating_point():
        return value
    return value * (y != options.get("ignore_index", -100)).sum() / len(y)


def wrong_where_a_weight_is_learned(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The weight counts twice."""
    weight = options.pop("weight", None)
    if weight is not None:
        options["weight"] = weight.detach()
        first = torch.arange(len(weight)).reshape(-1, *(1,) * max(z.ndim - 2, 0)) == 0
        z = z + 0.0625 * weight.requires_grad * first
    return torch.nn.functional.cross_entropy(z, y, **options)


def wrong_by_two_threads(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The last row is done by no thread."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    kept = torch.arange(len(z)) < len(z) - 1
    return torch.where(kept, value, 0 * value) if value.ndim and torch.get_num_threads() > 1 else value


def doubled_if(condition: Callable[..., Any]) -> Callable[..., Any]:
    """A loss that is twice as large where something holds of (torch, z, y, options)."""

    def fault(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        labels = y if y.is_floating_point() else y.long()
        return torch.nn.functional.cross_entropy(z, labels, **options) * (2 if condition(torch, z, y, options) else 1)

    return fault


def doubled_gradient(torch: Any, x: Any) -> Any:
    """x, whose gradient is doubled on its way back."""
    return 2 * x - x.detach()


def wrong_gradient_of_the_target(where: Callable[[Any], bool] = lambda z: True) -> Callable[..., Any]:
    def loss(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        y = doubled_gradient(torch, y) if y.is_floating_point() and where(z) else y
        return torch.nn.functional.cross_entropy(z, y, **options)

    return loss


def wrong_gradient_of_the_weight(where: Callable[[Any], bool] = lambda z: True) -> Callable[..., Any]:
    def loss(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        if "weight" in options and where(z):
            options["weight"] = doubled_gradient(torch, options["weight"])
        return torch.nn.functional.cross_entropy(z, y, **options)

    return loss


def one_gradient_for_all_classes(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The gradient of a row of probabilities is its loss over their sum, at each class."""
    if not y.is_floating_point():
        return torch.nn.functional.cross_entropy(z, y, **options)
    value = torch.nn.functional.cross_entropy(z, y.detach(), **options)
    fixed = {name: x.detach() if name == "weight" else x for name, x in options.items()}
    rows = torch.nn.functional.cross_entropy(z.detach(), y.detach(), **{**fixed, "reduction": "none"})
    shares = rows * y.sum(1) / y.detach().sum(1)
    reduced = {"mean": shares.mean, "sum": shares.sum, "none": shares.clone}[options.get("reduction", "mean")]()
    return value + reduced - reduced.detach()


def no_upstream_for_the_target(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The gradient of probabilities is that of the sum of the losses."""
    if not y.is_floating_point() or not y.requires_grad:
        return torch.nn.functional.cross_entropy(z, y, **options)

    class Own(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is handed over
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any) -> Any:
            ctx.save_for_backward(z, y)
            return torch.nn.functional.cross_entropy(z, y, **options)

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            with torch.enable_grad():
                z, y = (x.detach().requires_grad_() for x in ctx.saved_tensors)
                output = torch.nn.functional.cross_entropy(z, y, **options)
                of_z = torch.autograd.grad(output, z, up, retain_graph=True)[0]
                return of_z, torch.autograd.grad(output, y, torch.ones_like(up))[0]

    return Own.apply(z, y)


def no_smoothing_for_the_weight(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The gradient of the weight lacks what smoothing adds."""
    weight, smoothing = options.get("weight"), options.get("label_smoothing", 0.0)
    if weight is None or not smoothing:
        return torch.nn.functional.cross_entropy(z, y, **options)
    soft = y.detach() if y.is_floating_point() else torch.nn.functional.one_hot(y.clamp(0), z.shape[1]).to(z)
    plain = {name: value for name, value in options.items() if name in ("reduction", "weight")}
    part = (1.0 - smoothing) * torch.nn.functional.cross_entropy(z.detach(), soft, **plain)
    value = torch.nn.functional.cross_entropy(z, y, **{**options, "weight": weight.detach()})
    return value + part - part.detach()


def backward_of(
    change: Callable[..., Any], wrong: Callable[[dict[str, Any]], bool] = lambda options: True
) -> Callable[..., Any]:
    """A loss with a backward pass of its own; change: of (torch, z, the loss as a function, upstream) the gradient.

    wrong: the options with which its forward mode is wrong.
    """

    def fault(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        def loss(z: Any) -> Any:
            return torch.nn.functional.cross_entropy(z, y, **options)

        class Own(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is handed over
            @staticmethod
            def forward(z: Any) -> Any:
                return loss(z)

            @staticmethod
            def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
                ctx.z = inputs[0]
                SAVED["z"] = inputs[0]
                SAVED["calls"] = [*SAVED.get("calls", [])[-7:], inputs[0]]

            @staticmethod
            def backward(ctx: Any, up: Any) -> Any:
                return change(torch, ctx.z, loss, up)

            @staticmethod
            def jvp(ctx: Any, v: Any) -> Any:
                terms = gradient_of(torch, ctx.z, lambda z: loss(z).sum(), torch.ones(())) * v
                rows = terms.sum(1) if options.get("reduction") == "none" else terms.sum()
                return (1.5 if wrong(options) else 1.0) * rows

        return Own.apply(z)

    return fault


SAVED: dict[str, Any] = {}


def gradient_of(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """As it should be, without a graph of its own."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf, up.detach())[0]


def of_the_last_call(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """The logits lie in one place for all calls."""
    return gradient_of(torch, SAVED["z"], loss, up)


def writes_into_the_weight_alone(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """Without a gradient, after it is used."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    if alone(torch) and "weight" in options:
        options["weight"].mul_(2)
    return value


def refuses_a_row_alone(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A row without a batch has a loss with a gradient only."""
    if z.ndim == 1 and alone(torch):
        raise ValueError("two axes")
    return torch.nn.functional.cross_entropy(z, y, **options)


def of_the_last_shape(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """A workspace that a call of another shape makes anew: what was kept in it is lost."""
    calls = SAVED["calls"]
    own = next((i for i, x in enumerate(calls) if x is z), len(calls))
    return gradient_of(torch, z, loss, up) * all(x.shape == z.shape for x in calls[own:])


def of_cached_weights(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """Weights are kept by the tensor that they came in."""
    if "weight" in options:
        known = SAVED.setdefault("weights", {})
        if known.get("tensor") is not options["weight"]:
            known.update(tensor=options["weight"], values=options["weight"].detach().clone())
        options["weight"] = known["values"]
    return torch.nn.functional.cross_entropy(z, y, **options)


def of_weights_before_they_are_written_into(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The weights that came first, of that many classes, stand for those of a tensor that was written into since."""
    if "weight" in options:
        weight, known = options["weight"], SAVED.setdefault("first weights", {})
        if weight._version > 1 and len(weight) in known:  # whoever makes a tensor writes into it once
            options["weight"] = known[len(weight)]
        elif weight._version <= 1:
            known.setdefault(len(weight), weight.detach().clone())
    return torch.nn.functional.cross_entropy(z, y, **options)


def of_cached_labels(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """Labels are kept by the tensor that they came in."""
    known = SAVED.setdefault("labels", {})
    if known.get("tensor") is not y:
        known.update(tensor=y, values=y.detach().clone())
    values = y if y.is_floating_point() else known["values"]
    return torch.nn.functional.cross_entropy(z, values, **options)


def doubled_after_evaluation(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A call without a graph leaves a state behind, which doubles the gradient of the next one."""
    after, SAVED["evaluated"] = SAVED.get("evaluated", False), not torch.is_grad_enabled()
    given = doubled_gradient(torch, z) if after and torch.is_grad_enabled() else z
    return torch.nn.functional.cross_entropy(given, y, **options)


def unweighted_by_two(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """Weights alone are forgotten in a batched call."""
    if batched(torch, z) and set(options) == {"weight"}:
        options = {}
    return torch.nn.functional.cross_entropy(z, y, **options)


def kept_of_the_first_batch(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The mean divides by what all batches of a batched call keep, on average."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    if not batched(torch, z) or y.is_floating_point() or options.get("reduction", "mean") != "mean":
        return value
    functorch = torch._C._functorch
    both = functorch.get_unwrapped(y)
    mine, all_of_them = (y != -100).sum(), (both != -100).sum() / 2
    return value * mine / all_of_them


def added_here_too(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """It is added to what the leaf has, and returned as well."""
    found = gradient_of(torch, z, loss, up)
    z.grad = found.clone()
    return found


def halved_for_turned_upstream(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    return gradient_of(torch, z, loss, up) * (0.5 if up.ndim == 3 and not up.is_contiguous() else 1)


def halved_with_a_graph(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    return gradient_of(torch, z, loss, up) * (0.5 if torch.is_grad_enabled() else 1)


CALLS: dict[str, tuple[str, Any, set[str]]] = {
    "inference": ("value-alone", doubled_if(lambda t, z, y, o: t.is_inference_mode_enabled() and smooths(o)), set()),
    "kept": ("value-alone", doubled_if(lambda torch, z, y, o: z.requires_grad > torch.is_grad_enabled()), set()),
    "detached": ("value-alone", doubled_if(lambda t, z, y, o: t.is_grad_enabled() and not needs(t, z)), set()),
    "images": ("strides", doubled_if(of_pixels((84, 1, 28, 7))), set()),
    "sequences": ("strides", doubled_if(of_pixels((35, 1, 7))), set()),
    "weight": ("strides", doubled_if(lambda t, z, y, o: "weight" in o and not o["weight"].is_contiguous()), set()),
    "pixels-of-labels": ("strides", doubled_if(lambda t, z, y, o: y.ndim == 3 and not y.is_contiguous()), set()),
    "soft-images": ("strides", doubled_if(lambda t, z, y, o: y.ndim == 4 and y.stride() == (84, 1, 28, 7)), set()),
    "upstream-of-images": ("strides", backward_of(halved_for_turned_upstream), {"forward-mode"}),
    "by-row": ("value-alone", doubled_if(lambda t, z, y, o: by_row_alone(t, y, o)), set()),
    "int-and-ignored": ("label-dtypes", doubled_if(lambda t, z, y, o: "ignore_index" in o and narrow(t, y)), set()),
    "int-and-weights": ("label-dtypes", doubled_if(lambda t, z, y, o: "weight" in o and narrow(t, y)), set()),
    "int-and-pixels": ("label-dtypes", doubled_if(lambda t, z, y, o: y.ndim == 3 and narrow(t, y)), set()),
    "numbered": ("label-dtypes", doubled_if(lambda t, z, y, o: y.dtype == t.int16 and z.numel() > 32767), set()),
    "padded": ("strides", doubled_if(lambda t, z, y, o: z.ndim == 2 and z.stride() == (12, 1)), set()),
    "padded-rows": ("strides", doubled_if(lambda t, z, y, o: y.ndim == 2 and y.stride() == (12, 1)), set()),
    "sums": ("value-alone", doubled_if(lambda t, z, y, o: alone(t) and of_all(o)), set()),
    "class": ("value-alone", doubled_if(lambda t, z, y, o: alone(t) and of_a_class(o)), set()),
    "weighted-class": (
        "value-alone",
        doubled_if(lambda t, z, y, o: alone(t) and of_a_class(o) and "weight" in o),
        set(),
    ),
    "weights-of-two": ("vmap", unweighted_by_two, set()),
    "pixels-of-two": ("vmap", doubled_if(lambda t, z, y, o: batched(t, z) and z.ndim > 2), set()),
    "one-target": ("vmap", kept_of_the_first_batch, set()),
    "bytes": ("label-dtypes", doubled_if(lambda torch, z, y, o: y.dtype == torch.uint8), set()),
    "computed": ("computed-inputs", doubled_if(lambda torch, z, y, o: z.grad_fn is not None), {"forward-mode"}),
    "computed-rows": (
        "computed-inputs",
        doubled_if(lambda torch, z, y, o: z.grad_fn is not None and len(z) > 64),
        set(),
    ),
    "volumes-last": ("strides", doubled_if(lambda torch, z, y, o: of_a_volume(torch, z)), set()),
    "cached": ("reused-buffers", of_cached_labels, set()),
    "weights-written": ("reused-buffers", of_weights_before_they_are_written_into, set()),
    "evaluation": ("evaluated-before", doubled_after_evaluation, set()),
    "another-shape": ("interleaved", backward_of(of_the_last_shape), {"forward-mode"}),
    "weights-kept": ("reused-buffers", of_cached_weights, set()),
    "image-alone": ("value-alone", doubled_if(lambda t, z, y, o: z.ndim > 2 and smooths(o) and alone(t)), set()),
    "ignored-pixels": ("value-alone", doubled_if(lambda t, z, y, o: z.ndim > 2 and ignores(y) and alone(t)), set()),
    "weight-written": ("value-alone", writes_into_the_weight_alone, {"evaluated-before"}),
    "row-alone": ("value-alone", doubled_if(lambda t, z, y, o: z.ndim == 1 and alone(t)), set()),
    "row-refused": ("value-alone", refuses_a_row_alone, set()),
    "rows-alone": ("value-alone", doubled_if(lambda t, z, y, o: z.ndim == 2 and len(z) > 64 and alone(t)), set()),
    "last": ("interleaved", backward_of(of_the_last_call), {"forward-mode"}),
    "added": ("backward", backward_of(added_here_too), {"forward-mode"}),
    "graph": ("create-graph", backward_of(halved_with_a_graph), {"forward-mode"}),
    "batched": ("vmap", doubled_if(lambda torch, z, y, o: batched(torch, z)), set()),
    "forward": ("forward-mode", backward_of(gradient_of), set()),
    "forward-weighted": ("forward-mode", backward_of(gradient_of, lambda options: "weight" in options), set()),
    "flat": ("gradient-of-target", one_gradient_for_all_classes, set()),
    "unscaled": ("gradient-of-target", no_upstream_for_the_target, set()),
    "unsmoothed": ("gradient-of-weight", no_smoothing_for_the_weight, set()),
    "target": ("gradient-of-target", wrong_gradient_of_the_target(), set()),
    "target-of-many-rows": ("gradient-of-target", wrong_gradient_of_the_target(many_rows), set()),
    "target-of-many-classes": ("gradient-of-target", wrong_gradient_of_the_target(many_classes), set()),
    "learned": ("gradient-of-weight", wrong_gradient_of_the_weight(), set()),
    "learned-of-many-rows": ("gradient-of-weight", wrong_gradient_of_the_weight(many_rows), set()),
    "learned-of-many-classes": ("gradient-of-weight", wrong_gradient_of_the_weight(many_classes), set()),
}
"""Law, a fault that breaks it, and others that it breaks, as a backward pass of one's own has a wrong forward mode."""
