"""Spectrograms of sounds, a small PNG file in memory for each; read in grey too."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from byola_diff.audio.log_mel import LogMel
from byola_diff.optional import require
from byola_diff.reports.figures import mel_ticks, new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOUR_MAP = "magma"
_N_COLOURS = 64
_RANGE_DB = 80.0
_PERCENTILE = 2.0
"""What is softer has the darkest colour."""
_N_MELS = 64
_MAX_CELLS = 230
"""Along time, of about three pixels each."""
_TICKS_HZ = (100.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)

# In pixels: about twice the width in which a page shows it. A mel band is five pixels high.
_WIDTH, _HEIGHT, _DPI = 800, 386, 200
_LEFT, _RIGHT, _BOTTOM, _TOP = 98, 14, 58, 8
_LABEL_POINTS = 10.5


def spectrogram_pictures(
    waveforms: Sequence[Float[np.ndarray, " _sample"]],  # each of its own length
    sample_rate: int,
) -> list[bytes]:
    """A PNG of the log-mel spectrogram of each, all in one range of colours and of time.

    Colours go from the loudest point of all down to 80 dB below it, or to the second percentile
    where that is higher. Time ends with the longest; after the end of a shorter one all is grey.

    Args:
        waveforms: What is to be compared.
        sample_rate: That of all waveforms, in Hz.

    Raises:
        ValueError: If there is no waveform, or one has no samples.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    if not len(waveforms) or not all(len(waveform) for waveform in waveforms):
        raise ValueError("spectrograms need waveforms, and samples in each")
    front_end = _front_end(sample_rate)
    n_longest = max(len(waveform) for waveform in waveforms)
    frames_per_cell = math.ceil((1 + n_longest // front_end.hop_samples) / _MAX_CELLS)
    images = [_level_db(waveform, front_end, frames_per_cell) for waveform in waveforms]
    range_db = _range_db(images)
    pictures = []
    for image in images:
        figure = new_figure(_WIDTH / _DPI, _HEIGHT / _DPI)
        axes = _axes(figure)
        _draw(axes, image, range_db, frames_per_cell * front_end.hop_samples / sample_rate)
        _label(axes, front_end, n_longest / sample_rate)
        pictures.append(_with_palette(to_png(figure, _DPI)))
    return pictures


def _front_end(sample_rate: int) -> LogMel:
    # A window of about 46 ms; a mel band must hold a bin, which sets the lowest band.
    n_fft = 2 ** round(math.log2(0.046 * sample_rate))
    return LogMel(
        sample_rate,
        window_samples=n_fft,
        n_fft=n_fft,
        hop_samples=max(1, sample_rate // 100),
        n_mels=_N_MELS,
        f_min_hz=50.0,
        f_max_hz=0.49 * sample_rate,
    )


def _level_db(
    waveform: Float[np.ndarray, " sample"], front_end: LogMel, frames_per_cell: int
) -> Float[np.ndarray, "mel cell"]:
    """Level of the mean power of the frames in each cell."""
    samples = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))
    missing = max(0, front_end.min_samples - len(samples))
    log_mel = front_end(torch.nn.functional.pad(samples, (0, missing))[None])[0, 0]
    # Frames that are there because a window needs its samples lie behind the end.
    power = log_mel.double().exp().numpy()[:, : 1 + len(samples) // front_end.hop_samples]
    starts = np.arange(0, power.shape[1], frames_per_cell)
    counts = np.diff([*starts, power.shape[1]])
    return 10 * np.log10(np.add.reduceat(power, starts, axis=1) / counts)


def _range_db(images: Sequence[Float[np.ndarray, "mel _cell"]]) -> tuple[float, float]:
    """Levels of the darkest and of the brightest colour."""
    levels_db = np.concatenate([image.ravel() for image in images])
    loudest_db = float(levels_db.max())
    return max(loudest_db - _RANGE_DB, float(np.percentile(levels_db, _PERCENTILE))), loudest_db


def _axes(figure: "Figure") -> "Axes":
    """At whole pixels, the same in all pictures."""
    figure.set_layout_engine("none")
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - _TOP
    return figure.add_axes(
        (_LEFT / _WIDTH, _BOTTOM / _HEIGHT, width / _WIDTH, height / _HEIGHT),
        facecolor="#dddddd",
    )


def _draw(
    axes: "Axes",
    image_db: Float[np.ndarray, "mel cell"],
    range_db: tuple[float, float],
    cell_s: float,
) -> None:
    n_mels, n_cells = image_db.shape
    axes.imshow(
        image_db,
        origin="lower",
        aspect="auto",
        cmap=require("matplotlib", "evaluate").colormaps[_COLOUR_MAP].resampled(_N_COLOURS),
        interpolation="nearest",
        extent=(0, n_cells * cell_s, -0.5, n_mels - 0.5),
        vmin=range_db[0],
        vmax=range_db[1],
    )


def _label(axes: "Axes", front_end: LogMel, duration_s: float) -> None:
    places, inside = mel_ticks(front_end, _TICKS_HZ)
    axes.set_yticks(places, [f"{hz / 1000:g}" for hz in inside])
    axes.set_ylabel("kHz", fontsize=_LABEL_POINTS, labelpad=2)
    axes.set_xlim(0, duration_s)
    axes.locator_params(axis="x", nbins=5)
    times_s = [float(time_s) for time_s in axes.get_xticks() if time_s <= duration_s]
    axes.set_xticks(times_s, [f"{time_s:g} s" for time_s in times_s])
    # Inwards from the corners: no label leaves the picture or meets that of the lowest frequency.
    for tick, time_s in zip(axes.xaxis.get_major_ticks(), times_s, strict=True):
        near_end = "right" if time_s > 0.9 * duration_s else "center"
        tick.label1.set_horizontalalignment("left" if time_s == 0 else near_end)
    axes.tick_params(labelsize=_LABEL_POINTS, length=2.5, width=0.5, pad=2)
    axes.spines[:].set_visible(False)


def _with_palette(png: bytes) -> bytes:
    """The same with a palette of its own, in less than half of the bytes."""
    pillow = require("PIL.Image", "evaluate", "a spectrogram")
    image = pillow.open(io.BytesIO(png)).convert("RGB")
    # By coverage colours move by one of 255 steps at most; by median cut by up to 40.
    coverage = pillow.Quantize.MAXCOVERAGE
    buffer = io.BytesIO()
    image.quantize(256, method=coverage, dither=pillow.Dither.NONE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()
