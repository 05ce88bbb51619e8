"""Clips decoded on the fly from a folder of audio files, with nothing prepared.

For a first try and for small sets: decoding costs far more than reading a packed store.
"""

import hashlib
import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.audio.files import AudioFileError, open_audio
from byola_diff.audio.find import find_audio
from byola_diff.audio.resample import resample, resampled_length, source_stretch
from byola_diff.clips.order import crop_draws, crop_starts
from byola_diff.clips.source import ClipSource, Rejection, RejectionLog, UnreadableSourceError

# All that is read to tell whether files are still the same: of small sets every byte, and of others
# the middle of evenly chosen files.
_READ_BYTES = 1 << 30
_READ_FILES = 10_000
_MIDDLE_BYTES = 1 << 16


class FolderSource(ClipSource):
    """Crops of the audio files below a folder, at `sample_rate`.

    A file that can't be read is noted in `rejected` and replaced by the next one that can, in the
    order of the files: the batch depends on the files alone, not on what was met before.

    Raises:
        ValueError: If the folder holds no audio files.
        TooManyRejectedError: From `batch`, if more than `max_rejected` of the files can't be read.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        sample_rate: int,
        crop_samples: int,
        seed: int,
        max_rejected: float = 0.05,
    ) -> None:
        self.root = Path(root)
        self.files = find_audio(self.root)
        if not self.files:
            raise ValueError(f"no audio files below {self.root}")
        self.sample_rate, self.crop_samples, self.seed = sample_rate, crop_samples, seed
        self.n_clips = self.n_files = len(self.files)
        self.rejected = RejectionLog(self.n_clips, max_rejected)
        self._fresh: list[Rejection] = []

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """As of the base class; the waveforms are decoded and cropped one by one."""
        waveform = np.zeros((len(clips), self.crop_samples), np.float32)
        draws = crop_draws(self.seed, epoch, clips.cpu())
        for row, clip in enumerate(clips.tolist()):
            crop = self._readable_crop(clip, draws[row : row + 1])
            waveform[row, : len(crop)] = crop
        return torch.from_numpy(waveform).to(device)

    def take_rejected(self) -> list[Rejection]:
        """As of the base class."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def identity(self) -> str:
        """As of the base class: by names, order and sizes of all files, and their content.

        The content is read as a whole up to 1 GiB, and from 64 KiB in the middle of up to 10,000
        files where there is more.
        """
        names = [path.relative_to(self.root).as_posix() for path in self.files]
        sha256 = _files_sha256(names, self.files)
        return f"{self.n_clips} audio files, SHA-256 {sha256[:16]}"

    def _readable_crop(self, clip: int, draw: Tensor) -> Float32[np.ndarray, " sample"]:
        """Crop of the clip, or of the next one that can be read."""
        for offset in range(self.n_clips):
            path = self.files[(clip + offset) % self.n_clips]
            try:
                return read_crop(path, draw, self.sample_rate, self.crop_samples)
            except AudioFileError as error:
                rejection = Rejection(path.relative_to(self.root).as_posix(), error.reason)
                self._fresh.append(rejection)
                self.rejected.add([rejection])
        raise UnreadableSourceError(
            f"none of the {self.n_clips} files below {self.root} can be read"
        )


def read_crop(
    path: Path,
    draw: Int[Tensor, " 1"],
    sample_rate: int,
    crop_samples: int,
    content: bytes | None = None,
) -> Float32[np.ndarray, " sample"]:
    """The crop of an audio file that a draw of `crop_draws` stands for; shorter if the file is.

    The crop and its margins alone are decoded. Of a file in memory, `content` are its bytes.

    Raises:
        AudioFileError: If the file can't be read.
    """
    with open_audio(path, content) as reader:
        rates = reader.sample_rate, sample_rate
        length = resampled_length(reader.n_samples, *rates)
        if length == 0:
            raise AudioFileError(path, f"empty at {sample_rate} Hz")
        start = int(crop_starts(draw, torch.tensor([length]), crop_samples))
        first, n_samples, cut = source_stretch(start, crop_samples, *rates)
        waveform = resample(reader.read(first, n_samples), *rates)
    # Lossy codecs and resampling overshoot; a packed store has such peaks clipped too.
    return np.clip(waveform[cut : cut + crop_samples], -1, 1)


def _files_sha256(names: Sequence[str], files: Sequence[Path]) -> str:
    sizes = [path.stat().st_size if path.is_file() else -1 for path in files]
    has_all_read = sum(sizes) <= _READ_BYTES
    every = 1 if has_all_read else ceil(len(files) / _READ_FILES)
    digest = hashlib.sha256()
    for number, (name, path, size) in enumerate(zip(names, files, sizes, strict=True)):
        digest.update(b"%s\0%d\0" % (os.fsencode(name), size))
        if number % every == 0 and size > 0:
            digest.update(_content_sha256(path, size, has_all_read))
    return digest.hexdigest()


def _content_sha256(path: Path, size: int, whole: bool) -> bytes:
    """Hash of the file or of its middle; of nothing where it can't be read, as in training."""
    try:
        with path.open("rb") as file:
            if whole:
                return hashlib.file_digest(file, "sha256").digest()
            file.seek(max(0, (size - _MIDDLE_BYTES) // 2))
            return hashlib.sha256(file.read(_MIDDLE_BYTES)).digest()
    except OSError:
        return hashlib.sha256().digest()
