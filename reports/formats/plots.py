"""Plots as inline SVG: error against margin with the bounds as lines, ULP distribution, and share of the bound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from xentcheck.errors import UnavailableError
from xentcheck.records.record import ULP_EDGES, Record, place_of, rank
from xentcheck.records.words import printable
from xentcheck.vocabulary import QUANTITIES

from .svg import INK, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2b83ba", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8c6bb1", "#7f7f7f")
MARKERS = "os^Dv<>P"
LINES = ("-", "--", ":", "-.")
SETTINGS: Any = {
    "svg.hashsalt": "xentcheck",
    "svg.fonttype": "path",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}

FLOOR, CEILING = 1e-19, 1e6
"""Errors are drawn at least here (an error of exactly 0), and at most here (infinity and nan)."""

WIDEST = 40.0
"""Margins beyond this are left out: 1 - a_y is below the float64 resolution there."""

POINTS = 1500
"""Points of a plot."""

LOWEST_SHARE = 1e-6
"""Smaller shares are drawn here."""

Plot = tuple[str, str, str]
"""Title, what it shows in a sentence, SVG."""

Style = tuple[str, str]
"""Colour and marker."""


def plots(records: Sequence[Record]) -> list[Plot]:
    """All plots for which there are data, equal for equal records. Raises UnavailableError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise UnavailableError('plots need matplotlib: pip install "xentcheck[report]"') from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        drawn = list(_drawn(records))
        return [(title, text, svg(f"plot{i}", title, text, figure)) for i, (title, text, figure) in enumerate(drawn)]


def _drawn(records: Sequence[Record]) -> Iterator[tuple[str, str, Figure]]:
    for dtype in sorted({r.dtype for r in records if _points(r)}):
        text = (
            "Relative error of dC/dz at the label, by how far its logit leads all others; as a line of the same colour "
            "the largest derived bound of the implementation. a_y - 1 loses digits as the lead grows; the sum of the "
            "other activations does not."
        )
        n = sum(len(_points(r)) for r in records if r.dtype == dtype)
        if n > POINTS:
            text += f" One in {-(-n // POINTS)} of {n:,} points is drawn; the run file has all of them."
        yield f"Error against margin, {dtype}", text, margin_figure(records, dtype)
    if any(r.ulp_counts for r in records):
        text = (
            "Part of the compared elements per range of error, in units in the last place of the exact value, where it "
            "is in the normal range."
        )
        yield "Distribution of errors in ULP", text, ulp_figure(records)
    if any(r.share is not None and r.outcome != "deviation" for r in records):
        text = (
            "Share of its derived bound that each comparison used: the box holds the middle half, the line in it is "
            "the median, the whiskers reach to the ends (1e-6 and less at 1e-6). Above 1 is a disagreement. Known "
            "deviations are left out."
        )
        yield "Share of the bound", text, share_figure(records)


