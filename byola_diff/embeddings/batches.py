"""Clips of a manifest in batches of one length, read ahead of their use."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import clip_lengths, read_ahead, read_clip

_BATCH_S = 600
"""Audio in a batch, at most, unless one clip is longer: bounds the memory that long clips take."""


@dataclass
class ClipBatches:
    """How clips are read and put together."""

    manifest: Manifest
    sample_rate: int
    preprocessing: Preprocessing
    batch_size: int
    n_workers: int
    broken: list[AudioFileError] = field(default_factory=list)
    """Clips left out of batches because they could not be read."""

    def read(self, rows: Sequence[int]) -> Iterator[tuple[list[int], Float32[Tensor, "clip _"]]]:
        """Waveforms of the clips with these numbers, and which they are.

        The headers of all are read before the first batch. Which clips are together follows from
        their lengths and order, and from what is left to do: leaving out whole batches, as a run
        does that goes on, does not change the others.

        Raises:
            UnreadableClipsError: If files can't be opened.
        """
        clips = [self.manifest.clips[row] for row in rows]
        lengths = clip_lengths(
            self.manifest, clips, self.sample_rate, self.preprocessing, self.n_workers
        )
        for futures in read_ahead(self._waveform, self._plan(rows, lengths), self.n_workers):
            waveforms = {}
            for row, future in futures.items():
                try:
                    waveforms[row] = future.result()
                except AudioFileError as error:
                    self.broken.append(error)
            # The header of an MP3 only estimates the length: what was decoded decides.
            for same in _grouped((row, len(waveform)) for row, waveform in waveforms.items()):
                yield same, torch.stack([waveforms[row] for row in same])

    def _waveform(self, row: int) -> Tensor:
        clip = self.manifest.clips[row]
        return read_clip(self.manifest, clip, self.sample_rate, self.preprocessing)

    def _plan(self, rows: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
        length_of = dict(zip(rows, lengths, strict=True))
        for same in _grouped(length_of.items()):
            fitting = _BATCH_S * self.sample_rate // length_of[same[0]]
            size = max(1, min(self.batch_size, fitting))
            for start in range(0, len(same), size):
                yield same[start : start + size]


def _grouped(lengths: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Rows of one length together, in the order of the first of each length."""
    groups = defaultdict(list)
    for row, length in lengths:
        groups[length].append(row)
    return list(groups.values())
