"""Clips read in sequence from tar shards of audio files, here or behind a URL, by WebDataset.

For corpora that no disk of the machine holds. Clips have an order, and no place that can be looked
up: of each epoch, a *lane* (a loader process of a process that trains) reads its share of the
shards, in an order drawn anew, through a buffer that shuffles neighbours. So the order is that of
(seed, lanes, clips), the crop of a clip that of (seed, epoch, name of the clip), and neither
depends on speed. What it cannot do: be as well mixed as a store read at random, or be the same for
another number of lanes. To resume, the shards of the epoch are read again up to the place, without
decoding.
"""

import hashlib
import json
import random
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.audio.files import AUDIO_SUFFIXES, AudioFileError
from byola_diff.clips.folder import read_crop
from byola_diff.clips.order import crop_draws
from byola_diff.clips.source import ClipSource, Rejection, TooManyRejectedError
from byola_diff.optional import require
from byola_diff.randomness import derive_seed, torch_generator

_ANY_INDEX = 2**62  # of clips: any index is one
_FEW = 1000
"""Clips seen before the share of those that can't be decoded counts."""


class Shard(NamedTuple):
    """A tar file, by path or URL, and the clips in it."""

    url: str
    n_clips: int


def find_shards(root: Path) -> list[Shard]:
    """The tar shards of a folder, of a path or of a URL, with braces such as `{0000..0099}`.

    Headers of all files in them are read, once in a process, to count the clips.

    Raises:
        FileNotFoundError: If there are none.
        OSError: If one can't be read.
    """
    if root.is_dir():
        urls = [str(path) for path in sorted(root.glob("*.tar"))]
    else:
        # A `Path` has one of the two slashes of a URL.
        text = re.sub(r"^(\w[\w+]+):/+", r"\1://", root.as_posix())
        urls = require("webdataset", "shards").shardlists.expand_urls(text)
    if not urls:
        raise FileNotFoundError(f"no tar files in {root}")
    return [Shard(url, _count_clips(url)) for url in urls]


@cache
def _count_clips(url: str) -> int:
    try:
        # Not as a stream: from one header to the next, without what lies between.
        with (
            require("fsspec", "shards").open(url, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r:") as tar,
        ):
            return sum(_is_clip(member) for member in tar)
    except tarfile.TarError as error:
        raise OSError(f"{url}: no uncompressed tar file: {error}") from error


def _is_clip(member: tarfile.TarInfo) -> bool:
    hidden = re.match(r"__[^/]*__($|/)", member.name)  # which WebDataset leaves out
    return member.isreg() and not hidden and Path(member.name).suffix.lower() in AUDIO_SUFFIXES


class ShardSource(ClipSource):
    """An endless stream over the clips of tar shards; each lane goes through its own part of it.

    A file that can't be decoded is noted, and another clip of its batch stands in its place.
    """

    endless, n_clips = True, _ANY_INDEX

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
        max_rejected: float = 0.05,
    ) -> None:
        """Batches of the run go to the lanes in turn; `shuffled` clips wait in each lane's buffer.

        Raises:
            ValueError: If there are fewer shards than lanes, or none has a clip.
        """
        self.shards = list(shards)
        if len(self.shards) < n_lanes:
            raise ValueError(
                f"{len(self.shards)} tar shards are fewer than the {n_lanes} loader processes that "
                "share them: lower --data.num_workers, or make more shards"
            )
        if min(shard.n_clips for shard in self.shards) < 1:
            raise ValueError("a tar shard holds no audio file")
        self.sample_rate, self.crop_samples, self.seed = sample_rate, crop_samples, seed
        self.batch_size, self.n_lanes, self.shuffled = batch_size, n_lanes, shuffled
        self.max_rejected = max_rejected
        self._lanes: dict[int, _Lane] = {}
        self._fresh: list[Rejection] = []
        self._n_seen = self._n_rejected = 0

    def __getstate__(self) -> dict[str, object]:
        """For another process, which reads its lanes from the start."""
        return {**self.__dict__, "_lanes": {}}

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Clips of the stream; quick where each lane is read forwards, as training does."""
        waveform = np.zeros((len(clips), self.crop_samples), np.float32)
        broken, whole = [], []
        for row, clip in enumerate(clips.tolist()):
            batch_number, place = divmod(clip, self.batch_size)
            turn, lane = divmod(batch_number, self.n_lanes)
            sample = self._lane(lane).at(turn * self.batch_size + place)
            crop = self._crop(sample)
            if crop is None:
                broken.append(row)
            else:
                waveform[row, : len(crop)] = crop
                whole.append(row)
        if not whole and len(clips):
            raise TooManyRejectedError(f"none of {len(clips)} clips in a row can be decoded")
        for row in broken:
            waveform[row] = waveform[whole[row % len(whole)]]
        return torch.from_numpy(waveform).to(device)

    def take_rejected(self) -> list[Rejection]:
        """As of the base class."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def identity(self) -> str:
        """As of the base class, by names and numbers of clips of the shards, and by the lanes."""
        listed = [(Path(shard.url).name, shard.n_clips) for shard in self.shards]
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        n_clips = sum(shard.n_clips for shard in self.shards)
        return (
            f"{n_clips} clips in {len(listed)} tar shards, SHA-256 {digest[:16]}, "
            f"read by {self.n_lanes} in batches of {self.batch_size}"
        )

    def _lane(self, number: int) -> "_Lane":
        if number not in self._lanes:
            self._lanes[number] = _Lane(self, number)
        return self._lanes[number]

    def _crop(self, sample: "_Sample") -> Float32[np.ndarray, " sample"] | None:
        """None, and a note, of what can't be decoded."""
        name = int.from_bytes(hashlib.sha256(sample.key.encode()).digest()[:7], "big")
        draw = crop_draws(self.seed, sample.epoch, torch.tensor([name]))
        self._n_seen += 1
        with tempfile.NamedTemporaryFile(suffix=f".{sample.suffix}") as file:
            file.write(sample.content)
            file.flush()
            try:
                return read_crop(Path(file.name), draw, self.sample_rate, self.crop_samples)
            except AudioFileError as error:
                self._reject(f"{sample.key}.{sample.suffix}", error.reason)
                return None

    def _reject(self, name: str, reason: str) -> None:
        self._fresh.append(Rejection(name, reason))
        self._n_rejected += 1
        if self._n_rejected > self.max_rejected * max(self._n_seen, _FEW):
            counted = f"{self._n_rejected} of {self._n_seen} clips can't be decoded"
            raise TooManyRejectedError(f"{counted}, {name} last: {reason}")


