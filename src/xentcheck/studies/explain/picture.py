"""The derivation as a page: logits, softmax, cost and Jacobian, and a slider that moves one logit."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from string import Template

from xentcheck.records.paths import page, policy_hash, write_whole

from .derivation import BOOK, Derivation

DERIVATION = page("derivation")

ENTRIES = (
    "No entry is exactly 0 (a small one may be rounded to 0), because every exp(z<sub>j</sub>) is in the sum that the "
    "softmax divides by: so every output gets a gradient."
)
ONE_CLASS = "With one class a is 1 whatever z is, so its derivative is 0, and the gradient, too."


def picture(d: Derivation) -> str:
    """One self-contained page, which fetches nothing and runs no script but its own.

    >>> from xentcheck.studies.explain.derivation import derivation
    >>> "0.0900306" in picture(derivation([1.0, 2.0, 3.0], 1, [0.5]))
    True
    """
    folder = files("xentcheck.studies.explain") / "page"
    style, script, text = ((folder / f"picture.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    classes = range(len(d.z))
    return Template(text).substitute(
        mark=DERIVATION.words[0],
        policy=f"style-src '{policy_hash(style)}'; script-src '{policy_hash(script)}'",
        style=style,
        script=script,
        book=BOOK,
        entries=ENTRIES if len(d.z) > 1 else ONE_CLASS,
        y=d.y,
        choices="".join(f'<option value="{j}"{" selected" * (j == d.y)}>z_{j}</option>' for j in classes),
        classes="".join(_row(d, j) for j in classes),
        columns="".join(f'<th scope="col">{j}</th>' for j in classes),
        jacobian="".join(_jacobian_row(d, i) for i in classes),
        cost=f"{d.cost:.6g}",
        factor=f"{d.factor:.6g}",
        numbers=json.dumps({"z": d.z.tolist(), "y": d.y}),
    )


def write_picture(d: Derivation, file: Path) -> Path:
    """The page in a file. Raises OutputError if the file cannot be written."""
    return write_whole(file, picture(d), "page", DERIVATION)


def _row(d: Derivation, j: int) -> str:
    mark = ' class="right"' if j == d.y else ""
    cells = (
        f'<td data-of="z">{d.z[j]:.6g}</td><td data-of="a">{d.a[j]:.6g}</td>'
        f'<td class="bar"><meter data-of="bar" min="0" max="1" value="{d.a[j]:.6g}" aria-label="a_{j}"></meter></td>'
        f'<td>{int(j == d.y)}</td><td data-of="gradient">{d.gradient[j] + 0.0:.6g}</td>'
    )
    return f'<tr{mark}><th scope="row">{j}</th>{cells}</tr>'


def _jacobian_row(d: Derivation, i: int) -> str:
    mark = ' class="lit"' if i == d.y else ""
    cells = "".join(f'<td data-of="jacobian">{x + 0.0:.6g}</td>' for x in d.jacobian[i])
    return f'<tr{mark}><th scope="row">{i}</th>{cells}</tr>'