def margin_figure(records: Sequence[Record], dtype: str) -> Figure:
    """Error against margin for one dtype: points and bounds per implementation, next to each other in the legend.

    The points are one picture, of at most POINTS: a browser takes 15 s to draw 60,000 of them one by one, and as a
    picture they are megabytes. What is left out is evenly spread from the one nearest to its bound to the farthest.
    """
    figure, (axes,) = _figure(1)
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for r in records:
        if r.dtype == dtype:
            found[_label(r)][r.judged_by] += _points(r)
    drawn = sum(len(points) for each in found.values() for points in each.values())
    step = -(-drawn // POINTS)
    for i, (label, (colour, marker)) in enumerate(styles(records).items()):
        points = sorted((point for each in found[label].values() for point in each), key=_nearness)
        if points:
            x, y, _ = zip(*points[::step], strict=True)
            look: dict[str, Any] = {"color": colour, "marker": marker, "label": label, "rasterized": True}
            axes.scatter(x, y, s=12, alpha=0.55, linewidths=0, **look)
        for contract, each in sorted(found[label].items()):
            limits = [(margin, bound) for margin, _, bound in each if isfinite(bound) and bound > 0]
            if limits:
                x, y = zip(*_envelope(limits), strict=True)
                name = f"its bound, {_text(contract)}"
                axes.plot(x, y, color=colour, linestyle=LINES[i % len(LINES)], linewidth=1.2, label=name)
    axes.set(yscale="log", xlabel="lead of the label's logit", ylabel="relative error of dC/dz at the label")
    _beside(axes)
    return figure


def _beside(axes: Axes) -> None:
    """The legend, in the order in which things were drawn: matplotlib's own has all lines before all points."""
    drawn = [artist for artist in axes.get_children() if not str(artist.get_label()).startswith("_")]
    named = [artist for artist in drawn if artist in (*axes.lines, *axes.collections)]
    axes.legend(handles=named, frameon=False, fontsize=8)


def _points(r: Record) -> list[tuple[float, float, float]]:
    """Margin, error and bound, as far as they can be drawn."""
    return [
        (margin, max(error, FLOOR) if error <= CEILING else CEILING, bound)
        for margin, error, bound in r.margins
        if abs(margin) <= WIDEST
    ]


def _nearness(point: tuple[float, float, float]) -> tuple[float, ...]:
    """The order of points: first those that are farthest beyond their bound."""
    _, error, bound = point
    return (-rank(error / bound if bound else inf), *map(rank, point))


def _envelope(limits: Sequence[tuple[float, float]], bins: int = 24) -> list[tuple[float, float]]:
    """The largest bound in each of some ranges of the margin."""
    low, high = min(limits)[0], max(limits)[0]
    width = (high - low) / bins or 1.0
    top: dict[int, tuple[float, float]] = {}
    for margin, bound in sorted(limits):
        slot = int((margin - low) / width)
        if slot not in top or bound > top[slot][1]:
            top[slot] = (margin, bound)
    return [top[slot] for slot in sorted(top)]


def ulp_figure(records: Sequence[Record]) -> Figure:
    """Elements per range of ULP error: a panel per dtype, a bar per implementation."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(ULP_EDGES))
    for r in records:
        for i, n in enumerate(r.ulp_counts):
            counts[r.dtype, _label(r)][i] += n
    dtypes = sorted({dtype for dtype, _ in counts})
    figure, panels = _figure(len(dtypes), height=1.6 + 1.6 * len(dtypes))
    for dtype, axes in zip(dtypes, panels, strict=True):
        shown = [(label, style) for label, style in styles(records).items() if (dtype, label) in counts]
        width = 0.8 / len(shown)
        for i, (label, (colour, _)) in enumerate(shown):
            bins = counts[dtype, label]
            x = [j + (i + 0.5) * width - 0.4 for j in range(len(bins))]
            axes.bar(x, [n / max(sum(bins), 1) for n in bins], width, label=label, color=colour)
        axes.set(yscale="log", ylabel="part of the elements")
        axes.set_title(_text(dtype), fontsize=9, loc="left")
    names = [f"{_power(a)} - {_power(b)}" for a, b in pairwise(ULP_EDGES)] + [f"from {_power(ULP_EDGES[-1])}"]
    panels[-1].set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    panels[-1].set_xlabel("error in ULP")
    _legend(figure, {label: style for label, style in styles(records).items() if any(label == c for _, c in counts)})
    return figure


def _power(edge: float) -> str:
    return f"{edge:g}" if edge < 10_000 else f"2^{int(edge).bit_length() - 1}"


def share_figure(records: Sequence[Record]) -> Figure:
    """Shares of the bound per quantity, one box per implementation."""
    figure, (axes,) = _figure(1)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for r in records:
        if r.share is not None and r.outcome != "deviation":
            shares[_label(r), r.quantity].append(max(r.share, LOWEST_SHARE) if r.share <= CEILING else CEILING)
    found = {quantity for _, quantity in shares}
    names = [*(q for q in QUANTITIES if q in found), *sorted(found - set(QUANTITIES))]
    shown = {label: style for label, style in styles(records).items() if any(label == one for one, _ in shares)}
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
    axes.set_xticks(range(len(names)), [_text(name) for name in names], fontsize=8)
    axes.set(yscale="log", ylabel="error / bound")
    _legend(figure, shown)
    return figure


def _legend(figure: Figure, shown: dict[str, Style]) -> None:
    """Implementations and their colours, above the panels."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for label, (colour, _) in shown.items()]
    figure.legend(handles=handles, frameon=False, fontsize=8, ncols=3, loc="outside upper left")


def styles(records: Sequence[Record]) -> dict[str, Style]:
    """Colour and marker per implementation, the same in all plots of a run."""
    labels = sorted({_label(r) for r in records if r.share is not None or r.ulp_counts or r.margins})
    return {label: (COLOURS[i % 8], MARKERS[(i + i // 8) % 8]) for i, label in enumerate(labels)}


def _label(r: Record) -> str:
    return _text(" ".join(place_of(r)[:3]))


def _text(text: str) -> str:
    """Text that matplotlib takes as it is: no mathematics between dollar signs, no name that it hides or refuses."""
    plain = (text if text.isprintable() else printable(text)).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def _figure(panels: int, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    grid: Any = figure.subplots(panels, 1, sharex=True, squeeze=False)
    for axes in grid[:, 0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    return figure, list(grid[:, 0])
