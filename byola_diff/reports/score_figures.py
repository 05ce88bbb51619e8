"""Figures of scores: lines over layers or over what was varied, and bars of gains.

Those over layers are as in Figs. 2-4 of Niizumi et al., 2022.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from byola_diff.reports.figures import LINES, add_legend, new_figure, to_png
from byola_diff.reports.layer_results import FusionGain, LayerCurve
from byola_diff.reports.result_tables import column_title
from byola_diff.scores.intervals import Interval
from byola_diff.scores.task_names import is_share, task_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ENCODERS = 8
"""At most so many can be told apart in one panel, by colour, dash and marker."""

_MARKERS = "os^Dv*PX"
# One width, so that letters have one size on the page.
_WIDTH_INCHES = 9.6
_MAX_TICKS = 13
_DODGE = 0.05
"""Between neighbouring lines, in steps of x."""
_BARS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("over_layer", "over the best single layer", {"color": "#0072B2"}),
    ("over_scene", "over the scene embedding", {"color": "#F0E442", "hatch": "///"}),
)

Line = Mapping[float, Interval]
"""Scores of one encoder, by x in rising order."""


@dataclass(frozen=True)
class LinePanel:
    """One metric on one task: a line per encoder."""

    title: str
    metric: str
    x_label: str
    lines: Mapping[str, Line]
    """By encoder."""
    y_label: str = ""
    ticks: Mapping[float, str] = field(default_factory=dict)
    """Names of places along x; every place by its number if there are none."""
    chance: Mapping[float, float] = field(default_factory=dict)


def few_encoders(encoders: Sequence[str]) -> Iterator[list[str]]:
    """As many figures as it takes to tell the lines apart: the encoders of each."""
    unique = list(dict.fromkeys(encoders))
    for start in range(0, len(unique), MAX_ENCODERS):
        yield unique[start : start + MAX_ENCODERS]


def line_figure(panels: Sequence[LinePanel], max_columns: int = 2) -> bytes:
    """The panels side by side; vertical bars are 95 % intervals.

    Raises:
        ValueError: If there are more encoders than can be told apart.
    """
    encoders = list(dict.fromkeys(encoder for panel in panels for encoder in panel.lines))
    if len(encoders) > MAX_ENCODERS:
        raise ValueError(f"{len(encoders)} encoders in one figure; at most {MAX_ENCODERS} can be")
    n_columns = 2 if len(panels) == 4 else min(len(panels), max_columns)
    n_rows = math.ceil(len(panels) / n_columns)
    legend_rows = math.ceil((len(encoders) + 1) / 2)
    figure = new_figure(_WIDTH_INCHES, 2.8 * n_rows + 0.22 * legend_rows + 0.1)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        for encoder, line in panel.lines.items():
            _draw_line(axes, panel.metric, encoder, line, encoders)
        if panel.chance:
            heights = [_scale(panel.metric) * value for value in panel.chance.values()]
            style = {"color": "#888888", "linewidth": 3, "alpha": 0.5}
            axes.plot(list(panel.chance), heights, label="chance", **style)
        every = sorted({x for line in panel.lines.values() for x in line})
        ticks = panel.ticks or {x: f"{x:g}" for x in every}
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_xlabel(panel.x_label, fontsize=9)
        axes.set_ylabel(panel.y_label, fontsize=9)
        axes.set_title(panel.title, fontsize=10)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    add_legend(figure, (*encoders, "chance"))
    return to_png(figure)


def layer_figure(curves: Sequence[LayerCurve]) -> bytes:
    """One panel per task, one line per encoder, over its layers.

    Raises:
        ValueError: If there are more encoders than can be told apart.
    """
    places = sorted({(c.task, c.metric) for c in curves}, key=lambda p: (task_order(p[0]), p[1]))
    panels = []
    for task, metric in places:
        drawn = [curve for curve in curves if (curve.task, curve.metric) == (task, metric)]
        names = {point.index: point.name for curve in drawn for point in curve.points}
        shared = all(names[p.index] == p.name for curve in drawn for p in curve.points)
        indices = sorted(names)[:: math.ceil(len(names) / _MAX_TICKS)]
        panels.append(
            LinePanel(
                _one_line(task, metric) + (" (%)" if is_share(metric) else ""),
                metric,
                # By name where all encoders share them.
                "layer" if shared else "layer, counted from 1",
                {
                    c.encoder: {float(point.index): point.score.interval for point in c.points}
                    for c in sorted(drawn, key=lambda curve: curve.encoder)
                },
                ticks={float(index): names[index] if shared else str(index) for index in indices},
            )
        )
    return line_figure(panels, max_columns=3)


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
        for place, (field_name, label, style) in enumerate(_BARS):
            heights = {
                position + (place - 0.5) * 0.36: getattr(gain, field_name)
                for position, gain in enumerate(chosen)
                if getattr(gain, field_name) is not None
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
    add_legend(figure, [label for _, label, _ in _BARS])
    return to_png(figure)


def _one_line(task: str, metric: str) -> str:
    return column_title(task, metric).replace("\n", ", ")


def _scale(metric: str) -> int:
    return 100 if is_share(metric) else 1


def _draw_line(
    axes: "Axes", metric: str, encoder: str, line: Line, encoders: Sequence[str]
) -> None:
    # Side by side, so that the intervals at one x do not lie on each other.
    steps = [after - before for before, after in zip(line, list(line)[1:], strict=False)]
    number = encoders.index(encoder)
    shift = (number - (len(encoders) - 1) / 2) * _DODGE * min(steps, default=1.0)
    axes.errorbar(
        [x + shift for x in line],
        [_scale(metric) * score.mean for score in line.values()],
        yerr=[_scale(metric) * (score.half_width or 0.0) for score in line.values()],
        label=encoder,
        marker=_MARKERS[number],
        markersize=4,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2,
        **LINES[number % len(LINES)],
    )


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
