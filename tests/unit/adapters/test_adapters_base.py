"""The adapters' common ground: names, declared capabilities, layouts, and what is said when something is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.layout import OwnCopies, own_copy
from xentcheck.adapters.needs import keywords, needed_options
from xentcheck.adapters.torch.adapter import TorchFunction
from xentcheck.errors import AdapterError, UnavailableError
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES, OPTIONS, REDUCTIONS

GRID = np.arange(24.0).reshape(4, 6)


def plain(**changes: Any) -> Problem:
    """Four rows of six logits with class indices, changed as told."""
    return Problem(**{"logits": GRID.copy(), "target": np.array([0, 5, 2, 2]), **changes})


USES = {
    "weight": plain(weight=np.ones(6)),
    "negative_weight": plain(weight=-np.ones(6)),
    "ignore_index": plain(ignore_index=5),
    "label_smoothing": plain(label_smoothing=0.25),
    "probabilities": plain(target=np.full((4, 6), 0.5)),
    "smoothed_probabilities": plain(target=np.full((4, 6), 0.5), label_smoothing=0.25),
    "signed_targets": plain(target=np.where(np.arange(6) == 0, -0.5, 1.5) * np.ones((4, 1))),
    "k_dims": plain(logits=GRID.reshape(2, 3, 4).copy(), target=np.zeros((2, 4), int)),
    "unbatched": plain(logits=np.zeros(3), target=np.array(1)),
    "empty_batch": plain(logits=np.zeros((0, 3)), target=np.zeros(0, int)),
    "upstream": plain(upstream=np.array(-2.0)),
    "strided": plain(logits=GRID.T.copy().T),
    "uint8_targets": plain(target=np.array([0, 1, 2, 2], np.uint8)),
    "wide_sentinel": plain(ignore_index=2**32),
}


@pytest.mark.parametrize("option", [o for o in OPTIONS if o != "second_order"])
def test_a_problem_needs_the_option_that_it_uses(option: str) -> None:
    """Each option is found in a problem that uses it, and in no plain problem."""
    assert option in needed_options(USES[option])
    assert needed_options(plain()) == set()


@pytest.mark.parametrize("entry", [-0.5, 1.5])
def test_a_target_beyond_0_or_1_is_signed(entry: float) -> None:
    """On either side; 0 and 1 themselves are probabilities."""
    target = np.tile([entry, 1.0, 0.0, 0.0, 0.0, 0.0], (4, 1))
    assert "signed_targets" in needed_options(plain(target=target))
    assert "signed_targets" not in needed_options(plain(target=np.clip(target, 0.0, 1.0)))


def test_an_index_that_no_target_has_needs_ignore_index() -> None:
    """The keyword alone counts, and so does an ignored row under the default index."""
    assert needed_options(plain(ignore_index=4)) == {"ignore_index"}
    assert needed_options(plain(target=np.array([0, -100, 2, 2]))) == {"ignore_index"}


@pytest.mark.parametrize("option", [o for o in OPTIONS if o != "second_order"])
def test_an_undeclared_option_is_unsupported(option: str) -> None:
    """A problem that needs an option which is not declared is refused with its name; with all declared it is not."""
    declared = [o for o in OPTIONS if o not in needed_options(USES[option])]
    refusing = adapters.from_torch(print, options=declared)
    first = sorted(needed_options(USES[option]))[0]
    assert refusing.unsupported(USES[option]) == f"option {first}"
    assert adapters.from_torch(print, options=OPTIONS).unsupported(USES[option]) == ""


@pytest.mark.parametrize(
    ("declared", "changes", "reason"),
    [
        ({"dtypes": ["float32"]}, {}, "dtype float64"),
        ({"reductions": ["sum", "none"]}, {}, "reduction mean"),
        ({}, {"logits": None, "a_prev": GRID, "w": np.ones((6, 6)), "b": np.ones(6)}, "head layer"),
    ],
    ids=["dtype", "reduction", "head"],
)
def test_what_is_not_declared_is_unsupported(declared: dict[str, Any], changes: dict[str, Any], reason: str) -> None:
    """dtype, reduction and head outside the declaration are named."""
    assert adapters.from_torch(print, **declared).unsupported(plain(**changes)) == reason


def test_the_limit_of_a_program_is_a_time() -> None:
    """Any number of seconds that ends, and no other."""
    for timeout in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(AdapterError, match=r"^timeout is \S+; allowed: a finite number of seconds above 0$"):
            adapters.from_process("no-such-program", timeout=timeout)
    with pytest.raises(AdapterError, match=r"^program 'no-such-program' is not installed$"):
        adapters.from_process("no-such-program", timeout=5)


def test_who_declares_no_accuracy_has_two_ulps_of_exp_and_of_log() -> None:
    """As the page of contracts says: most libraries keep that, and a bound of 0 would be an alarm for all of them."""
    text = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text()
    assert {Adapter.exp_ulps, Adapter.log_ulps} == {2.0}
    assert "a relative error of 2 ULPs u" in text


def test_keywords_are_those_that_differ_from_the_defaults() -> None:
    """No option, no keyword; each option alone, its own keyword and no other."""
    assert keywords(plain()) == {}
    for name, value in {"ignore_index": 5, "reduction": "sum", "label_smoothing": 0.5}.items():
        assert keywords(plain(**{name: value})) == {name: value}
    weight = np.ones(6)
    assert keywords(plain(weight=weight))["weight"] is weight


LAYOUTS: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
    "contiguous": lambda: GRID.copy(),
    "transposed": lambda: GRID.T,
    "sliced": lambda: GRID[1:, ::2],
    "permuted-3d": lambda: np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1),
    "expanded": lambda: np.broadcast_to(np.array(2.0), (4,)),
    "expanded-rows": lambda: np.broadcast_to(np.arange(3.0), (4, 3)),
    "reversed": lambda: GRID[::-1],
    "strided-int": lambda: np.arange(12)[::3],
    "scalar": lambda: np.array(3.0),
    "empty": lambda: np.zeros((0, 3)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_own_copy_keeps_values_and_strides(layout: str) -> None:
    """The copy has the original's values, dtype and strides, is writable, and shares no memory with it."""
    original = LAYOUTS[layout]()
    view = own_copy(original).view
    assert view.strides == original.strides
    assert view.dtype == original.dtype
    assert np.array_equal(view, original)
    assert view.flags.writeable
    assert not np.shares_memory(view, original)


