"""Figures of pretraining: its log, the views of a clip, and mixtures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.reports.figures import LINES, mel_ticks, new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR_MAP = "cividis"
_TICKS_HZ = (100.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)


@dataclass(frozen=True)
class Panel:
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

    Args:
        runs: Columns of each run's metrics by name, "step" among them; None for no value.
        panels: What to draw.

    Raises:
        ValueError: If there are more runs than lines that can be told apart.
    """
    if len(runs) > len(LINES):
        raise ValueError(f"{len(runs)} runs in one figure, at most {len(LINES)} can be told apart")
    figure = new_figure(3.6 * len(panels), 2.9)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        for (run, columns), style in zip(runs.items(), LINES, strict=False):
            values = columns.get(panel.column, [])
            points = [
                point
                for point in zip(columns["step"], values, strict=False)
                if point[1] is not None
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=run, linewidth=1.6, **style)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(panel.label)
        axes.grid(alpha=0.3)
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
    figure = new_figure(9.0, 1.75 * len(inputs) + 0.5)
    grid = figure.subplots(len(inputs), 3, squeeze=False)
    for row, clips in enumerate(zip(inputs, first, second, strict=True)):
        for axes, clip in zip(grid[row], clips, strict=True):
            _draw_log_mel(axes, clip[0].numpy(), log_mel)
        grid[row, 0].set_ylabel("frequency (Hz)")
        # A resized box has neither the hertz nor the seconds of the clip.
        for axes in grid[row, 1:]:
            axes.set_xticks([])
            axes.set_yticks([])
        if row < len(inputs) - 1:
            grid[row, 0].tick_params(labelbottom=False)
    grid[-1, 0].set_xlabel("time (s)")
    for axes, title in zip(grid[0], ("input", "first view", "second view"), strict=True):
        axes.set_title(title, fontsize=10)
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
    figure = new_figure(9.0, 2.9)
    titles = (
        f"clip, share {1 - rate:.2f}",
        f"its neighbour, share {rate:.2f}",
        "their mixture",
    )
    images = [image.numpy() for image in (remaining, neighbour, mixed)]
    low, high = float(np.min(images)), float(np.max(images))
    grid = figure.subplots(1, 3, sharex=True, sharey=True)
    drawn = [
        _draw_log_mel(axes, image, log_mel, low, high)
        for axes, image in zip(grid, images, strict=True)
    ]
    for axes, title in zip(grid, titles, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("time (s)")
    grid[0].set_ylabel("frequency (Hz)")
    figure.colorbar(drawn[0], ax=list(grid), label="normalised log power", pad=0.01)
    return to_png(figure)


def _draw_log_mel(
    axes: "Axes",
    image: np.ndarray,
    log_mel: LogMel,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    n_mels, n_frames = image.shape
    hop_s = log_mel.hop_samples / log_mel.sample_rate
    drawn = axes.imshow(
        image,
        origin="lower",
        aspect="auto",
        cmap=_COLOUR_MAP,
        interpolation="nearest",
        extent=(-hop_s / 2, (n_frames - 0.5) * hop_s, -0.5, n_mels - 0.5),
        vmin=low,
        vmax=high,
    )
    places, inside = mel_ticks(log_mel, _TICKS_HZ)
    axes.set_yticks(places, [f"{hz:g}" for hz in inside])
    axes.tick_params(labelsize=8)
    return drawn
