"""Clips to look at and listen to: a player for each, below its spectrogram."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from byola_diff.audio.files import read_audio
from byola_diff.audio.resample import resample
from byola_diff.reports.players import player
from byola_diff.reports.report import Audio
from byola_diff.reports.spectrograms import spectrogram_pictures

LONGEST_S = 30.0
"""The rest of a longer clip is left out: all sounds are inside the page."""


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
    return [
        player(waveform, sample_rate, _caption(clip, len(waveform) / sample_rate), picture)
        for clip, waveform, picture in zip(clips, waveforms, pictures, strict=True)
    ]


def _read(path: Path, sample_rate: int) -> Float32[np.ndarray, " sample"]:
    waveform, own_rate = read_audio(path, duration_s=LONGEST_S)
    resampled = resample(waveform, own_rate, sample_rate)
    return resampled if len(resampled) else np.zeros(1, np.float32)


def _caption(clip: HeardClip, duration_s: float) -> str:
    is_cut = duration_s >= LONGEST_S - 0.01
    return f"{clip.caption} (the first {LONGEST_S:g} s)" if is_cut else clip.caption
