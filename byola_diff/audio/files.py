"""Audio files: read and write them. Samples are float32 in [-1, 1], mono.

A file that can't be used raises `AudioFileError` with its path and the reason; the callers that
work through many files reject and count it.
"""

import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from jaxtyping import Float, Float32, Int16, Shaped

from byola_diff.atomic import atomic_path
from byola_diff.audio.claims import MP3_TOLERANCE_S, SAMPLE_BYTES, doubt
from byola_diff.audio.other_decoder import EXTRA, OTHER_SUFFIXES, decode, other_decoder_name
from byola_diff.audio.waveform import LOUDEST

MOST_SAMPLES = 1 << 30
"""Read at once: 6 hours at 48 kHz, 4 GiB."""
_BLOCK_SAMPLES = 1 << 22
SAMPLE_RATES = range(100, 1_000_001)
"""Hz; of any recording."""

# Where libsndfile's seek is exact, with subtypes of `SAMPLE_BYTES`.
_EXACT_FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"}


class AudioFileError(Exception):
    """An audio file that can't be used."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class AudioReader:
    """An open audio file: its rate, length and channels, and one stretch of its samples."""

    def __init__(self, file: "soundfile.SoundFile | _Decoded", path: Path) -> None:
        self.sample_rate: int = file.samplerate
        self.n_samples: int = file.frames
        self.n_channels: int = file.channels
        self.n_read = 0
        """Samples of the stretch that were read so far."""
        self._file = file
        self._path = path

    def read(self, start: int = 0, n_samples: int | None = None) -> Float32[np.ndarray, " sample"]:
        """Mean of the channels from `start` on, shorter than `n_samples` where the file ends.

        Call it once: it does not go back in a file.
        """
        return joined(self.blocks(start, n_samples))

    def blocks(
        self, start: int = 0, n_samples: int | None = None
    ) -> Iterator[Float32[np.ndarray, " _"]]:
        """What `read` gives, block by block: of a file of any length in the memory of a block.

        That a file ends too soon, or has samples that can't be used, is told when it is met.
        """
        if not 0 <= start < self.n_samples:
            raise AudioFileError(self._path, f"no sample {start}: {self.n_samples} samples long")
        left = self.n_samples - start
        expected = left if n_samples is None else min(n_samples, left)
        if expected > MOST_SAMPLES:
            reason = f"{expected} samples are more than the {MOST_SAMPLES} that are read at once"
            raise AudioFileError(self._path, f"{reason}: is its header right? Else cut it")
        with _decoding(self._path):
            self._go_to(start)
        size = max(1, _BLOCK_SAMPLES // self._file.channels)
        while self.n_read < expected:  # by blocks also to be joined: headers may state any length
            wanted = min(size, expected - self.n_read)
            block = self._mono(wanted)
            self.n_read += len(block)
            if len(block):
                self._check(block)
                yield block
            if len(block) < wanted:
                break
        tolerance = MP3_TOLERANCE_S * self.sample_rate if self._file.format == "MP3" else 0
        if self.n_read == 0 or self.n_read < expected - tolerance:
            reason = f"truncated: {self.n_read} of {expected} samples from {start} are there"
            raise AudioFileError(self._path, reason)

    def _mono(self, n_samples: int) -> Float32[np.ndarray, " sample"]:
        """Mean of the channels of the next samples."""
        with _decoding(self._path):
            block = self._file.read(n_samples, dtype="float32", always_2d=True)
            return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)

    def _check(self, waveform: Float32[np.ndarray, " sample"]) -> None:
        peak = max(waveform.max(), -waveform.min())
        if not np.isfinite(peak):
            raise AudioFileError(self._path, "has NaN or infinite samples")
        if peak > LOUDEST:
            reason = f"samples reach {peak:.5g}, far beyond full scale: were integers not scaled?"
            raise AudioFileError(self._path, reason)

    def _go_to(self, start: int) -> None:
        """Seek where that is exact, else decode and drop what comes before.

        In about one Vorbis position of 25, libsndfile 1.2 seeks to a wrong place:
        https://github.com/libsndfile/libsndfile/issues/885. After a seek, decoders of MP3 lack the
        bits kept in frames before, those of ADPCM their state, and those of GSM can't seek at all.
        """
        if self._file.format in _EXACT_FORMATS and self._file.subtype in SAMPLE_BYTES:
            if start:
                self._file.seek(start)
            return
        size = max(1, _BLOCK_SAMPLES // 16 // self._file.channels)
        for dropped in range(0, start, size):
            self._file.read(min(size, start - dropped), dtype="float32")


def joined(
    blocks: Iterable[Float32[np.ndarray, " _"]],
) -> Float32[np.ndarray, " joined"]:
    """Blocks one after the other, at least one; a single one as it is, not copied."""
    parts = list(blocks)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Decoded:
    """A file that is decoded as a whole, read as libsndfile's are."""

    channels, format, subtype = 1, "FLAC", "FLOAT"

    def __init__(self, path: Path, content: bytes | None) -> None:
        self._samples, self.samplerate = decode(path, MOST_SAMPLES, content)
        self.frames = len(self._samples)
        self._at = 0

    def seek(self, start: int) -> None:
        self._at = start

    def read(self, n_samples: int, **_: object) -> Float32[np.ndarray, "sample 1"]:
        self._at += n_samples
        return self._samples[self._at - n_samples : self._at, None]

    def close(self) -> None:
        del self._samples


