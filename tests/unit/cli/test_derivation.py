"""`explain`: a few lines that finish the derivation, and a page of exact numbers that runs its own script only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from xentcheck.cli.commands.explain import explain
from xentcheck.records.paths import policy_hash
from xentcheck.studies.explain.derivation import BOOK, SHOWN, derivation, lines, listed
from xentcheck.studies.explain.picture import ENTRIES, ONE_CLASS, picture, write_picture
from xentcheck.vocabulary import DTYPES

DEFAULT = ([1.0, 2.0, 3.0], 1, [0.5, -1.0])


def numbers(text: str) -> list[str]:
    """The numbers that a line ends with, separated by commas."""
    return re.split(r" (?=\S+(?:, \S+)*$)", text, maxsplit=1)[-1].split(", ")


def digits(x: Any) -> list[str]:
    """Numbers to the six digits that are shown, which rounding in float64 does not reach."""
    return [f"{value:.6g}" for value in np.ravel(x)]


@pytest.mark.parametrize("given", [DEFAULT, ([0.5, -1.0, 2.0], 2, [0.5, -1.0]), ([0.0, 1000.0], 0, [0.5, -1.0])])
def test_one_screen_of_80_columns(given: tuple[list[float], int, list[float]]) -> None:
    """The book, the count from 0, the softmax's derivative and the nan are in them, whatever the numbers."""
    logits, y, a_prev = given
    options = ["--logits", ",".join(map(str, logits)), "--target", str(y), "--a-prev", ",".join(map(str, a_prev))]
    found = CliRunner().invoke(explain, options, standalone_mode=False).output.splitlines()
    assert found == lines(derivation(*given))
    assert len(found) == 15
    assert max(map(len, found)) <= 80
    assert BOOK in found[0]
    assert "count from 0" in found[2]
    assert f"da_{y}/dz_{y} = a_{y} (1 - a_{y})" in found[6]
    assert "nan" in found[-1]


def test_the_default_is_one_of_them() -> None:
    """Of no option, and of those that the help text shows."""
    found = CliRunner().invoke(explain, [], standalone_mode=False).output.splitlines()
    assert found == lines(derivation(*DEFAULT))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_numbers_are_those_of_the_equations(dtype: str) -> None:
    """(78), (80), (81), (82), and the two products of (37), against float64 arithmetic on the same logits."""
    found = lines(derivation(*DEFAULT, dtype))
    z = np.array(DEFAULT[0])
    a = np.exp(z) / np.exp(z).sum()
    delta = a - np.eye(3)[1]
    assert numbers(found[3]) == digits(a)
    assert numbers(found[10]) == digits(delta)
    assert numbers(found[13]) == digits(delta[1] * np.array(DEFAULT[2]))
    assert found[4].rpartition("= ")[2] == f"{-1 / a[1]:.6g}"
    for line, factor, gradient in ((found[8], a[1] * (1 - a[1]), a[1] - 1), (found[9], -a[1] * a[0], a[0])):
        assert line.endswith(f" {-1 / a[1]:.6g} * {factor:.6g} = {gradient:.6g}")


@pytest.mark.parametrize(
    ("dtype", "gaps"),
    [
        ("float64", (709, 710, 745, 746)),
        ("float32", (88, 89, 103, 104)),
        ("bfloat16", (88, 89, 92, 93)),
        ("float16", (11, 12, 17, 18)),
    ],
)
def test_a_saturated_row_says_where_the_steps_break(dtype: str, gaps: tuple[int, ...]) -> None:
    """From the logit on where -1/a_y is beyond the dtype, (37) is infinite, and nan where a_y rounds to 0, as NumPy
    has it; the gradient is finite everywhere.
    """
    for gap, breaks in zip(gaps, ("", "inf", "inf", "nan"), strict=True):
        found = derivation([0.0, float(gap)], 0, [1.0], dtype)
        a = np.exp(np.float64(-gap)).astype(dtype)
        with np.errstate(all="ignore"):
            product = float((np.asarray(-1.0, dtype) / a).astype(dtype) * a)
        assert (breaks == "", breaks == "nan") == (np.isfinite(product), np.isnan(product))
        assert found.breaks == breaks
        assert np.isfinite(found.gradient).all()
        last = lines(found)[-1]
        assert last.startswith(f"In {dtype} ") == bool(breaks)
        assert ("nan" in last, " infinite" in last) == (breaks != "inf", breaks == "inf")
        assert ("(rounded)" in lines(found)[3]) == bool((found.a < np.finfo(np.float64).smallest_normal).any())


