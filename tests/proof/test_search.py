"""The directed search: it climbs to faults that no family holds, reproducibly, and its witnesses are true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck import reference as ref
from xentcheck.adapters.spec import Spec
from xentcheck.cli.commands import accuracy as command_accuracy
from xentcheck.cli.commands.accuracy import accuracy_command
from xentcheck.errors import OutputError
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.studies.accuracy import QUANTITIES, Witness, largest_errors, measured


def planted(fault: Any) -> Subject:
    """The reference, with the gradient multiplied by a factor of the logits (m, C) -> (m, 1)."""

    def loss(z: Any, y: Any, **options: Any) -> Any:
        upstream = options.pop("upstream", 1.0)
        gradient = ref.cross_entropy_grad(z, y, **options, upstream=upstream)
        return ref.cross_entropy(z, y, **options), (gradient * fault(z)).astype(z.dtype)

    return subjects_of(adapters.from_numpy(loss))[0]


def found(witnesses: list[Witness], quantity: str, measure: str) -> Witness:
    """The witness of a quantity and measure."""
    (one,) = (w for w in witnesses if (w.quantity, w.measure) == (quantity, measure))
    return one


def narrow_peak(z: Any) -> Any:
    """1, but up to 9 where the first two logits come close to a sum of 5: the closer, the larger."""
    return 1 + 8 / (1 + 100 * np.abs(z[:, :1] + z[:, 1:2] - 5))


def test_the_climb_goes_beyond_the_families() -> None:
    """A fault that peaks between the families' inputs is found larger with rounds than without."""
    start, top = (largest_errors(planted(narrow_peak), "float64", rounds=n) for n in (0, 40))
    assert found(top, "dC/dz", "share").value > found(start, "dC/dz", "share").value


def test_the_search_is_reproducible_from_its_seed() -> None:
    """The same seed gives the same witnesses, another seed others."""
    tested = subjects_of(adapters.get("numpy"))[0]
    first, again, other = (largest_errors(tested, "float32", seed=s, rounds=5) for s in (0, 0, 1))
    assert first == again
    assert {w.recipe for w in first} != {w.recipe for w in other}
    assert [(w.quantity, w.measure) for w in first] == [(q, m) for q in QUANTITIES for m in ("ulp", "share")]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_witness_makes_the_error_it_is_there_for(dtype: str) -> None:
    """Rebuilt from its text, the input has just that error, which the bound of a right implementation allows."""
    tested = subjects_of(adapters.get("numpy"))[0]
    for w in largest_errors(tested, dtype, rounds=5):
        numbers, label = w.recipe.split(" label ")
        z = np.array([float.fromhex(x) for x in numbers.split()]).astype(dtype)
        rows = np.repeat(z[None], 64, 0)
        values = {(q, m): v for q, m, v in measured(tested, rows, np.full(64, int(label)))}
        assert values[w.quantity, w.measure].tolist() == [w.value] * 64
        assert w.measure != "share" or 0 < w.value <= 1


def test_nan_is_worse_than_any_number() -> None:
    """A result that is nan in some region ends up first."""
    tested = planted(lambda z: np.where(z[:, :1] > 1, np.nan, 1.5))
    assert found(largest_errors(tested, "float64", rounds=2), "dC/dz", "ulp").value == np.inf


def test_the_table_names_place_dtype_and_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per quantity, to a file or to the terminal."""
    out = tmp_path / "accuracy.md"
    assert accuracy_command([Spec("numpy")], ["float16"], 0, 1, out) == 0
    lines = [line for line in out.read_text().splitlines() if line.startswith("| numpy eager cpu | float16 |")]
    assert len(lines) == len(QUANTITIES)
    assert all("label" in line for line in lines)
    assert accuracy_command([Spec("numpy")], ["float16"], 0, 1, None) == 0
    assert lines[0] in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_told_before_the_search(tmp_path: Path) -> None:
    """A folder in its place, or a file where its folder should be."""
    (tmp_path / "file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_accuracy, "accuracies", lambda *args, **options: pytest.fail("it searches first"))
        for out in (tmp_path, tmp_path / "file" / "accuracy.md"):
            with pytest.raises(OutputError, match="cannot be written"):
                accuracy_command([Spec("numpy")], ["float16"], 0, 1, out)
