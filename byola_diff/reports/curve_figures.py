"""Figures of curves: a metric over what was varied, one line per encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from byola_diff.reports.figures import LINES, add_legend, new_figure, to_png
from byola_diff.reports.result_figures import MAX_CURVES
from byola_diff.scores.curve import Curve
from byola_diff.scores.task_names import (
    is_share,
    metric_title,
    task_order,
    task_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "os^Dv*PX"
_WIDTH_INCHES = 9.6
_DODGE = 0.06
"""Between neighbouring lines, in steps of x."""


@dataclass(frozen=True)
class EncoderCurve:
    """The curve of one encoder on one task."""

    task: str
    encoder: str
    curve: Curve


def curve_figure(metric: str, curves: Sequence[EncoderCurve]) -> bytes:
    """One panel per task, one line per encoder; vertical bars are 95 % intervals.

    Raises:
        ValueError: If there are more encoders than can be told apart.
    """
    encoders = list(dict.fromkeys(curve.encoder for curve in curves))
    if len(encoders) > MAX_CURVES:
        raise ValueError(f"{len(encoders)} encoders in one figure; at most {MAX_CURVES} are told")
    tasks = sorted({curve.task for curve in curves}, key=task_order)
    n_columns = min(len(tasks), 2)
    n_rows = -(-len(tasks) // n_columns)
    legend_rows = -(-(len(encoders) + 1) // 2)
    figure = new_figure(
        _WIDTH_INCHES if n_columns > 1 else 6.4, 3.0 * n_rows + 0.22 * legend_rows + 0.1
    )
    for number, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        drawn = [curve for curve in curves if curve.task == task]
        for curve in drawn:
            _draw(axes, metric, curve, encoders.index(curve.encoder), len(encoders))
        _draw_chance(axes, metric, drawn)
        every = sorted({x for curve in drawn for x in curve.curve.points()})
        axes.set_xticks(every, [f"{x:g}" for x in every])
        axes.set_xlabel(drawn[0].curve.x, fontsize=9)
        axes.set_ylabel(metric_title(metric) + (" (%)" if is_share(metric) else ""), fontsize=9)
        axes.set_title(task_title(task), fontsize=10)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    add_legend(figure, (*encoders, "chance"))
    return to_png(figure)


def _draw(axes: "Axes", metric: str, drawn: EncoderCurve, number: int, n_encoders: int) -> None:
    scale, points = _scale(metric), drawn.curve.points()
    # Side by side, so that the intervals at one x do not lie on each other.
    step = min(np.diff(list(points)), default=1.0)
    shift = (number - (n_encoders - 1) / 2) * _DODGE * step
    axes.errorbar(
        [x + shift for x in points],
        [scale * point.mean for point in points.values()],
        yerr=[scale * (point.half_width or 0.0) for point in points.values()],
        label=drawn.encoder,
        marker=_MARKERS[number],
        markersize=4.5,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2,
        **LINES[number % len(LINES)],
    )


def _draw_chance(axes: "Axes", metric: str, drawn: Sequence[EncoderCurve]) -> None:
    """One line, if chance is the same for all."""
    every = {tuple(curve.curve.chances().items()) for curve in drawn}
    chance = dict(every.pop()) if len(every) == 1 else {}
    if chance:
        heights = [_scale(metric) * value for value in chance.values()]
        axes.plot(list(chance), heights, color="#888888", linewidth=3, alpha=0.5, label="chance")


def _scale(metric: str) -> int:
    return 100 if is_share(metric) else 1
