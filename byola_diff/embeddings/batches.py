"""Clips of a manifest in batches of one length, read ahead of their use."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError, clip_lengths, read_ahead, read_clip

_BATCH_S = 600
"""Audio in a batch, at most, unless one clip is longer: bounds the memory that long clips take."""


def plan_batches(
    manifest: Manifest,
    rows: Sequence[int],
    sample_rate: int,
    preprocessing: Preprocessing,
    batch_size: int,
    n_workers: int,
) -> list[list[int]]:
    """Which of the clips with these numbers are read together, from the headers of their files.

    That follows from their lengths and order, and from what is left to do: leaving out whole
    batches, as a run does that goes on, does not change the others.

    Raises:
        UnreadableClipsError: If files can't be opened, or end before their clip.
    """
    clips = [manifest.clips[row] for row in rows]
    lengths = clip_lengths(manifest, clips, sample_rate, preprocessing, n_workers)
    length_of, most_samples = dict(zip(rows, lengths, strict=True)), _BATCH_S * sample_rate
    return list(_planned(length_of, batch_size, most_samples))


def read_batches(
    manifest: Manifest,
    batches: Iterable[Sequence[int]],
    sample_rate: int,
    preprocessing: Preprocessing,
    n_workers: int,
) -> Iterator[tuple[list[int], Float32[Tensor, "clip _"]]]:
    """Waveforms of the clips of each batch, by their numbers, and which they are.

    Raises:
        UnreadableClipsError: If files can't be decoded, once all others are read.
    """

    def waveform(row: int) -> Tensor:
        return read_clip(manifest, manifest.clips[row], sample_rate, preprocessing)

    broken = []
    for futures in read_ahead(waveform, batches, n_workers):
        waveforms = {}
        for row, future in futures.items():
            try:
                waveforms[row] = future.result()
            except AudioFileError as error:
                broken.append(error)
        # The header of an MP3 only estimates the length: what was decoded decides.
        for same in _grouped((row, len(samples)) for row, samples in waveforms.items()):
            yield same, torch.stack([waveforms[row] for row in same])
    if broken:
        raise UnreadableClipsError(broken, len(manifest.clips))


def _planned(length_of: dict[int, int], batch_size: int, most_samples: int) -> Iterator[list[int]]:
    for same in _grouped(length_of.items()):
        size = max(1, min(batch_size, most_samples // length_of[same[0]]))
        for start in range(0, len(same), size):
            yield same[start : start + size]


def _grouped(lengths: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Rows of one length together, in the order of the first of each length."""
    groups = defaultdict(list)
    for row, length in lengths:
        groups[length].append(row)
    return list(groups.values())
