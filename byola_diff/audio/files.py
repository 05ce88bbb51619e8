"""Audio files: find, read and write them. Samples are float32 in [-1, 1], mono.

A file that can't be used raises `AudioFileError` with its path and the reason; the callers that
work through many files reject and count it.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float, Float32, Int16, Shaped

from byola_diff.atomic import atomic_path

AUDIO_SUFFIXES = {
    *(".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".caf"),
    *(".flac", ".ogg", ".oga", ".opus", ".mp3"),
    # Can't be read, but found: so that such files are reported, not overlooked.
    *(".m4a", ".aac", ".wma"),
}

# The length of an MP3 without a length header is an estimate: a small shortfall is no truncation.
_MP3_TOLERANCE_S = 0.25

_SKIP_SAMPLES = 1 << 18

# As in `data : 441000 (should be 264589)`. The outer RIFF size is left out: sound files in which it
# alone is wrong are common. `riff` in small letters is W64, which has no other note.
_SIZE_NOTE = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.M)

# Programs that write to a pipe can't know the size and leave a placeholder near 2 or 4 GiB, or 0.
_PLACEHOLDER_BYTES = 0x7FFF_0000

_OGG_PAGE_BYTES = 65_307  # the largest page the format allows: RFC 3533, section 6
_OGG_END_OF_STREAM = 0x04


class AudioFileError(Exception):
    """An audio file that can't be used."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class AudioReader:
    """An open audio file: its length, and one stretch of its samples."""

    def __init__(self, file: soundfile.SoundFile, path: Path) -> None:
        self.sample_rate: int = file.samplerate
        self.n_samples: int = file.frames
        self._file = file
        self._path = path

    def read(self, start: int = 0, n_samples: int | None = None) -> Float32[np.ndarray, " sample"]:
        """Mean of the channels from `start` on, shorter than `n_samples` where the file ends.

        Call it once: it does not go back in a file.
        """
        if not 0 <= start < self.n_samples:
            raise AudioFileError(self._path, f"no sample {start}: {self.n_samples} samples long")
        left = self.n_samples - start
        expected = left if n_samples is None else min(n_samples, left)
        with _decoding(self._path):
            self._go_to(start)
            channels = self._file.read(expected, dtype="float32", always_2d=True)
        tolerance = _MP3_TOLERANCE_S * self.sample_rate if self._file.format == "MP3" else 0
        if len(channels) == 0 or len(channels) < expected - tolerance:
            reason = f"truncated: {len(channels)} of {expected} samples from {start} are there"
            raise AudioFileError(self._path, reason)
        waveform = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
        if not np.isfinite(waveform).all():
            raise AudioFileError(self._path, "has NaN or infinite samples")
        return waveform

    def _go_to(self, start: int) -> None:
        """Seek, or decode and drop what comes before.

        In about one Vorbis position of 25, libsndfile 1.2 seeks to a wrong place:
        https://github.com/libsndfile/libsndfile/issues/885
        """
        if self._file.format != "OGG":
            self._file.seek(start)
            return
        for dropped in range(0, start, _SKIP_SAMPLES):
            self._file.read(min(_SKIP_SAMPLES, start - dropped), dtype="float32")


@contextmanager
def open_audio(path: Path | str) -> Iterator[AudioReader]:
    """Reader of an audio file with at least one sample.

    Raises:
        AudioFileError: If the file is missing, unreadable, empty or truncated.
    """
    path = Path(path)
    with _decoding(path):
        if path.stat().st_size == 0:
            raise AudioFileError(path, "empty: 0 bytes")
        # As bytes, for names that are not UTF-8.
        file = soundfile.SoundFile(os.fsencode(path))  # pyright: ignore[reportArgumentType]
    with file:
        if file.frames < 1:
            raise AudioFileError(path, "empty: no samples")
        if reason := _truncation(file, path):
            raise AudioFileError(path, reason)
        yield AudioReader(file, path)


