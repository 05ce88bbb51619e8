"""Clips read in sequence from tar shards of audio files, here or behind a URL.

For corpora that no disk of the machine holds. Clips have an order, and no place that can be looked
up: of each epoch, a *lane* (a loader process of a process that trains) reads its share of the
shards, in an order drawn anew, through a buffer that shuffles neighbours. So the order is that of
(seed, lanes, clips), the crop of a clip that of (seed, epoch, name of the clip), and neither
depends on speed. What it cannot do: be as well mixed as a store read at random, or be the same for
another number of lanes. To resume, the shards of the epoch are read again up to the place, without
decoding.
"""

import hashlib
import os
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.audio.files import AudioFileError
from byola_diff.clips.folder import read_crop
from byola_diff.clips.order import crop_draws
from byola_diff.clips.source import ANY_INDEX, ClipSource, Rejection, TooManyRejectedError
from byola_diff.clips.tar_files import Shard, read_clips, shown
from byola_diff.randomness import derive_seed, torch_generator

_FEW = 1000
"""Clips seen before the share of those that can't be decoded counts."""
_MOST_IN_A_ROW = 100
"""Clips that can't be decoded, whatever share is allowed."""


class ShardSource(ClipSource):
    """An endless stream over the clips of tar shards; each lane goes through its own part of it.

    In place of a file that can't be decoded stands the next one of its lane that can, which so
    comes twice.
    """

    endless, n_clips = True, ANY_INDEX

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        sample_rate: int,
        crop_samples: int,
        seed: int,
        batch_size: int,
        n_lanes: int,
        shuffled: int = 256,
        shuffled_bytes: int = 128 << 20,
        max_rejected: float = 0.05,
    ) -> None:
        """Batches of the run go to the lanes in turn.

        In the buffer of each lane wait `shuffled` clips, or fewer that have `shuffled_bytes`.

        Raises:
            ValueError: If there are fewer shards than lanes, or one has no clip.
        """
        self.shards = list(shards)
        if len(self.shards) < n_lanes:
            raise ValueError(
                f"{len(self.shards)} tar shards are fewer than the {n_lanes} parts that they are "
                "divided into: give a lower --data.num_workers, such as 1, or make more shards"
            )
        if empty := next((shard for shard in self.shards if shard.n_clips == 0), None):
            raise ValueError(f"{shown(empty.url)}: a tar shard without any audio file")
        self.sample_rate, self.crop_samples, self.seed = sample_rate, crop_samples, seed
        self.batch_size, self.n_lanes = batch_size, n_lanes
        self.shuffled, self.shuffled_bytes = shuffled, shuffled_bytes
        self.n_files = sum(shard.n_clips for shard in self.shards)
        self.max_rejected = max_rejected
        self._lanes: dict[int, _Lane] = {}
        self._newest: tuple[list[int], Tensor] = [], torch.empty(0, crop_samples)
        self._fresh: list[Rejection] = []
        self._n_seen = self._n_rejected = 0

    @property
    def n_distinct(self) -> int:
        """As of the base class: those of one pass over the shards."""
        return self.n_files

    def __getstate__(self) -> dict[str, object]:
        """For another process, which reads its lanes from the start."""
        return {**self.__dict__, "_lanes": {}}

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Clips of the stream; quick where each lane is read forwards, as training does.

        Raises:
            OSError: If a shard can't be read.
            TooManyRejectedError: If more than `max_rejected` of the clips so far can't be decoded,
                once that is of a thousand; or a hundred in a row can't.
        """
        numbers = clips.tolist()
        if numbers != self._newest[0]:  # a mixed source asks again, for second views
            waveform = np.zeros((len(clips), self.crop_samples), np.float32)
            for row, clip in enumerate(numbers):
                crop = self._crop(clip)
                waveform[row, : len(crop)] = crop
            self._newest = numbers, torch.from_numpy(waveform)
        return self._newest[1].to(device, copy=True)

    def take_rejected(self) -> list[Rejection]:
        """As of the base class."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def identity(self) -> str:
        """As of the base class, by what is seen of the clips (`find_shards`), and by the lanes."""
        digest = hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode())
        return (
            f"{self.n_files} clips in {len(self.shards)} tar shards, "
            f"SHA-256 {digest.hexdigest()[:16]}, "
            f"read by {self.n_lanes} in batches of {self.batch_size}"
        )

    def _crop(self, clip: int) -> Float32[np.ndarray, " sample"]:
        """Crop of a clip, or of the next one of its lane that can be decoded."""
        batch_number, place = divmod(clip, self.batch_size)
        turn, number = divmod(batch_number, self.n_lanes)
        if number not in self._lanes:
            self._lanes[number] = _Lane(self, number)
        lane = self._lanes[number]
        try:
            lane.go_to(turn * self.batch_size + place)
            self._n_seen += 1
            if isinstance(found := lane.ahead(0), Rejection):
                self._reject(found)
                found = self._stand_in(lane, found)
            return found
        except OSError:
            del self._lanes[number]  # it can't go on, and would have to begin anew
            raise

    def _reject(self, rejection: Rejection) -> None:
        """Count and note a clip at its own place, not where it would have stood in for another."""
        self._fresh.append(rejection)
        self._n_rejected += 1
        if self._n_rejected > self.max_rejected * max(self._n_seen, _FEW):
            counted = f"{self._n_rejected} of {self._n_seen} clips can't be decoded"
            raise TooManyRejectedError(f"{counted}, {rejection.file} last: {rejection.reason}")

    def _stand_in(self, lane: "_Lane", rejected: Rejection) -> Float32[np.ndarray, " sample"]:
        for further in range(1, _MOST_IN_A_ROW):
            if not isinstance(found := lane.ahead(further), Rejection):
                return found
        first = f"the first is {rejected.file}: {rejected.reason}"
        raise TooManyRejectedError(f"{_MOST_IN_A_ROW} clips in a row can't be decoded, {first}")


