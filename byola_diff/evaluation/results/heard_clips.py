"""Clips to look at and listen to: their spectrograms side by side, then a player for each."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from byola_diff.audio.files import read_audio
from byola_diff.audio.resample import resample
from byola_diff.evaluation.results.players import player
from byola_diff.evaluation.results.report import Audio, Picture
from byola_diff.evaluation.results.spectrograms import spectrogram_figure

LONGEST_S = 30.0
"""The rest of a longer clip is left out: all sounds are inside the page."""


class HeardClip(NamedTuple):
    """A clip with its names."""

    path: Path
    title: str
    """Above its spectrogram."""
    caption: str
    """Beside its player."""


def heard_clips(clips: Sequence[HeardClip], sample_rate: int) -> list[Picture | Audio]:
    """A picture of all clips, and a player for each, at the rate that the encoder hears.

    Raises:
        AudioFileError: If a clip can't be read.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    waveforms = [_read(clip.path, sample_rate) for clip in clips]
    panels = [(clip.title, waveform) for clip, waveform in zip(clips, waveforms, strict=True)]
    picture = Picture(
        spectrogram_figure(panels, sample_rate),
        f"Log-mel spectrograms up to {sample_rate / 2000:g} kHz, in one range of colours",
    )
    players = [
        player(waveform, sample_rate, _caption(clip, len(waveform) / sample_rate))
        for clip, waveform in zip(clips, waveforms, strict=True)
    ]
    return [picture, *players]


def _read(path: Path, sample_rate: int) -> Float32[np.ndarray, " sample"]:
    waveform, own_rate = read_audio(path, duration_s=LONGEST_S)
    resampled = resample(waveform, own_rate, sample_rate)
    return resampled if len(resampled) else np.zeros(1, np.float32)


def _caption(clip: HeardClip, duration_s: float) -> str:
    is_cut = duration_s >= LONGEST_S - 0.01
    return f"{clip.caption} (the first {LONGEST_S:g} s)" if is_cut else clip.caption
