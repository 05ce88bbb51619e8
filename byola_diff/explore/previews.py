"""What is heard and seen of a clip on a page: its first seconds as MP3, and their spectrogram."""

import io
import math
import os
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float32, UInt8

from byola_diff.audio.files import open_audio, to_pcm16, wav_bytes
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.resample import resample
from byola_diff.explore.vectors import page_module
from byola_diff.reports.players import (
    COLOUR_MAP,
    LONGEST_S,
    RANGE_DB,
    level_db,
    picture_front_end,
)
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.reading import read_stretch

RATE = 24_000
"""Hz, of previews: MP3 has no bands above 12 kHz to spend bits on."""
MP3_BYTES_PER_S = 6000
_MP3_LEVEL = 0.75
"""Compression of libsndfile, 0 to 1, that gives this rate: 1 is the lowest bit rate."""
_PICTURE_QUALITY = 50
_MOST_CELLS = 240
"""Largest width of a picture, in cells along time."""


class Preview(NamedTuple):
    """A clip to look at and to listen to."""

    picture: bytes
    """WebP, low frequencies at the bottom."""
    mp3: bytes


def duration_s(manifest: Manifest, clip: Clip) -> float:
    """How long a clip is, by the header of its file; raises as `preview`."""
    with open_audio(manifest.path(clip)) as reader:
        there_s = reader.n_samples / reader.sample_rate - (clip.start_s or 0.0)
        return min(clip.duration_s or there_s, there_s)


def preview(manifest: Manifest, clip: Clip, with_sound: bool = True) -> Preview:
    """The first 30 seconds of a clip; without its sound, the MP3 is empty.

    Raises:
        AudioFileError: If the file can't be read.
        ModuleNotFoundError: If Matplotlib or Pillow is absent; it names the extra.
    """
    wanted_s = min(duration_s(manifest, clip), LONGEST_S)
    with open_audio(manifest.path(clip)) as reader:
        first = round((clip.start_s or 0.0) * reader.sample_rate)
        n_samples = max(1, round(wanted_s * reader.sample_rate))
        waveform = resample(reader.read(first, n_samples), reader.sample_rate, RATE)
    waveform = waveform if len(waveform) else np.zeros(1, np.float32)
    return Preview(spectrogram(waveform), mp3_bytes(waveform) if with_sound else b"")


def mp3_bytes(waveform: Float32[np.ndarray, " sample"]) -> bytes:
    """The waveform as MP3; one louder than full scale is turned down, not clipped."""
    peak = np.abs(waveform).max()
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        to_pcm16(waveform / max(1.0, peak)),
        RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=_MP3_LEVEL,
    )
    return buffer.getvalue()


def whole_wav(manifest: Manifest, clip: Clip) -> bytes:
    """The whole clip at the rate of its file, mono, as 16-bit wav; raises as `read_stretch`."""
    waveform, rate = read_stretch(manifest.path(clip), clip.start_s, clip.duration_s)
    return wav_bytes(to_pcm16(waveform / max(1.0, np.abs(waveform).max())), rate, "PCM_16")


def spectrogram(waveform: Float32[np.ndarray, " sample"]) -> bytes:
    """A WebP of the log-mel spectrogram, from its own loudest point down to 80 dB below it."""
    front_end = _front_end()
    n_frames = 1 + len(waveform) // front_end.hop_samples
    level = level_db(waveform, front_end, math.ceil(n_frames / _MOST_CELLS))
    loudest = level.max()
    softest = max(loudest - RANGE_DB, np.percentile(level, 2.0))
    share = (level - softest) / max(loudest - softest, 1e-9)
    shades = np.rint(share.clip(0, 1) * (len(_colours()) - 1)).astype(int)
    buffer = io.BytesIO()
    image = page_module("PIL.Image").fromarray(_colours()[shades[::-1]])
    image.save(buffer, "webp", quality=_PICTURE_QUALITY, method=4)
    return buffer.getvalue()


def link_to(path: Path, page: Path, clip: Clip) -> str:
    """URL of a clip's file relative to the page, with the part that the clip is.

    A full `file:` address where the two lie on different drives.
    """
    part = ""
    if clip.start_s is not None or clip.duration_s is not None:
        start_s = clip.start_s or 0.0
        end = "" if clip.duration_s is None else f",{start_s + clip.duration_s:g}"
        part = f"#t={start_s:g}{end}"
    try:
        relative = Path(os.path.relpath(path, page.parent)).as_posix()
    except ValueError:
        return path.absolute().as_uri() + part
    # Quoted as an address below the root; none begins with a word that could be a scheme.
    return "./" + PurePosixPath("/", relative).as_uri().removeprefix("file:///") + part


@cache
def _front_end() -> LogMel:
    return picture_front_end(RATE)


@cache
def _colours() -> UInt8[np.ndarray, "shade rgb"]:
    shades = page_module("matplotlib").colormaps[COLOUR_MAP]
    return np.rint(shades(np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)