class _Sample(NamedTuple):
    """An audio file of a shard, as it lies there."""

    shard: str
    name: str
    content: bytes
    epoch: int


class _Lane:
    """The clips of one lane in their order; going back begins anew."""

    def __init__(self, source: ShardSource, number: int) -> None:
        self.source, self.number = source, number
        self._position = -1
        self._ahead: deque[Float32[np.ndarray, " sample"] | Rejection] = deque()
        self._samples: Iterator[_Sample] = iter(())

    def go_to(self, position: int) -> None:
        """Take a position of the lane's endless stream; what lies before it is not decoded."""
        if position < self._position or self._position < 0:
            self._position, self._samples = self._begin(position)
            self._ahead.clear()
        for _ in range(position - self._position):
            if self._ahead:
                self._ahead.popleft()
            else:
                next(self._samples)
        self._position = position

    def ahead(self, further: int) -> Float32[np.ndarray, " sample"] | Rejection:
        """Crop of the clip that lies so much further, or why there is none."""
        while len(self._ahead) <= further:
            self._ahead.append(self._decoded(next(self._samples)))
        return self._ahead[further]

    def _decoded(self, sample: _Sample) -> Float32[np.ndarray, " sample"] | Rejection:
        source, name = self.source, os.fsencode(sample.name.rpartition(".")[0])
        number = int.from_bytes(hashlib.sha256(name).digest()[:7], "big")
        draw = crop_draws(source.seed, sample.epoch, torch.tensor([number]))
        size = source.sample_rate, source.crop_samples
        try:
            return read_crop(Path(sample.name), draw, *size, sample.content)
        except AudioFileError as error:
            return Rejection(f"{sample.shard}/{sample.name}", error.reason)

    def _begin(self, position: int) -> tuple[int, Iterator[_Sample]]:
        """First position of the epoch that the position is in, and the stream from there."""
        epoch, start = 0, 0
        while start + (size := sum(s.n_clips for s in self._shards(epoch))) <= position:
            epoch, start = epoch + 1, start + size
        return start, self._from_epoch(epoch)

    def _shards(self, epoch: int) -> list[Shard]:
        source = self.source
        generator = torch_generator(source.seed, "shards", epoch)
        order = torch.randperm(len(source.shards), generator=generator).tolist()
        return [source.shards[index] for index in order[self.number :: source.n_lanes]]

    def _from_epoch(self, epoch: int) -> Iterator[_Sample]:
        source = self.source
        while True:
            draws = random.Random(derive_seed(source.seed, "shuffle", self.number, epoch))
            samples = (
                _Sample(shard.name, name, content, epoch)
                for shard in self._shards(epoch)
                for name, content in read_clips(shard)
            )
            yield from _shuffled(samples, source.shuffled, source.shuffled_bytes, draws)
            epoch += 1


def _shuffled(
    samples: Iterable[_Sample], most: int, most_bytes: int, draws: random.Random
) -> Iterator[_Sample]:
    """Samples in the order in which they are drawn from a buffer that is filled as they come."""
    waiting: list[_Sample] = []
    n_bytes = 0

    def drawn() -> _Sample:
        place = int(draws.random() * len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        return waiting.pop()

    for sample in samples:
        waiting.append(sample)
        n_bytes += len(sample.content)
        while len(waiting) > most or n_bytes > most_bytes:
            yield (one := drawn())
            n_bytes -= len(one.content)
    while waiting:
        yield drawn()
