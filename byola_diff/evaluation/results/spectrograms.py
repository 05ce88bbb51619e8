"""Spectrograms of sounds side by side, as a PNG file in memory; read in grey too."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from byola_diff.audio.log_mel import LogMel
from byola_diff.evaluation.results.figures import new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_INCHES = 9.6
_COLOUR_MAP = "cividis"
_RANGE_DB = 80.0
"""Below the loudest point of all panels; what is softer has the darkest colour."""
_N_MELS = 64
_TICKS_KHZ = (0.1, 0.5, 1, 2, 4, 8, 16)
_TITLE_INCHES = 0.075
"""Width of a letter of a title, rather more than it takes."""


def spectrogram_figure(
    panels: Sequence[tuple[str, Float[np.ndarray, " _sample"]]],  # each of its own length
    sample_rate: int,
    columns: int = 4,
) -> bytes:
    """A PNG of log-mel spectrograms that share one range of colours and one pair of axes.

    Args:
        panels: Title and waveform of each, in rows from left to right.
        sample_rate: Of all waveforms, in Hz.
        columns: Panels in a row, at most.

    Raises:
        ValueError: If there is no panel, a count is not positive, or a waveform has no samples.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    if not panels or columns < 1 or not all(len(waveform) for _, waveform in panels):
        raise ValueError("a figure of spectrograms needs panels, columns, and samples in each")
    front_end = _front_end(sample_rate)
    images = [_level_db(waveform, front_end) for _, waveform in panels]
    loudest_db = max(float(image.max()) for image in images)
    n_columns = min(columns, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    figure = new_figure(_WIDTH_INCHES, 2.1 * n_rows + 0.6)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    title_letters = int(_WIDTH_INCHES / n_columns / _TITLE_INCHES)
    drawn: Any = None
    for axes, (title, _), image in zip(grid.flat, panels, images, strict=False):
        drawn = _draw(axes, image - loudest_db, front_end)
        axes.set_title(_wrapped(title, title_letters), fontsize=9)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    longest_s = max(len(waveform) for _, waveform in panels) / sample_rate
    grid[0, 0].set_xlim(0, longest_s)
    _name_axes(grid, len(panels))
    bar = figure.colorbar(drawn, ax=list(grid.flat), label="dB below the loudest", pad=0.01)
    bar.ax.tick_params(labelsize=8)
    return to_png(figure)


def _front_end(sample_rate: int) -> LogMel:
    # A window of about 46 ms; a mel band must hold a bin, which sets the lowest band.
    n_fft = 2 ** round(math.log2(0.046 * sample_rate))
    f_min_hz = 50.0
    return LogMel(
        sample_rate,
        window_samples=n_fft,
        n_fft=n_fft,
        hop_samples=max(1, sample_rate // 100),
        n_mels=_N_MELS,
        f_min_hz=f_min_hz,
        f_max_hz=0.49 * sample_rate,
    )


def _level_db(
    waveform: Float[np.ndarray, " sample"], front_end: LogMel
) -> Float[np.ndarray, "mel frame"]:
    samples = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))
    missing = max(0, front_end.min_samples - len(samples))
    log_mel = front_end(torch.nn.functional.pad(samples, (0, missing))[None])[0, 0]
    return (10 / math.log(10) * log_mel).numpy()


def _draw(axes: "Axes", image_db: Float[np.ndarray, "mel frame"], front_end: LogMel) -> Any:
    hop_s = front_end.hop_samples / front_end.sample_rate
    n_mels, n_frames = image_db.shape
    drawn = axes.imshow(
        image_db,
        origin="lower",
        aspect="auto",
        cmap=_COLOUR_MAP,
        interpolation="nearest",
        extent=(-hop_s / 2, (n_frames - 0.5) * hop_s, -0.5, n_mels - 0.5),
        vmin=-_RANGE_DB,
        vmax=0.0,
    )
    centre_hz = _band_centres_hz(front_end)
    inside = [khz for khz in _TICKS_KHZ if centre_hz[0] <= 1000 * khz <= centre_hz[-1]]
    places = np.interp([1000 * khz for khz in inside], centre_hz, np.arange(n_mels))
    axes.set_yticks(places, [f"{khz:g}" for khz in inside])
    axes.tick_params(labelsize=8)
    return drawn


def _band_centres_hz(front_end: LogMel) -> Float[np.ndarray, " mel"]:
    bank = front_end.mel_bank.double().numpy()
    return bank @ np.linspace(0, front_end.sample_rate / 2, bank.shape[1]) / bank.sum(axis=1)


def _name_axes(grid: np.ndarray, n_panels: int) -> None:
    """Units at the left and at the lowest panel of each column, which may be above the last row."""
    n_rows, n_columns = grid.shape
    for row in grid:
        row[0].set_ylabel("frequency (kHz)", fontsize=9)
    for column in range(n_columns):
        row = n_rows - 1 if (n_rows - 1) * n_columns + column < n_panels else n_rows - 2
        grid[row, column].set_xlabel("time (s)", fontsize=9)
        grid[row, column].tick_params(labelbottom=True)


def _wrapped(title: str, n_letters: int) -> str:
    """Over as many lines as it takes to stay above its panel; words are cut where they must be."""
    return "\n".join(textwrap.wrap(title, max(1, n_letters))) or title
