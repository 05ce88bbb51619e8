"""The audio of a manifest's clips: mono, at the rate of an encoder, cut as asked."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError, AudioReader, joined, open_audio
from byola_diff.audio.resample import resample_blocks, resampled_length, source_stretch
from byola_diff.progress import progress
from byola_diff.tables.manifest import ROUNDING_S, Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing

_WHOLE = Preprocessing()
_MAX_LISTED = 50
_BATCHES_AHEAD = 2


class UnreadableClipsError(ValueError):
    """Clips of a manifest that can't be read: scores over the others would be of another task."""

    def __init__(self, errors: Sequence[AudioFileError], n_clips: int) -> None:
        super().__init__(errors, n_clips)
        self.errors, self.n_clips = tuple(errors), n_clips

    def __str__(self) -> str:
        n, n_more = len(self.errors), len(self.errors) - _MAX_LISTED
        listed = [f"  {error}" for error in self.errors[:_MAX_LISTED]]
        if n_more > 0:
            listed.append(f"  and {n_more} more")
        head = f"{n} of {self.n_clips} clips can't be read; mend them or drop their rows:"
        return "\n".join([head, *listed])


def read_clip(
    manifest: Manifest, clip: Clip, sample_rate: int, preprocessing: Preprocessing = _WHOLE
) -> Float32[Tensor, " sample"]:
    """Mono waveform of a clip at `sample_rate`; one zero where it is too short for a sample.

    Stretches and crops are those of the resampled file: they are read with margins, so that a
    resampler sees what lies beside them.

    Raises:
        AudioFileError: If the file can't be read, or ends before the clip.
    """
    with open_audio(path := manifest.path(clip)) as reader:
        first, n_samples = _resampled_stretch(reader, path, clip, sample_rate)
        offset, n_samples = preprocessing.crop(clip, n_samples, sample_rate)
        rates = reader.sample_rate, sample_rate
        start, n_read, cut = source_stretch(first + offset, n_samples, *rates)
        blocks = resample_blocks(reader.blocks(start, n_read), *rates)
        # By blocks, as a long file at its own rate may not fit into memory beside this.
        waveform = joined(blocks)[cut : cut + n_samples]
    clip_waveform = torch.from_numpy(waveform) if len(waveform) else torch.zeros(1)
    return preprocessing.fit(clip_waveform, sample_rate)


def read_stretch(
    path: Path, start_s: float | None, duration_s: float | None
) -> tuple[Float32[np.ndarray, " sample"], int]:
    """Mono waveform of a part of a file as it is, and its sample rate; errors as `read_clip`."""
    with open_audio(path) as reader:
        return reader.read(*_stretch(reader, path, start_s, duration_s)), reader.sample_rate


def clip_lengths(
    manifest: Manifest,
    clips: Sequence[Clip],
    sample_rate: int,
    preprocessing: Preprocessing,
    n_workers: int,
) -> list[int]:
    """Samples of each clip as `read_clip` gives it, from the headers of the files.

    Raises:
        UnreadableClipsError: If files can't be opened, or end before their clip, with all of them.
    """

    def length(clip: Clip) -> int | AudioFileError:
        try:
            with open_audio(path := manifest.path(clip)) as reader:
                _, n_samples = _resampled_stretch(reader, path, clip, sample_rate)
                return preprocessing.unit_samples(sample_rate) or n_samples
        except AudioFileError as error:
            return error

    with ThreadPoolExecutor(n_workers) as pool:
        found = pool.map(length, clips)
        lengths = list(progress(found, total=len(clips), unit="headers", leave=False))
    if broken := [length for length in lengths if isinstance(length, AudioFileError)]:
        raise UnreadableClipsError(broken, len(manifest.clips))
    return [length for length in lengths if isinstance(length, int)]


def check_readable(manifest: Manifest, sample_rate: int, n_workers: int = 4) -> None:
    """Decode every clip once, at this rate, which takes about as long as any use of them.

    Raises:
        UnreadableClipsError: If files can't be read, with all of them.
    """

    def fault(clip: Clip) -> AudioFileError | None:
        try:
            read_clip(manifest, clip, sample_rate)
        except AudioFileError as error:
            return error

    with ThreadPoolExecutor(n_workers) as pool:
        found = pool.map(fault, clips := manifest.clips)
        looked_at = progress(found, total=len(clips), unit="clips", title="reading", leave=False)
        faults = [each for each in looked_at if each]
    if faults:
        raise UnreadableClipsError(faults, len(manifest.clips))


def read_ahead(
    read: Callable[[int], Tensor], batches: Iterable[Sequence[int]], n_workers: int
) -> Iterator[dict[int, Future[Tensor]]]:
    """Clips of each batch, in order, while those of the next two batches are being read."""
    queue: deque[dict[int, Future[Tensor]]] = deque()
    pool = ThreadPoolExecutor(n_workers)
    try:
        for batch in batches:
            queue.append({index: pool.submit(read, index) for index in batch})
            if len(queue) > _BATCHES_AHEAD:
                yield queue.popleft()
        yield from queue
    finally:
        pool.shutdown(cancel_futures=True)


def _stretch(
    reader: AudioReader, path: Path, start_s: float | None, duration_s: float | None
) -> tuple[int, int]:
    """First sample of a stretch of a file, and how many it has."""
    start_s, rate = start_s or 0.0, reader.sample_rate
    first = round(start_s * rate)
    left = reader.n_samples - first
    if left < 1:
        raise AudioFileError(path, f"ends before {start_s} s")
    if duration_s is None:
        return first, left
    wanted = max(1, round(duration_s * rate))
    if wanted - left > ROUNDING_S * rate:
        asked = f"start_s {start_s:g} and duration_s {duration_s:g}"
        raise AudioFileError(path, f"ends at {reader.n_samples / rate:.3f} s, too soon for {asked}")
    return first, min(left, wanted)


def _resampled_stretch(
    reader: AudioReader, path: Path, clip: Clip, sample_rate: int
) -> tuple[int, int]:
    """First sample of the clip in its file at `sample_rate`, and how many it has, at least one."""
    _stretch(reader, path, clip.start_s, clip.duration_s)  # which refuses one past the end
    length = max(1, resampled_length(reader.n_samples, reader.sample_rate, sample_rate))
    first = min(round((clip.start_s or 0.0) * sample_rate), length - 1)
    if clip.duration_s is None:
        return first, length - first
    return first, min(length - first, max(1, round(clip.duration_s * sample_rate)))