def read_audio(
    path: Path | str, start_s: float = 0.0, duration_s: float | None = None
) -> tuple[Float32[np.ndarray, " sample"], int]:
    """Mono waveform (mean of the channels) and its sample rate, which is the file's own.

    A stretch that reaches beyond the end is returned as far as it goes.

    Raises:
        AudioFileError: If the file is unreadable, truncated or empty, has NaN or infinite samples,
            or ends before `start_s`.
    """
    with open_audio(path) as reader:
        start = round(start_s * reader.sample_rate)
        wanted = None if duration_s is None else max(1, round(duration_s * reader.sample_rate))
        return reader.read(start, wanted), reader.sample_rate


def write_wav(path: Path | str, waveform: Float[np.ndarray, " sample"], sample_rate: int) -> None:
    """Write a 16-bit wav file, whole or not at all. Samples outside [-1, 1) are clipped."""
    samples = to_pcm16(waveform)
    with atomic_path(path) as temporary:
        temporary.write_bytes(wav_bytes(samples, sample_rate, "PCM_16"))


def wav_bytes(samples: Shaped[np.ndarray, " sample"], sample_rate: int, subtype: str) -> bytes:
    """A wav file in memory, as soundfile's errors in writing one do not name a full disk."""
    content = io.BytesIO()
    soundfile.write(content, samples, sample_rate, format="WAV", subtype=subtype)
    return content.getvalue()


def to_pcm16(waveform: Float[np.ndarray, " sample"]) -> Int16[np.ndarray, " sample"]:
    """Nearest 16-bit samples, where 1.0 is 32768; clipped to the integer range, never wrapped.

    Raises:
        ValueError: If a sample is NaN or infinite.
    """
    if not np.isfinite(waveform).all():
        raise ValueError("the waveform has NaN or infinite samples")
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def find_audio(root: Path | str) -> list[Path]:
    """All audio files below `root`, sorted by their path below it; hidden ones are skipped.

    Links to folders are followed. The order is that of the characters, the same on every system.

    Raises:
        NotADirectoryError: If `root` is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise NotADirectoryError(f"no such folder: {root}")
    return [root / name for name in sorted(_walk(str(root), "", frozenset()))]


def decoder_name() -> str:
    """Decoder with versions, as recorded beside decoded audio: decoders differ in their samples."""
    return f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})"


def _walk(folder: str, prefix: str, ancestors: frozenset[str]) -> Iterator[str]:
    """Paths of audio files relative to the root, with `/` between the parts."""
    real = os.path.realpath(folder)
    if real in ancestors:  # a link to a folder above itself
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/", ancestors | {real})
            elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122
                yield prefix + entry.name


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn the errors of the file system and the decoder into `AudioFileError`."""
    try:
        yield
    # Reasons without the path: lists of rejected files should not depend on where the files lie.
    except soundfile.LibsndfileError as error:
        raise AudioFileError(path, f"unreadable: {error.error_string}") from error
    except OSError as error:
        raise AudioFileError(path, f"unreadable: {error.strerror}") from error


def _truncation(file: soundfile.SoundFile, path: Path) -> str | None:
    """Why the open file counts as truncated, or None: signs that the decoder itself passes over.

    Of a wav or Ogg file cut in the middle, libsndfile reads the part that is there without an
    error. A wav states its size, and libsndfile notes the mismatch in its log; the last page of an
    Ogg stream carries a flag. Not seen: an MP3 without a length header, which has no mark of its
    end.
    """
    if file.format == "OGG":
        return None if _ogg_ends(path) else "truncated: the Ogg stream has no end-of-stream page"
    for declared, present in _SIZE_NOTE.findall(file.extra_info):
        if int(present) < int(declared) < _PLACEHOLDER_BYTES:
            return f"truncated: {present} of {declared} bytes are there"
    return None


def _ogg_ends(path: Path) -> bool:
    """Whether the last page is marked as the end of the stream and is complete."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return False
    n_segments = tail[page + 26]
    segment_bytes = tail[page + 27 : page + 27 + n_segments]
    page_bytes = 27 + n_segments + sum(segment_bytes)
    complete = len(segment_bytes) == n_segments and len(tail) >= page + page_bytes
    return complete and bool(tail[page + 5] & _OGG_END_OF_STREAM)