class _Sample(NamedTuple):
    """An audio file of a shard, as it lies there."""

    key: str
    suffix: str
    content: bytes
    epoch: int


class _Lane:
    """The clips of one lane in their order; going back begins anew."""

    def __init__(self, source: ShardSource, number: int) -> None:
        self.source, self.number = source, number
        self._next, self._samples = 0, iter(())

    def at(self, position: int) -> _Sample:
        """The clip at a position of the lane's endless stream."""
        if position < self._next or self._next == 0:
            self._next, self._samples = self._begin(position)
        while self._next < position:
            next(self._samples)
            self._next += 1
        self._next += 1
        return next(self._samples)

    def _begin(self, position: int) -> tuple[int, Iterator[_Sample]]:
        """The stream from the epoch that the position is in, and its first position."""
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
        webdataset = require("webdataset", "shards")
        while True:
            draws = random.Random(derive_seed(self.source.seed, "shuffle", self.number, epoch))
            samples = _samples_of(self._shards(epoch), epoch)
            waiting = self.source.shuffled
            yield from webdataset.shuffle(waiting, initial=waiting, rng=draws)(samples)
            epoch += 1


def _samples_of(shards: Sequence[Shard], epoch: int) -> Iterator[_Sample]:
    """All audio files of the shards, in order."""
    for shard in shards:
        n_clips = 0
        for name, content in _files_of(shard.url):
            key, _, suffix = name.rpartition(".")
            if f".{suffix.lower()}" in AUDIO_SUFFIXES:
                yield _Sample(key, suffix, content, epoch)
                n_clips += 1
        if n_clips != shard.n_clips:
            raise OSError(f"{shard.url}: {n_clips} clips, of which {shard.n_clips} were counted")


def _files_of(url: str) -> Iterator[tuple[str, bytes]]:
    webdataset, fsspec = require("webdataset", "shards"), require("fsspec", "shards")
    with fsspec.open(url, "rb") as stream:
        try:
            for member in webdataset.tariterators.tar_file_iterator(stream):
                yield member["fname"], member["data"]
        except tarfile.TarError as error:
            raise OSError(f"{url}: {error}") from error