def test_own_copy_fills_gaps_with_nan() -> None:
    """Reading a sliced array as if it were contiguous, or from its memory's start, meets nan; its own hold none."""
    copy = own_copy(GRID[:, ::2])
    own = copy.buffer[copy.offset :]
    assert copy.offset == 3
    assert np.isnan(own[1:6:2]).all()
    assert np.isnan(copy.buffer[: copy.offset]).all()
    assert not np.isnan(copy.view).any()


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "empty"])
def test_an_overwritten_copy_is_named(layout: str) -> None:
    """One element written is enough to name the array, and only that array."""
    copies = OwnCopies({"logits": LAYOUTS[layout](), "target": np.arange(4)})
    assert copies.changed() == ()
    copies["logits"].view[(0,) * copies["logits"].view.ndim] = 77
    assert copies.changed() == ("logits",)


def test_a_write_between_the_elements_is_named() -> None:
    """Writing into the gaps of a sliced array is a change as well, and so is nan over nan of other bits."""
    copies = OwnCopies({"logits": GRID[:, ::2]})
    copies["logits"].buffer[1] = -copies["logits"].buffer[1]
    assert copies.changed() == ("beside_logits",)


def test_names_are_those_of_the_built_in_adapters() -> None:
    """Each name gives the adapter that carries it, and every capability is a word of the vocabulary."""
    for name in adapters.names():
        adapter = adapters.get(name)
        assert adapter.name == name
        assert adapter.capabilities.options <= set(OPTIONS)
        assert adapter.capabilities.dtypes == DTYPES
        assert adapter.capabilities.reductions == REDUCTIONS


