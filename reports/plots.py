"""Plots as inline SVG: error against margin with the bound as a line, ULP distribution, and share of the bound."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xentcheck.errors import UnavailableError
from xentcheck.vocabulary import QUANTITIES

from .record import ULP_EDGES, Record
from .summary import place_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#3b6fb6", "#d1742a", "#3d8f5f", "#a24a8f", "#8a7a2a", "#5a5a5a")
FLOOR = 1e-19
"""Errors of exactly 0 are drawn here."""

WIDEST = 40.0
"""Margins beyond this are left out: 1 - a_y is below the float64 resolution there."""

LOWEST_SHARE = 1e-6
"""Smaller shares are drawn here."""

Plot = tuple[str, str, str]
"""Title, what it shows in a sentence, SVG."""


def plots(records: Sequence[Record]) -> list[Plot]:
    """All plots for which there are data. Raises UnavailableError without matplotlib."""
    try:
        import matplotlib  # noqa: F401 - only to say in one line that it is missing
    except ImportError as error:
        raise UnavailableError('plots need matplotlib: pip install "xentcheck[report]"') from error
    dtypes = sorted({r.dtype for r in records if any(m[0] <= WIDEST for m in r.margins)})
    found: list[Plot] = []
    for dtype in dtypes:
        text = (
            "Relative error of dC/dz at the label, by how far its logit leads; the line is the largest derived bound."
        )
        found.append((f"Error against margin, {dtype}", text, _svg(f"margin-{dtype}", margin_figure(records, dtype))))
    if any(r.ulp_counts for r in records):
        text = "Share of all compared elements per range of error, in units in the last place of the exact value."
        found.append(("Distribution of errors in ULP", text, _svg("ulp", ulp_figure(records))))
    if any(r.share is not None for r in records):
        text = "Largest share of its derived bound that each comparison used; above the line is a disagreement."
        found.append(("Share of the bound", text, _svg("share", share_figure(records))))
    return found


def margin_figure(records: Sequence[Record], dtype: str) -> Figure:
    """Error against margin for one dtype."""
    figure, axes = _figure()
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    limits: dict[float, float] = {}
    for r in records:
        if r.dtype == dtype:
            for margin, error, bound in (m for m in r.margins if m[0] <= WIDEST):
                points[_label(r)].append((margin, max(error, FLOOR)))
                limits[margin] = max(bound, limits.get(margin, 0.0))
    for i, (label, xy) in enumerate(sorted(points.items())):
        x, y = zip(*sorted(xy), strict=True)
        axes.scatter(x, y, s=10, alpha=0.6, color=COLOURS[i % len(COLOURS)], label=label, linewidths=0)
    axes.plot(*zip(*_envelope(limits), strict=True), color="#808080", linewidth=1.2, label="derived bound")
    axes.set(yscale="log", xlabel="margin of the label's logit", ylabel="relative error of dC/dz at the label")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _envelope(limits: dict[float, float], bins: int = 24) -> list[tuple[float, float]]:
    """The largest bound in each of some ranges of the margin."""
    low, high = min(limits), max(limits)
    width = (high - low) / bins or 1.0
    top: dict[int, tuple[float, float]] = {}
    for margin, bound in sorted(limits.items()):
        slot = int((margin - low) / width)
        if slot not in top or bound > top[slot][1]:
            top[slot] = (margin, bound)
    return [top[slot] for slot in sorted(top)]


def ulp_figure(records: Sequence[Record]) -> Figure:
    """Elements per range of ULP error, one line per implementation and dtype."""
    figure, axes = _figure()
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(ULP_EDGES))
    for r in records:
        for i, n in enumerate(r.ulp_counts):
            counts[f"{_label(r)} {r.dtype}"][i] += n
    width = 0.8 / max(len(counts), 1)
    for i, (label, bins) in enumerate(sorted(counts.items())):
        total = max(sum(bins), 1)
        x = [j + (i - len(counts) / 2) * width for j in range(len(bins))]
        axes.bar(
            x, [n / total for n in bins], width, label=label, color=COLOURS[i % len(COLOURS)], hatch="//" * (i >= 6)
        )
    names = [f"{a:g}-{b:g}" for a, b in pairwise(ULP_EDGES)] + [f"{ULP_EDGES[-1]:g}+"]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=7)
    axes.set(yscale="log", xlabel="error in ULP", ylabel="share of elements")
    axes.legend(frameon=False, fontsize=7, ncols=2)
    return figure


def share_figure(records: Sequence[Record]) -> Figure:
    """Shares of the bound per quantity, one column of points per implementation."""
    figure, axes = _figure()
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in records:
        if r.share is not None and r.share > 0:
            shares[_label(r)][r.quantity].append(min(max(r.share, LOWEST_SHARE), 1e6))
    names = [q for q in QUANTITIES if any(q in found for found in shares.values())]
    step = 0.8 / max(len(shares), 1)
    for i, (label, found) in enumerate(sorted(shares.items())):
        x = [names.index(q) + (i + 0.5) * step - 0.4 for q, values in found.items() for _ in values]
        y = [value for values in found.values() for value in values]
        axes.scatter(x, y, s=6, alpha=0.35, color=COLOURS[i % len(COLOURS)], label=label, linewidths=0)
    axes.axhline(1.0, color="#808080", linewidth=1.2)
    axes.set_xticks(range(len(names)), names)
    axes.set(yscale="log", ylabel="error / bound")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _label(r: Record) -> str:
    adapter, variant, device, _ = place_of(r)
    return f"{adapter} {variant} {device}"


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes: Any = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    return figure, axes


def _svg(name: str, figure: Figure) -> str:
    """The figure as an SVG element with ids of its own, equal for equal data."""
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "xentcheck", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = out.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
