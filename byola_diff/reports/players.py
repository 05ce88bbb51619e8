"""Sounds to listen to as parts of a report: players, below spectrograms that read in grey too."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Float32

from byola_diff.audio.files import read_audio, to_pcm16
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.resample import resample
from byola_diff.optional import require
from byola_diff.reports.figures import draw_log_mel, new_figure, to_png
from byola_diff.reports.report import Audio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_S = 30.0
"""The rest of a longer clip is left out: all sounds are inside the page."""

_LARGEST = 32767 / 32768
"""Above it, 16-bit samples would be clipped."""

COLOUR_MAP = "magma"
_N_COLOURS = 64
RANGE_DB = 80.0
_PERCENTILE = 2.0
"""What is softer has the darkest colour."""
_N_MELS = 64
_MAX_CELLS = 230
"""Along time, of about three pixels each."""
_TICKS_HZ = {1000 * khz: f"{khz:g}" for khz in (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)}

# In pixels: about twice the width in which a page shows it. A mel band is five pixels high.
_WIDTH, _HEIGHT, _DPI = 800, 386, 200
_LEFT, _RIGHT, _BOTTOM, _TOP = 98, 14, 58, 8
_BOX = (
    *(_LEFT / _WIDTH, _BOTTOM / _HEIGHT),
    *(1 - (_LEFT + _RIGHT) / _WIDTH, 1 - (_BOTTOM + _TOP) / _HEIGHT),
)
"""The axes, in shares of the picture: left, bottom, width, height."""
_LABEL_POINTS = 10.5


class HeardClip(NamedTuple):
    """A clip and what it is."""

    path: Path
    caption: str


def heard_clips(clips: Sequence[HeardClip], sample_rate: int) -> list[Audio]:
    """A player for each, at this rate in Hz; their spectrograms share one range of colours.

    Raises:
        AudioFileError: If a clip can't be read.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    waveforms = [_read(clip.path, sample_rate) for clip in clips]
    pictures = spectrogram_pictures(waveforms, sample_rate)
    players = []
    for clip, waveform, picture in zip(clips, waveforms, pictures, strict=True):
        is_cut = len(waveform) / sample_rate >= LONGEST_S - 0.01
        caption = clip.caption + (f" (the first {LONGEST_S:g} s)" if is_cut else "")
        players.append(player(waveform, sample_rate, caption, picture))
    return players


def player(
    waveform: Float[np.ndarray, " sample"],
    sample_rate: int,
    caption: str,
    spectrogram: bytes | None = None,
) -> Audio:
    """The waveform as 16-bit wav; one louder than fits is turned down, as the caption then says.

    Raises:
        ValueError: If there is no sample, or one is NaN or infinite.
    """
    peak = float(np.abs(waveform).max())
    if _LARGEST < peak < np.inf:  # what is not finite is refused below
        waveform = waveform * (_LARGEST / peak)
        turned_down_db = 20 * np.log10(peak / _LARGEST)
        if turned_down_db > 0.05:  # full scale itself is not worth a word
            caption = f"{caption} (turned down by {turned_down_db:.1f} dB to fit)"
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), sample_rate, format="WAV", subtype="PCM_16")
    return Audio(buffer.getvalue(), caption, spectrogram)


def spectrogram_pictures(
    waveforms: Sequence[Float[np.ndarray, " _sample"]],  # each of its own length
    sample_rate: int,
) -> list[bytes]:
    """A PNG of the log-mel spectrogram of each, all in one range of colours and of time.

    Colours go from the loudest point of all down to 80 dB below it, or to the second percentile
    where that is higher. Time ends with the longest; after the end of a shorter one all is grey.

    There is a waveform, and a sample in each; `sample_rate` in Hz is that of all.

    Raises:
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    front_end = picture_front_end(sample_rate)
    n_longest = max(len(waveform) for waveform in waveforms)
    frames_per_cell = math.ceil((1 + n_longest // front_end.hop_samples) / _MAX_CELLS)
    images = [level_db(waveform, front_end, frames_per_cell) for waveform in waveforms]
    low_db, high_db = _range_db(images)
    colours = require("matplotlib", "evaluate").colormaps[COLOUR_MAP].resampled(_N_COLOURS)
    style = {"cmap": colours, "vmin": low_db, "vmax": high_db}
    cell_s = frames_per_cell * front_end.hop_samples / sample_rate
    pictures = []
    for image in images:
        figure = new_figure(_WIDTH / _DPI, _HEIGHT / _DPI)
        figure.set_layout_engine("none")  # at whole pixels, the same in all pictures
        axes = figure.add_axes(_BOX, facecolor="#dddddd")
        draw_log_mel(axes, image, front_end, (0.0, image.shape[1] * cell_s), _TICKS_HZ, **style)
        _label(axes, n_longest / sample_rate)
        pictures.append(_with_palette(to_png(figure, _DPI)))
    return pictures


def _read(path: Path, sample_rate: int) -> Float32[np.ndarray, " sample"]:
    waveform, own_rate = read_audio(path, duration_s=LONGEST_S)
    resampled = resample(waveform, own_rate, sample_rate)
    return resampled if len(resampled) else np.zeros(1, np.float32)


def picture_front_end(sample_rate: int) -> LogMel:
    """The log-mels that are drawn, of sounds at this rate in Hz: 64 bands from 50 Hz up, 10 ms."""
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


def level_db(
    waveform: Float[np.ndarray, " sample"], front_end: LogMel, frames_per_cell: int
) -> Float[np.ndarray, "mel cell"]:
    """Level of the mean power of the frames in each cell; a waveform has a sample at least."""
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
    return max(loudest_db - RANGE_DB, float(np.percentile(levels_db, _PERCENTILE))), loudest_db


def _label(axes: "Axes", duration_s: float) -> None:
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
