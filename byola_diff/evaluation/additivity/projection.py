"""A picture of movements in a plane: what the same event does over two backgrounds."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.measures import Quadruples, centred, unit_movements
from byola_diff.reports.extras import ReportExtra, write_extra
from byola_diff.reports.figures import new_figure, to_png
from byola_diff.reports.report import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's seven colours, then again with other markers: label and marker go together.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
MAX_LABELS = 10
"""Labels in a picture: more can't be kept apart."""


@dataclass(frozen=True)
class Projection:
    """Movements over either background in the two directions in which they differ most."""

    first: Float[np.ndarray, "event 2"]
    second: Float[np.ndarray, "event 2"]
    labels: tuple[str, ...]
    shares: tuple[float, float]
    """Shares of the variance of all movements, along either axis."""


def project(embedded: Quadruples, labels: Sequence[str]) -> Projection:
    """Principal components of centred movements of unit length, over both backgrounds.

    The sign is that in which the largest weight of each component is positive.
    """
    first, second = (centred(movements) for movements in unit_movements(embedded))
    both = functional.pad(torch.cat([first, second]), (0, 1))  # two components, if dim is 1
    _, singular, components = torch.linalg.svd(both, full_matrices=False)
    axes = components[:2]
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    total = singular.square().sum().clamp(min=torch.finfo(both.dtype).tiny)
    shares = (singular[:2].square() / total).tolist()
    points = (both @ axes.T).numpy()
    return Projection(points[: len(first)], points[len(first) :], tuple(labels), tuple(shares))


def labels_to_show(labels: Sequence[str], limit: int = MAX_LABELS) -> list[str]:
    """Labels of several events, those with the most first, then by name.

    If no label has several, those of single events.
    """
    counts = Counter(labels)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    several = [label for label in ranked if counts[label] > 1]
    return (several or ranked)[:limit]


def write_projection(
    folder: Path, named: NamedEncoder, task: str, projection: Projection, how: str = ""
) -> None:
    """Write the picture for the report; without Matplotlib, say so: the scores stand without it.

    `how` is what else is to be said of the sounds, such as "seed 0, at 0 dB".
    """
    shown = labels_to_show(projection.labels)
    try:
        png = projection_figure(projection, shown)
    except ModuleNotFoundError as error:
        print(f"no picture of {named.name}: {error}", file=sys.stderr)
        return
    caption = (
        f"{named.name} on {task}{', ' * bool(how)}{how}: where an event moves the embedding, of "
        f"length 1, less the mean over all {len(projection.labels)} events, in the two directions "
        "of most variance. Circle: over the first background; cross: over the second; a line joins "
        "the same event, and is short if the encoder is additive."
    )
    if n_left := len(set(projection.labels)) - len(shown):
        caption += f" {n_left} more labels are left out."
    name = f"additivity-{task}-{named.name}-{named.content_hash[:8]}"
    title = f"Differences of {named.name}, {task}"
    write_extra(folder, name, ReportExtra("Additivity", title, (Picture(png, caption),)))


def projection_figure(projection: Projection, shown: Sequence[str]) -> bytes:
    """A PNG: circles over the first background, crosses over the second, joined by event.

    `shown` are the labels to draw, in the order of the legend, at most `MAX_LABELS`.
    """
    figure = new_figure(8.4, 5.4)
    axes = figure.add_subplot()
    for number, label in enumerate(shown):
        chosen = np.array([name == label for name in projection.labels])
        _draw_label(axes, number, label, projection.first[chosen], projection.second[chosen])
    for marker, background in (("o", "first"), ("x", "second")):
        axes.scatter([], [], s=34, marker=marker, color="#777777", label=f"{background} background")
    axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    along, across = (100 * share for share in projection.shares)
    axes.set_xlabel(f"first component ({along:.0f} % of the variance)", fontsize=9)
    axes.set_ylabel(f"second component ({across:.0f} %)", fontsize=9)
    axes.tick_params(labelsize=8)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False, title="event")
    return to_png(figure)


def _draw_label(
    axes: "Axes",
    number: int,
    label: str,
    first: Float[np.ndarray, "event 2"],
    second: Float[np.ndarray, "event 2"],
) -> None:
    # Beyond seven labels a colour comes again: dashed lines, hollow circles, upright crosses.
    again = number >= len(_COLOURS)
    colour = _COLOURS[number % len(_COLOURS)]
    dash, face, cross, size = ("--", "white", "+", 60) if again else ("-", colour, "x", 38)
    for ends in zip(first, second, strict=True):
        line = {"color": colour, "linewidth": 0.7, "alpha": 0.6, "linestyle": dash}
        axes.plot(*np.stack(ends).T, **line)
    axes.scatter(*first.T, s=34, marker="o", facecolor=face, edgecolor=colour, label=label)
    axes.scatter(*second.T, s=size, marker=cross, color=colour, lw=1.4)