@contextmanager
def open_audio(path: Path | str, content: bytes | None = None) -> Iterator[AudioReader]:
    """Reader of an audio file with at least one sample.

    What libsndfile can't read, or not to its end, is decoded by PyAV if that is installed. Of a
    file in memory, `content` are its bytes, and `path` is but its name.

    Raises:
        AudioFileError: If the file is missing, damaged, of an impossible rate, or needs PyAV.
    """
    path = Path(path)
    with _decoding(path):
        if (_size_of_file(path) if content is None else len(content)) == 0:
            raise AudioFileError(path, "empty: 0 bytes")
        file = _open(path, content)
    with closing(file):
        if file.frames < 1:
            raise AudioFileError(path, "empty: no samples")
        if file.samplerate not in SAMPLE_RATES:
            reason = f"a rate of {file.samplerate} Hz, outside {SAMPLE_RATES[0]} Hz to 1 MHz"
            raise AudioFileError(path, f"{reason}: its header is wrong")
        yield AudioReader(file, path)


def _open_sound(path: Path, content: bytes | None) -> soundfile.SoundFile:
    if content is None:
        # As bytes, for names that are not UTF-8.
        return soundfile.SoundFile(os.fsencode(path))  # pyright: ignore[reportArgumentType]
    try:
        return soundfile.SoundFile(io.BytesIO(content))
    except soundfile.LibsndfileError:
        if path.suffix.lower() != ".mp3":
            raise
    # With other bytes before its first frame, an MP3 is known by its name alone.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        named = Path(folder) / "named.mp3"
        named.write_bytes(content)
        return soundfile.SoundFile(named)


def _size_of_file(path: Path) -> int:
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # opening a pipe or a device may wait for ever
        raise AudioFileError(path, "unreadable: no file, but a folder, pipe or device")
    return about.st_size


def _open(path: Path, content: bytes | None) -> "soundfile.SoundFile | _Decoded":
    """The file, opened by the decoder that reads all of it."""
    try:
        file = _open_sound(path, content)
    except soundfile.LibsndfileError as error:
        if path.suffix.lower() not in OTHER_SUFFIXES:
            raise
        reason = f"unreadable: {error.error_string}"
    else:
        wrong = doubt(file, path, content)
        if wrong is None:
            return file
        file.close()
        if not wrong.readable:
            raise AudioFileError(path, wrong.reason)
        reason = wrong.reason
    try:
        return _Decoded(path, content)
    except ModuleNotFoundError:
        raise AudioFileError(path, f"{reason}; {EXTRA} reads it") from None


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


def decoder_name() -> str:
    """Decoder with versions, as recorded beside decoded audio: decoders differ in their samples."""
    names = f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})"
    return f"{names}, {other}" if (other := other_decoder_name()) else names


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn the errors of the file system and the decoder into `AudioFileError`."""
    try:
        yield
    # Reasons without the path: lists of rejected files should not depend on where the files lie.
    except AudioFileError:
        raise
    except soundfile.LibsndfileError as error:
        raise AudioFileError(path, f"unreadable: {error.error_string}") from error
    except OSError as error:
        raise AudioFileError(path, f"unreadable: {error.strerror}") from error
    except Exception as error:  # decoders fail in many ways: out of memory, no length, wrong bytes
        # Those of PyAV are of the system only in part, and their text ends in the path.
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise AudioFileError(path, f"unreadable: {what}") from error
