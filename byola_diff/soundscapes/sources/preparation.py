"""Sources as APwD's soundscapes use them: events trimmed and faded, backgrounds made long and loud.

    FOLDER/{dev,eval}/background/LABEL/FILE.wav
    FOLDER/{dev,eval}/foreground/LABEL/FILE.wav

A background may also be laid over another one as an event, to make it louder. It is then in both
folders, prepared alike.

Source:
    github.com/nttcslab/apwd-dataset, preprocess_org_audio.py. Differs from it in that samples
    beyond 16 bits are clipped, not wrapped around.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16

from byola_diff.atomic import atomic_path
from byola_diff.audio.files import AudioFileError, read_audio, to_pcm16, wav_bytes
from byola_diff.tables.rows import located

_KERNEL_SAMPLES = 512
_THRESHOLD = 0.1
_FADE_S = 0.01
_TILED_S = 20
_PEAK = 0.95


@dataclass(frozen=True)
class SourceFile:
    """A recording and where its prepared copy goes."""

    recording: Path
    name: str
    """Path of the copy below the folder of sources: split, role, label and file name."""
    is_background: bool
    """How it is prepared, whatever its role."""


def prepare(source: SourceFile, folder: Path) -> None:
    """Write the prepared copy below `folder`, unless the same bytes are there.

    A recording that can't be read raises `AudioFileError`, one that is silent or too short
    `ValueError`, which name it. There is no copy of an earlier version of it then either.
    """
    path = folder / source.name
    try:
        waveform, sample_rate = read_audio(source.recording)
        make = prepared_background if source.is_background else prepared_event
        with located(f"{source.recording}: "):
            samples = make(waveform, sample_rate)
    except (AudioFileError, ValueError):
        path.unlink(missing_ok=True)
        raise
    content = wav_bytes(samples, sample_rate, "PCM_16")
    if not path.is_file() or path.read_bytes() != content:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)


def prepared_event(
    waveform: Float[np.ndarray, " sample"], sample_rate: int
) -> Int16[np.ndarray, " trimmed"]:
    """The active part at its own level, faded in and out over 10 ms by halves of a Hann window.

    The last active sample is left out, as in the published clips. A waveform that is silent, is
    active for one sample only or has nothing left between its fades raises ValueError.
    """
    first, last = active_span(waveform)
    if last <= first:
        raise ValueError("too short: active for one sample")
    trimmed = waveform[first:last].astype(np.float64)
    n_fade = int(_FADE_S * sample_rate)
    rise = np.hanning(2 * n_fade)[: min(n_fade, len(trimmed))]
    trimmed[: len(rise)] *= rise
    trimmed[len(trimmed) - len(rise) :] *= rise[::-1]
    samples = to_pcm16(trimmed)
    if not samples.any():
        raise ValueError("too short or too quiet: nothing is left between its fades")
    return samples


def prepared_background(
    waveform: Float[np.ndarray, " sample"], sample_rate: int
) -> Int16[np.ndarray, " tiled"]:
    """The recording again and again, for at least 20 s, with a peak of 0.95; ValueError if silent.

    Any 10 s that begin in the first 10 s are thus whole.
    """
    if not np.any(waveform):
        raise ValueError("silent: no level to bring it to")
    n_times = _TILED_S * sample_rate // len(waveform) + 1
    one = to_pcm16(waveform.astype(np.float64) * (_PEAK / np.abs(waveform).max()))
    return np.tile(one, n_times)


def active_span(waveform: Float[np.ndarray, " sample"]) -> tuple[int, int]:
    """First and last sample at which the smoothed magnitude is above a tenth of its peak.

    The magnitude is convolved with a Hann window of 512 samples and keeps its length and place.
    Any level gives the same span; silence raises ValueError.

    Source:
        The preparation of APwD's events (github.com/nttcslab/apwd-dataset, modify_org_csv.py).
    """
    if not np.any(waveform):
        raise ValueError("silent: nothing to trim to")
    full = np.convolve(np.abs(waveform.astype(np.float64)), np.hanning(_KERNEL_SAMPLES))
    # Not mode="same", which lengthens clips that are shorter than the window.
    start = (_KERNEL_SAMPLES - 1) // 2
    envelope = full[start : start + len(waveform)]
    active = np.flatnonzero(envelope > _THRESHOLD * envelope.max())
    if active.size == 0:  # a click next to the end can fall on the zeros of the window
        raise ValueError("too short: nothing to trim to")
    return int(active[0]), int(active[-1])
