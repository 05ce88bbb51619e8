"""Figures of reports: PNG files in memory, legible in grey and to the colour-blind.

Here is what all share, and lines of scores over layers or over what was varied, as in Figs. 2-4 of
Niizumi et al., 2022.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from byola_diff.audio.log_mel import LogMel
from byola_diff.optional import require
from byola_diff.scores.record import Interval
from byola_diff.scores.task_names import is_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WIDTH_INCHES = 9.6
"""Width of all figures of scores, so that letters have one size on the page."""
MAX_ENCODERS = 8
"""At most so many can be told apart in one panel, by colour, dash and marker."""

# Colours of Okabe and Ito, and a dash of its own for each: told apart in grey too.
LINES: tuple[dict[str, Any], ...] = (
    {"color": "#D55E00", "linestyle": "-"},
    {"color": "#0072B2", "linestyle": "--"},
    {"color": "#000000", "linestyle": ":"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1))},
)
_MARKERS = "os^Dv*PX"
_DODGE = 0.05
"""Between neighbouring lines, in steps of x."""


@dataclass(frozen=True)
class LinePanel:
    """One metric on one task: a line per encoder."""

    title: str
    metric: str
    x_label: str
    lines: Mapping[str, Mapping[float, Interval]]
    """By encoder, its scores by x in rising order."""
    y_label: str = ""
    ticks: Mapping[float, str] = field(default_factory=dict)
    """Names of places along x; every place by its number if there are none."""
    chance: Mapping[float, float] = field(default_factory=dict)


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """An empty figure.

    Raises:
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    # Not pyplot: no window system, no figures kept alive.
    matplotlib = require("matplotlib.figure", "evaluate", "a figure")
    return matplotlib.Figure(figsize=(width_inches, height_inches), layout="constrained")


def add_panel(
    figure: "Figure", place: tuple[int, int, int], title: str, x_label: str = "", y_label: str = ""
) -> "Axes":
    """Axes with a grid at a place: rows, columns, and which of them, counted from 1."""
    axes = figure.add_subplot(*place)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    return axes


def add_legend(figure: "Figure", names: Sequence[str]) -> None:
    """One legend below all panels, in the order of `names`, without those that are not drawn."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    drawn = [name for name in names if name in handles]
    figure.legend(
        [handles[name] for name in drawn],
        drawn,
        loc="outside lower center",
        ncols=min(2, len(drawn)),
        fontsize=8,
        frameon=False,
        handlelength=4,
    )


def to_png(figure: "Figure", dpi: int = 130) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def few_encoders(encoders: Sequence[str]) -> Iterator[list[str]]:
    """As many figures as it takes to tell the lines apart: the encoders of each."""
    unique = list(dict.fromkeys(encoders))
    for start in range(0, len(unique), MAX_ENCODERS):
        yield unique[start : start + MAX_ENCODERS]


def line_figure(panels: Sequence[LinePanel], max_columns: int = 2) -> bytes:
    """The panels side by side, of `few_encoders`; vertical bars are 95 % intervals."""
    encoders = list(dict.fromkeys(encoder for panel in panels for encoder in panel.lines))
    n_columns = 2 if len(panels) == 4 else min(len(panels), max_columns)
    n_rows = math.ceil(len(panels) / n_columns)
    legend_rows = math.ceil((len(encoders) + 1) / 2)
    figure = new_figure(WIDTH_INCHES, 2.8 * n_rows + 0.22 * legend_rows + 0.1)
    for number, panel in enumerate(panels, start=1):
        place = n_rows, n_columns, number
        axes = add_panel(figure, place, panel.title, panel.x_label, panel.y_label)
        scale = 100.0 if is_share(panel.metric) else 1.0
        for encoder, line in panel.lines.items():
            _draw_line(axes, line, scale, encoder, encoders)
        if panel.chance:
            heights = [scale * value for value in panel.chance.values()]
            style = {"color": "#888888", "linewidth": 3, "alpha": 0.5}
            axes.plot(list(panel.chance), heights, label="chance", **style)
        every = sorted({x for line in panel.lines.values() for x in line})
        ticks = panel.ticks or {x: f"{x:g}" for x in every}
        axes.set_xticks(list(ticks), list(ticks.values()))
    add_legend(figure, (*encoders, "chance"))
    return to_png(figure)


def draw_log_mel(
    axes: "Axes",
    image: Float[np.ndarray, "mel frame"],
    log_mel: LogMel,
    times_s: tuple[float, float],
    ticks_hz: Mapping[float, str],
    **style: Any,
) -> "AxesImage":
    """Draw an image of this front end between two times, with names of frequencies beside it."""
    extent = (*times_s, -0.5, len(image) - 0.5)
    flat = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    drawn = axes.imshow(image, extent=extent, **flat, **style)
    centre_hz = band_centres_hz(log_mel)
    inside = [hz for hz in ticks_hz if centre_hz[0] <= hz <= centre_hz[-1]]
    places = np.interp(inside, centre_hz, np.arange(len(centre_hz)))
    axes.set_yticks(places, [ticks_hz[hz] for hz in inside])
    return drawn


def band_centres_hz(log_mel: LogMel) -> Float[np.ndarray, " mel"]:
    """Mean frequency of each mel band, as its filter weighs it."""
    bank = log_mel.get_buffer("mel_bank").double().cpu().numpy()
    bins_hz = np.linspace(0, log_mel.sample_rate / 2, bank.shape[1])
    return bank @ bins_hz / bank.sum(1)


def _draw_line(
    axes: "Axes",
    line: Mapping[float, Interval],
    scale: float,
    encoder: str,
    encoders: Sequence[str],
) -> None:
    # Side by side, so that the intervals at one x do not lie on each other.
    steps = [after - before for before, after in zip(line, list(line)[1:], strict=False)]
    number = encoders.index(encoder)
    shift = (number - (len(encoders) - 1) / 2) * _DODGE * min(steps, default=1.0)
    axes.errorbar(
        [x + shift for x in line],
        [scale * score.mean for score in line.values()],
        yerr=[scale * (score.half_width or 0.0) for score in line.values()],
        label=encoder,
        marker=_MARKERS[number],
        markersize=4,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2,
        **LINES[number % len(LINES)],
    )
