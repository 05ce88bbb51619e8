"""Figures of pretraining: its log, the views of a clip, and mixtures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.reports.figures import LINES, add_panel, draw_log_mel, new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS_HZ = {float(hz): f"{hz}" for hz in (100, 250, 500, 1000, 2000, 4000, 8000)}


class Panel(NamedTuple):
    """One axis of a figure of curves."""

    column: str
    """Name of the metric in the log of a run."""
    title: str
    label: str
    """What the vertical axis shows."""


def curves(
    runs: Mapping[str, Mapping[str, Sequence[float | None]]], panels: Sequence[Panel]
) -> bytes:
    """One panel per metric over the steps, one line per run that has it.

    Runs have columns by name, "step" among them, with None for no value.

    Raises:
        ValueError: If there are more runs than lines that can be told apart.
    """
    if len(runs) > len(LINES):
        raise ValueError(f"{len(runs)} runs in one figure, at most {len(LINES)} can be told apart")
    figure = new_figure(3.6 * len(panels), 2.9)
    for number, panel in enumerate(panels, start=1):
        place = 1, len(panels), number
        axes = add_panel(figure, place, panel.title, "optimiser step", panel.label)
        for (run, columns), style in zip(runs.items(), LINES, strict=False):
            every = zip(columns["step"], columns.get(panel.column, []), strict=False)
            if points := [point for point in every if point[1] is not None]:
                [line] = axes.plot(*zip(*points, strict=True), label=run, linewidth=1.6, **style)
                if len(points) < 3:  # a line through one point shows nothing
                    line.set_marker("o")
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    return to_png(figure)


def views(
    inputs: Float[Tensor, "clip 1 mel frame"],
    first: Float[Tensor, "clip 1 mel frame"],
    second: Float[Tensor, "clip 1 mel frame"],
    log_mel: LogMel,
) -> bytes:
    """A row per clip: the normalised input and its two views."""
    rows = list(zip(*(clips[:, 0].numpy() for clips in (inputs, first, second)), strict=True))
    titles = ("input", "first view", "second view")
    figure, grid = _grid(rows, titles, log_mel, 1.75 * len(inputs) + 0.5)
    # A resized box has neither the hertz nor the seconds of the clip.
    for axes in grid[:, 1:].flat:
        axes.set(xticks=[], yticks=[])
    for axes in grid[-1, 1:]:
        axes.set_xlabel("stretched")
    return to_png(figure)


def mixture(
    remaining: Float[Tensor, "mel frame"],
    neighbour: Float[Tensor, "mel frame"],
    mixed: Float[Tensor, "mel frame"],
    rate: float,
    log_mel: LogMel,
) -> bytes:
    """Two normalised log-mels, and what log-sum-exp mixing makes of them; one range of colours."""
    titles = f"clip, share {1 - rate:.2f}", f"its neighbour, share {rate:.2f}", "their mixture"
    images = np.stack([image.numpy() for image in (remaining, neighbour, mixed)])
    figure, grid = _grid([list(images)], titles, log_mel, 2.9)
    for axes in grid[0]:
        axes.images[0].set_clim(images.min(), images.max())
    figure.colorbar(grid[0, 0].images[0], ax=list(grid[0]), label="normalised log power", pad=0.01)
    return to_png(figure)


def _grid(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], log_mel: LogMel, height: float
) -> tuple["Figure", np.ndarray]:
    """A figure with an image in each cell, labelled at its outer edges; and its axes."""
    figure = new_figure(9.0, height)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    hop_s = log_mel.hop_samples / log_mel.sample_rate
    for axes, image in zip(grid.flat, (image for row in rows for image in row), strict=True):
        times_s = -hop_s / 2, (image.shape[1] - 0.5) * hop_s
        draw_log_mel(axes, image, log_mel, times_s, _TICKS_HZ, cmap="cividis")
        axes.tick_params(labelsize=8)
        axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
        axes.label_outer()
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    return figure, grid
