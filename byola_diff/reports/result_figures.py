"""Figures of results: scores over layers, as in Figs. 2-4 of Niizumi et al., 2022, and gains."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from byola_diff.reports.figures import LINES, add_legend, new_figure, to_png
from byola_diff.reports.layer_results import FusionGain, LayerCurve
from byola_diff.reports.result_tables import column_title
from byola_diff.scores.intervals import Interval
from byola_diff.scores.task_names import is_share, task_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CURVES = 8
"""Encoders that can be told apart in one panel, by colour, dash and marker."""

_MARKERS = "os^Dv*PX"
_PANELS_PER_ROW = 3
# One width, so that letters have one size on the page.
_WIDTH_INCHES = 9.6
_MAX_TICKS = 13
_DODGE = 0.05
_BARS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("over_layer", "over the best single layer", {"color": "#0072B2"}),
    ("over_scene", "over the scene embedding", {"color": "#F0E442", "hatch": "///"}),
)


def layer_figure(curves: Sequence[LayerCurve]) -> bytes:
    """One panel per task, one line per encoder; vertical bars are 95 % intervals.

    Raises:
        ValueError: If there are more encoders than can be told apart.
    """
    encoders = sorted({curve.encoder for curve in curves})
    if len(encoders) > MAX_CURVES:
        raise ValueError(f"{len(encoders)} encoders in one figure; at most {MAX_CURVES} are told")
    panels = sorted({(c.task, c.metric) for c in curves}, key=lambda p: (task_order(p[0]), p[1]))
    n_columns = 2 if len(panels) == 4 else min(len(panels), _PANELS_PER_ROW)
    n_rows = math.ceil(len(panels) / n_columns)
    legend_rows = math.ceil(len(encoders) / 2)
    figure = new_figure(_WIDTH_INCHES, 2.7 * n_rows + 0.22 * legend_rows + 0.1)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        drawn = [curve for curve in curves if (curve.task, curve.metric) == panel]
        for curve in drawn:
            _draw_curve(axes, curve, encoders.index(curve.encoder), len(encoders))
        unit = " (%)" if is_share(panel[1]) else ""
        axes.set_title(_one_line(*panel) + unit, fontsize=10)
        axes.set_xlabel(_label_layers(axes, drawn), fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    add_legend(figure, encoders)
    return to_png(figure)


def gain_figure(gains: Sequence[FusionGain]) -> bytes:
    """One panel per fusion: two bars per task, in points; vertical lines are 95 % intervals.

    Metrics that are no shares are left out: they have no points.
    """
    shown = [gain for gain in gains if is_share(gain.metric)]
    fusions = sorted({(gain.protocol, gain.fusion) for gain in shown})
    figure = new_figure(_WIDTH_INCHES, 2.3 * len(fusions) + 0.4)
    for number, (protocol, fusion) in enumerate(fusions, start=1):
        axes = figure.add_subplot(len(fusions), 1, number)
        chosen = [gain for gain in shown if (gain.protocol, gain.fusion) == (protocol, fusion)]
        for place, (field, label, style) in enumerate(_BARS):
            heights = {
                position + (place - 0.5) * 0.36: getattr(gain, field)
                for position, gain in enumerate(chosen)
                if getattr(gain, field) is not None
            }
            _draw_bars(axes, heights, label, style)
        titles = [_one_line(gain.task, gain.metric) for gain in chosen]
        slant = 30 if len(titles) > 9 or max(map(len, titles)) > 10 else 0
        axes.set_xticks(range(len(titles)), titles, rotation=slant, fontsize=9)
        axes.set_xlim(-0.6, max(len(titles), 4) - 0.4)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_title(f"{fusion}, protocol {protocol}", fontsize=10)
        axes.set_ylabel("gain (points)", fontsize=9)
        axes.grid(alpha=0.3, axis="y")
        axes.set_axisbelow(True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return to_png(figure)


def _one_line(task: str, metric: str) -> str:
    return column_title(task, metric).replace("\n", ", ")


def _draw_curve(axes: "Axes", curve: LayerCurve, number: int, n_encoders: int) -> None:
    scale = 100 if is_share(curve.metric) else 1
    # Side by side, so that the intervals of one layer do not lie on each other.
    shift = (number - (n_encoders - 1) / 2) * _DODGE
    axes.errorbar(
        [point.index + shift for point in curve.points],
        [scale * point.score.mean for point in curve.points],
        yerr=[scale * (point.score.ci95 or 0.0) for point in curve.points],
        label=curve.encoder,
        marker=_MARKERS[number],
        markersize=4,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2,
        **LINES[number % len(LINES)],
    )


def _label_layers(axes: "Axes", curves: Sequence[LayerCurve]) -> str:
    """Ticks on the layers: by name where all encoders share them, else by number."""
    names = {point.index: point.name for curve in curves for point in curve.points}
    shared = all(names[point.index] == point.name for curve in curves for point in curve.points)
    indices = sorted(names)
    ticks = indices[:: math.ceil(len(indices) / _MAX_TICKS)]
    labels = [names[index] if shared else str(index) for index in ticks]
    axes.set_xticks(ticks, labels)
    axes.set_xlim(min(indices) - 0.6, max(indices) + 0.6)
    return "layer" if shared else "layer, counted from 1"


def _draw_bars(
    axes: "Axes", heights: Mapping[float, Interval], label: str, style: Mapping[str, Any]
) -> None:
    axes.bar(
        list(heights),
        [100 * gain.mean for gain in heights.values()],
        yerr=[100 * (gain.half_width or 0.0) for gain in heights.values()],
        width=0.34,
        label=label,
        edgecolor="black",
        linewidth=0.6,
        error_kw={"elinewidth": 1.0, "capsize": 3},
        **style,
    )
