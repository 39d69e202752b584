"""Who is asked: what is asked for by name and is not there is bad input, in one line."""

from __future__ import annotations

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter, Capabilities
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.adapters.spec import Spec
from xentcheck.errors import DtypeError, UnavailableError
from xentcheck.running import subjects
from xentcheck.running.subjects import Subject, contracts_of, subjects_named, subjects_of


class Elsewhere(NumpyAdapter):
    """Declares a device that no machine of its has."""

    capabilities = Capabilities(devices=("cpu", "cuda"))

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)


def test_a_declared_device_that_is_not_there_is_refused() -> None:
    """By name; whoever names none gets those that are there."""
    assert {s.device for s in subjects_of(Elsewhere())} == {"cpu"}
    with pytest.raises(UnavailableError, match=r"^numpy sees no device 'cuda'; available: cpu$"):
        subjects_of(Elsewhere(), ["cuda"])


def test_a_dtype_that_is_asked_for_by_name_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one line says which there are."""
    narrow = adapters.from_numpy(lambda z, y: (z, y), name="narrow", dtypes=["float32"])

    def resolve(spec: Spec) -> Adapter:
        return narrow

    monkeypatch.setattr(subjects, "resolve", resolve)
    with pytest.raises(DtypeError, match=r"^adapter narrow has no dtype bfloat16; allowed: float32$"):
        subjects_named([Spec("mine:narrow", "numpy")], [], ["bfloat16"], by_name=True)


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_the_built_in_adapters_are_held_to_four_running_sums(name: str) -> None:
    """Each has four, which bound a long sum more narrowly than one does."""
    declared, _ = contracts_of(Subject(adapters.get(name), "eager", "cpu", ""), "float32")
    assert {contract.running_sums for contract in declared.values()} == {4}