def test_an_unknown_adapter_is_refused_in_one_line() -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(AdapterError) as caught:
        adapters.get("tensorfow")
    assert str(caught.value) == "unknown adapter 'tensorfow'; allowed: numpy, torch, jax"


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_missing_framework_is_unavailable(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package: not among the available, no devices, and one line that says why."""
    monkeypatch.setitem(sys.modules, framework, None)
    adapter = adapters.get(framework)
    assert adapter.unavailable() == f"{framework} is not installed"
    assert framework not in adapters.available()
    assert "numpy" in adapters.available()
    assert adapter.devices() == ()
    with pytest.raises(UnavailableError) as caught:
        adapter.compute(plain(), ("cost",), device="cpu", variant=adapter.variants[0])
    assert str(caught.value) == f"{framework} is not installed"


def foreign(package: str) -> Adapter:
    """An adapter of another package."""
    adapter = TorchFunction(print, "foreign")
    adapter.package = package
    return adapter


def test_a_broken_framework_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose import raises is found out at the first use, and reported with its first line from then on."""
    (tmp_path / "xentcheck_broken.py").write_text("raise OSError('libcudart.so: no such file\\nsecond line')\n")
    monkeypatch.syspath_prepend(tmp_path)
    adapter = foreign("xentcheck_broken")
    reason = "xentcheck_broken cannot start: OSError: libcudart.so: no such file"
    assert adapter.unavailable() == ""
    assert adapter.devices() == ()
    assert adapter.unavailable() == reason
    with pytest.raises(UnavailableError) as caught:
        adapter.load()
    assert str(caught.value) == reason


def test_the_version_of_a_missing_package_is_empty() -> None:
    """Versions come from the installed metadata, without an import."""
    assert foreign("xentcheck-not-installed").version() == ""
    assert adapters.get("numpy").version() == np.__version__


def test_making_adapters_imports_no_framework() -> None:
    """All names, versions and availabilities are known without importing torch or jax."""
    code = (
        "import sys; from xentcheck import adapters\n"
        "adapters.available(); adapters.from_torch(print); adapters.from_jax(print)\n"
        "[adapters.get(n).version() for n in adapters.names()]\n"
        "assert 'numpy' in sys.modules, 'the check below sees nothing'\n"
        "print(sorted({'torch', 'jax', 'jaxlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


WRAPPERS = {"torch": adapters.from_torch, "jax": adapters.from_jax, "numpy": adapters.from_numpy}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"options": ["weigth"]}, f"options has 'weigth'; allowed: {', '.join(OPTIONS)}"),
        ({"options": "weight"}, f"options is 'weight'; allowed: a collection of {', '.join(OPTIONS)}"),
        ({"dtypes": ["float8"]}, f"dtypes has 'float8'; allowed: {', '.join(DTYPES)}"),
        ({"dtypes": []}, f"dtypes is empty; allowed: {', '.join(DTYPES)}"),
        ({"reductions": ["max"]}, "reductions has 'max'; allowed: mean, sum, none"),
        (
            {"contract": "exact"},
            f"unknown contract 'exact'; allowed: {', '.join(CATALOGUE)}",
        ),
    ],
    ids=["option", "string", "dtype", "nothing", "reduction", "contract"],
)
@pytest.mark.parametrize("framework", WRAPPERS)
def test_words_outside_the_vocabulary_are_refused(framework: str, given: dict[str, Any], message: str) -> None:
    """A misspelt option, dtype, reduction or contract raises one line that lists those allowed."""
    with pytest.raises(AdapterError) as caught:
        WRAPPERS[framework](print, **given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("framework", "device", "allowed"),
    [("torch", "gpu", "cpu, cuda"), ("jax", "cuda", "cpu, gpu"), ("numpy", "cuda", "cpu")],
    ids=["torch", "jax", "numpy"],
)
def test_devices_of_another_framework_are_refused(framework: str, device: str, allowed: str) -> None:
    """Each framework has its own words for its devices."""
    with pytest.raises(AdapterError) as caught:
        WRAPPERS[framework](print, devices=[device])
    assert str(caught.value) == f"devices has {device!r}; allowed: {allowed}"


@pytest.mark.parametrize("framework", WRAPPERS)
def test_a_wrapper_takes_functions_only(framework: str) -> None:
    """Something that cannot be called is refused at once, by its type."""
    with pytest.raises(AdapterError) as caught:
        WRAPPERS[framework]("torch.nn.functional.cross_entropy")  # type: ignore[arg-type]  # a wrong argument on purpose
    assert str(caught.value) == f"from_{framework} got str; allowed: a function"


@pytest.mark.parametrize("framework", WRAPPERS)
def test_a_wrapper_declares_what_it_is_told(framework: str) -> None:
    """Everything by default; what is given otherwise, in the vocabulary's order."""
    everything = WRAPPERS[framework](print)
    assert (everything.name, everything.contract_for("cpu", "float32", "dC/dw")) == ("print", "decisive")
    left_out = {"uint8_targets", *({"wide_sentinel"} if framework == "jax" else ())}
    assert everything.capabilities.options == set(OPTIONS) - left_out
    assert everything.capabilities.quantities == (
        "loss",
        "cost",
        "dC/dz",
        *(() if framework == "numpy" else ("jvp", "hvp")),
    )
    assert everything.capabilities.heads == ("logits",)
    some = WRAPPERS[framework](
        print,
        name="own",
        dtypes=["float32"],
        reductions=["none", "mean"],
        contract="stash",
        options=[],
        devices=["cpu"],
    )
    assert (some.name, some.contract_for("cpu", "bfloat16", "dC/dw")) == ("own", "stash")
    assert some.capabilities.dtypes == ("float32",)
    assert some.capabilities.reductions == ("mean", "none")
    assert some.capabilities.options == frozenset()
    assert some.capabilities.devices == ("cpu",)
    assert everything.capabilities.options == set(OPTIONS) - left_out


def test_only_quantities_that_are_declared_and_defined_are_provided() -> None:
    """What the problem does not define, or the adapter does not declare, is left out of what was asked for."""
    asked = ("a", "loss", "cost", "dC/dz", "dC/dw")
    assert adapters.from_torch(print).provided(plain(), asked) == ["cost", "dC/dz"]
    assert adapters.get("torch").provided(plain(reduction="none", upstream=np.ones(4)), asked) == ["a", "loss", "dC/dz"]
