"""Sounds to listen to as parts of a report: waveforms, and clips below their spectrograms."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float, Float32

from byola_diff.audio.files import read_audio, to_pcm16
from byola_diff.audio.resample import resample
from byola_diff.reports.report import Audio
from byola_diff.reports.spectrograms import spectrogram_pictures

LONGEST_S = 30.0
"""The rest of a longer clip is left out: all sounds are inside the page."""

_LARGEST = 32767 / 32768
"""Above it, 16-bit samples would be clipped."""


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

    Args:
        waveform: At least one sample.
        sample_rate: In Hz.
        caption: What it is.
        spectrogram: A PNG to be shown above the player.

    Raises:
        ValueError: If there is no sample, or one is NaN or infinite.
    """
    if not len(waveform):
        raise ValueError(f"no samples to play: {caption}")
    peak = float(np.abs(waveform).max())
    if _LARGEST < peak < np.inf:  # what is not finite is refused below
        waveform = waveform * (_LARGEST / peak)
        turned_down_db = 20 * np.log10(peak / _LARGEST)
        if turned_down_db > 0.05:  # full scale itself is not worth a word
            caption = f"{caption} (turned down by {turned_down_db:.1f} dB to fit)"
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), sample_rate, format="WAV", subtype="PCM_16")
    return Audio(buffer.getvalue(), caption, spectrogram)


def _read(path: Path, sample_rate: int) -> Float32[np.ndarray, " sample"]:
    waveform, own_rate = read_audio(path, duration_s=LONGEST_S)
    resampled = resample(waveform, own_rate, sample_rate)
    return resampled if len(resampled) else np.zeros(1, np.float32)