def test_the_hint_of_the_last_line_shows_the_nan() -> None:
    """Followed as it stands, whatever the class was."""
    hint = lines(derivation(*DEFAULT))[-1].rpartition(": ")[2].split()
    assert "nan" in CliRunner().invoke(explain, hint, standalone_mode=False).output
    assert "In float64 (37) is -inf * 0 = nan;" in CliRunner().invoke(explain, hint, standalone_mode=False).output


def test_one_class_has_no_other_and_long_lists_are_cut() -> None:
    """The line and the derivative of another class are left out, and of many numbers the first few are shown."""
    assert len(lines(derivation([5.0], 0, [1.0]))) == 13
    for of_others in ("-a_0 a_j", "j != 0", "if j = 0"):
        assert of_others not in "".join(lines(derivation([5.0], 0, [1.0])))
        assert of_others in "".join(lines(derivation([5.0, 1.0], 0, [1.0])))
    assert not any("-0" in re.split(r"[ ,]", line) for line in lines(derivation([5.0], 0, [1.0])))
    many = lines(derivation(list(np.arange(100.0)), 3, [1.0]))
    assert many[3].endswith(", ... (100 numbers)")
    assert listed(range(SHOWN)) == "0, 1, 2, 3"


def test_the_page_shows_the_exact_numbers_and_runs_its_own_script_only() -> None:
    """Each number stands in its cell before any script runs; the policy has the hashes of what is in the page."""
    d = derivation(*DEFAULT)
    page = picture(d)
    cells = {name: re.findall(rf'data-of="{name}">([^<]*)<', page) for name in ("z", "a", "gradient", "jacobian")}
    assert cells == {"z": digits(d.z), "a": digits(d.a), "gradient": digits(d.gradient), "jacobian": digits(d.jacobian)}
    assert len(re.findall('class="lit"', page)) == 1
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert f"default-src 'none'; style-src '{policy_hash(style)}'; script-src '{policy_hash(script)}'" in page
    assert "$" not in page.replace("${", "")
    (data,) = re.findall(r'id="numbers">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == {"z": DEFAULT[0], "y": 1}
    assert policy_hash(script) != policy_hash(script + " ")


def test_the_page_says_why_every_output_has_a_gradient() -> None:
    """But of one class, whose derivative is 0."""
    for logits, told in (([1.0, 2.0], ENTRIES), ([0.0, 1000.0], ENTRIES), ([5.0], ONE_CLASS)):
        text = picture(derivation(logits, 0, [1.0]))
        assert [told == said for said in (ENTRIES, ONE_CLASS)] == [said in text for said in (ENTRIES, ONE_CLASS)]


def test_the_page_is_written_by_the_command(tmp_path: Path) -> None:
    """And a folder that is no folder is bad input."""
    file = tmp_path / "why.html"
    assert CliRunner().invoke(explain, ["--html", str(file)], standalone_mode=False).output == f"written: {file}\n"
    assert file.read_text("utf-8") == picture(derivation(*DEFAULT))
    with pytest.raises(OSError, match="cannot be written"):
        write_picture(derivation(*DEFAULT), file / "deeper.html")


def test_the_derivation_needs_no_framework_and_no_rich() -> None:
    """The front door opens fast: nothing of weight but NumPy is imported."""
    code = (
        "import sys\nfrom xentcheck.cli.commands.explain import explain\n"
        "explain.main([], standalone_mode=False)\n"
        "sys.exit(bool({'torch', 'jax', 'rich', 'jinja2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
