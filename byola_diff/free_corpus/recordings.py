"""The recordings of a package: audio files, those within containers, and notes of sound fonts."""

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from byola_diff.audio.files import AudioFileError, open_audio
from byola_diff.free_corpus.containers import (
    ContainerError,
    is_audio,
    is_container,
    sounds_within,
)
from byola_diff.free_corpus.deb import package_files
from byola_diff.free_corpus.notes import NOTE_RATE, notes
from byola_diff.optional import require

_MOST_READ_S = 600
"""Seconds read of one recording, over which its pieces are spread."""
_MOST_FILE_BYTES = 256 << 20
_G722_BYTES_PER_S = 8000
_SOUND_FONT = ".sf2"

Decoded = tuple[Float32[np.ndarray, " sample"], int]


@dataclass(frozen=True)
class Recording:
    """Where it lies, containers before what is in them, and what gives samples and their rate.

    `decode` raises `AudioFileError` for what can't be used.
    """

    path: str
    decode: Callable[[], Decoded]


def recordings(deb: Path) -> Iterator[Recording]:
    """All recordings in the order of the package; to be decoded at once, if at all.

    Raises:
        DebError: If the package can't be read.
        ModuleNotFoundError: If what is needed for one of them is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield from _found(deb, Path(folder))


def _found(deb: Path, folder: Path) -> Iterator[Recording]:
    for path, file in package_files(deb):
        if path.lower().endswith(_SOUND_FONT):
            yield from _of_font(path, file)
        elif is_container(path):
            yield from _within(path, file, folder)
        elif is_audio(path):
            yield Recording(path, partial(_decode, path, file.read, folder))


def _of_font(path: str, file: io.BufferedIOBase) -> Iterator[Recording]:
    """The notes of a sound font; one that can't be decoded, if it is damaged."""
    try:
        for name, waveform in notes(file.read()):
            yield Recording(f"{path}/{name}", partial(_rendered, waveform))
    except ContainerError as error:
        yield Recording(path, partial(_refuse, path, str(error)))


def _within(path: str, file: io.BufferedIOBase, folder: Path) -> Iterator[Recording]:
    """The recordings in a container; one that can't be decoded, if it is damaged."""
    try:
        for name, inside in sounds_within(path, file):
            yield Recording(
                f"{path}/{name}", partial(_decode, name, partial(_first, inside), folder)
            )
    except ContainerError as error:
        yield Recording(path, partial(_refuse, path, str(error)))


def _first(content: bytes, n_bytes: int) -> bytes:
    return content[:n_bytes]


def _rendered(waveform: Float32[np.ndarray, " sample"]) -> Decoded:
    return waveform, NOTE_RATE


def _refuse(path: str, reason: str) -> Decoded:
    raise AudioFileError(path, reason)


def _decode(path: str, read: Callable[[int], bytes], folder: Path) -> Decoded:
    """The beginning of a recording, by the decoders of all audio files."""
    content = read(_MOST_FILE_BYTES + 1)
    if len(content) > _MOST_FILE_BYTES:
        raise AudioFileError(path, f"larger than {_MOST_FILE_BYTES >> 20} MiB")
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".g722":
        content = content[: _MOST_READ_S * _G722_BYTES_PER_S]
    file = folder / f"recording{suffix}"  # never under a name from the package
    file.write_bytes(content)
    if suffix == ".g722":
        return _decode_g722(file)
    with open_audio(file) as reader:
        return reader.read(0, _MOST_READ_S * reader.sample_rate), reader.sample_rate


def _decode_g722(file: Path) -> Decoded:
    """G.722, a bare stream of telephony at 16 kHz, which libsndfile does not read."""
    av = require("av", "corpus", "speech in G.722")
    try:
        with av.open(str(file), format="g722") as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
            rate = container.streams.audio[0].rate
    except (av.FFmpegError, OSError) as error:
        raise AudioFileError(file, f"unreadable: {error}") from error
    if not frames:
        raise AudioFileError(file, "empty: no samples")
    return np.concatenate(frames).astype(np.float32) / 32768, rate
