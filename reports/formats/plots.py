"""Plots as inline SVG: error against margin with the bounds as lines, ULP distribution, and share of the bound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.errors import UnavailableError
from xentcheck.records.record import ULP_EDGES
from xentcheck.vocabulary import QUANTITIES

from .drawn import Drawn, Style, by_nearness, envelope, text_of, triples
from .svg import INK, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ("-", "--", ":", "-.")
SETTINGS: Any = {
    "svg.hashsalt": "xentcheck",
    "svg.fonttype": "path",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}

POINTS = 1500
"""Points of a plot."""

Plot = tuple[str, str, str]
"""Title, what it shows in a sentence, SVG."""


def plots(drawn: Drawn) -> list[Plot]:
    """All plots for which there are data, equal for equal records. Raises UnavailableError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise UnavailableError('plots need matplotlib: pip install "xentcheck[report]"') from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figures = enumerate(_figures(drawn))
        return [(title, text, svg(f"plot{i}", title, text, figure)) for i, (title, text, figure) in figures]


def _figures(drawn: Drawn) -> Iterator[tuple[str, str, Figure]]:
    for dtype in sorted(drawn.points):
        text = (
            "Relative error of dC/dz at the label, by how far its logit leads all others; as a line of the same colour "
            "the largest derived bound of the implementation. a_y - 1 loses digits as the lead grows; the sum of the "
            "other activations does not."
        )
        n = drawn.number(dtype)
        if n > POINTS:
            text += f" One in {-(-n // POINTS)} of {n:,} points is drawn; the run file has all of them."
        yield f"Error against margin, {dtype}", text, margin_figure(drawn, dtype)
    if drawn.counts:
        text = (
            "Part of the compared elements per range of error, in units in the last place of the exact value, where it "
            "is in the normal range."
        )
        yield "Distribution of errors in ULP", text, ulp_figure(drawn)
    if drawn.shares:
        text = (
            "Share of its derived bound that each comparison used: the box holds the middle half, the line in it is "
            "the median, the whiskers reach to the ends (1e-6 and less at 1e-6). Above 1 is a disagreement. Known "
            "deviations are left out."
        )
        yield "Share of the bound", text, share_figure(drawn)


def margin_figure(drawn: Drawn, dtype: str) -> Figure:
    """Error against margin for one dtype: points and bounds per implementation, next to each other in the legend.

    The points are one picture, of at most POINTS: a browser takes 15 s to draw 60,000 of them one by one, and as a
    picture they are megabytes. What is left out is evenly spread from the one nearest to its bound to the farthest.
    """
    figure, (axes,) = _figure(1)
    step = -(-drawn.number(dtype) // POINTS)
    for i, (label, (colour, marker)) in enumerate(drawn.styles.items()):
        found = {name: triples(points) for name, points in drawn.points.get(dtype, {}).get(label, {}).items()}
        if found:
            points = np.concatenate(list(found.values()))
            x, y, _ = points[by_nearness(points)[::step]].T
            look: dict[str, Any] = {"color": colour, "marker": marker, "label": label, "rasterized": True}
            axes.scatter(x, y, s=12, alpha=0.55, linewidths=0, **look)
        for contract, each in sorted(found.items()):
            limits = each[np.isfinite(each[:, 2]) & (each[:, 2] > 0)]
            if len(limits):
                name = f"its bound, {text_of(contract)}"
                look = {"color": colour, "linestyle": LINES[i % len(LINES)], "linewidth": 1.2, "label": name}
                axes.plot(*envelope(limits[:, 0], limits[:, 2]).T, **look)
    axes.set(yscale="log", xlabel="lead of the label's logit", ylabel="relative error of dC/dz at the label")
    _beside(axes)
    return figure


def _beside(axes: Axes) -> None:
    """The legend, in the order in which things were drawn: matplotlib's own has all lines before all points."""
    drawn = [artist for artist in axes.get_children() if not str(artist.get_label()).startswith("_")]
    named = [artist for artist in drawn if artist in (*axes.lines, *axes.collections)]
    axes.legend(handles=named, frameon=False, fontsize=8)


def ulp_figure(drawn: Drawn) -> Figure:
    """Elements per range of ULP error: a panel per dtype, a bar per implementation."""
    counts = drawn.counts
    dtypes = sorted({dtype for dtype, _ in counts})
    figure, panels = _figure(len(dtypes), height=1.6 + 1.6 * len(dtypes))
    for dtype, axes in zip(dtypes, panels, strict=True):
        shown = [(label, style) for label, style in drawn.styles.items() if (dtype, label) in counts]
        width = 0.8 / len(shown)
        for i, (label, (colour, _)) in enumerate(shown):
            bins = counts[dtype, label]
            x = [j + (i + 0.5) * width - 0.4 for j in range(len(bins))]
            axes.bar(x, [n / max(sum(bins), 1) for n in bins], width, label=label, color=colour)
        axes.set(yscale="log", ylabel="part of the elements")
        axes.set_title(text_of(dtype), fontsize=9, loc="left")
    names = [f"{_power(a)} - {_power(b)}" for a, b in pairwise(ULP_EDGES)] + [f"from {_power(ULP_EDGES[-1])}"]
    panels[-1].set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    panels[-1].set_xlabel("error in ULP")
    _legend(figure, {label: style for label, style in drawn.styles.items() if any(label == c for _, c in counts)})
    return figure


def _power(edge: float) -> str:
    return f"{edge:g}" if edge < 10_000 else f"2^{int(edge).bit_length() - 1}"


def share_figure(drawn: Drawn) -> Figure:
    """Shares of the bound per quantity, one box per implementation."""
    figure, (axes,) = _figure(1)
    shares = drawn.shares
    found = {quantity for _, quantity in shares}
    names = [*(q for q in QUANTITIES if q in found), *sorted(found - set(QUANTITIES))]
    shown = {label: style for label, style in drawn.styles.items() if any(label == one for one, _ in shares)}
    step = 0.8 / len(shown)
    for i, (label, (colour, _)) in enumerate(shown.items()):
        at = {names.index(q) + (i + 0.5) * step - 0.4: shares[label, q] for q in names if (label, q) in shares}
        line: dict[str, Any] = {"color": colour, "linewidth": 1.2}
        box: dict[str, Any] = {"facecolor": f"{colour}55", "edgecolor": colour}
        axes.boxplot(
            list(at.values()),
            positions=list(at),
            widths=0.75 * step,
            whis=(0, 100),
            patch_artist=True,
            manage_ticks=False,
            boxprops=box,
            whiskerprops=line,
            capprops=line,
            medianprops=line,
        )
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="--")
    axes.set_xticks(range(len(names)), [text_of(name) for name in names], fontsize=8)
    axes.set(yscale="log", ylabel="error / bound")
    _legend(figure, shown)
    return figure


def _legend(figure: Figure, shown: dict[str, Style]) -> None:
    """Implementations and their colours, above the panels."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for label, (colour, _) in shown.items()]
    figure.legend(handles=handles, frameon=False, fontsize=8, ncols=3, loc="outside upper left")


def _figure(panels: int, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    grid: Any = figure.subplots(panels, 1, sharex=True, squeeze=False)
    for axes in grid[:, 0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    return figure, list(grid[:, 0])
