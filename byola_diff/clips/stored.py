"""Clips of a packed store: read from disk at random, or held in device memory as a whole."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int16, Int64
from torch import Tensor

from byola_diff.audio.waveform import as_waveform
from byola_diff.clips.order import crop_draws, crop_starts
from byola_diff.clips.source import ClipSource
from byola_diff.store.packed import SAMPLE_BYTES, PackedStore


class Part(NamedTuple):
    """Clip k belongs to part k modulo `n_parts`."""

    number: int
    n_parts: int


WHOLE = Part(0, 1)


class StoreTooLargeError(Exception):
    """A store that does not fit into the memory of the device."""


class PackedSource(ClipSource):
    """Crops read from a packed store, each by one read of just its bytes."""

    def __init__(self, store: PackedStore, *, crop_samples: int, seed: int) -> None:
        self.store, self.crop_samples, self.seed = store, crop_samples, seed
        self.sample_rate, self.n_clips = store.sample_rate, len(store)

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """As of the base class."""
        return as_waveform(self.stored_batch(epoch, clips).to(device))

    def stored_batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Int16[Tensor, "batch sample"]:
        """As of the base class: the samples as they are stored, on the host."""
        clips = clips.cpu()
        lengths = torch.from_numpy(self.store.index[clips.numpy(), 2])
        starts = crop_starts(crop_draws(self.seed, epoch, clips), lengths, self.crop_samples)
        crops = self.store.read_crops(clips.tolist(), starts.tolist(), self.crop_samples)
        return torch.from_numpy(crops)

    def identity(self) -> str:
        """As of the base class, by the recorded hashes of all samples."""
        digest = hashlib.sha256(np.ascontiguousarray(self.store.index).tobytes())
        for shard in self.store.meta["shards"]:
            digest.update(shard["sha256"].encode())
        return f"{self.n_clips} packed clips, SHA-256 {digest.hexdigest()[:16]}"


class ResidentSource(ClipSource):
    """Crops gathered on the device, where the store is kept as 16-bit samples.

    Raises:
        StoreTooLargeError: If it does not fit into the memory of the device.
    """

    on_device = True

    def __init__(
        self,
        store: PackedStore,
        *,
        crop_samples: int,
        seed: int,
        device: torch.device | str,
        part: Part = WHOLE,
    ) -> None:
        """Load the store, or every clip of a `part` of it, which alone can be asked for then."""
        self.device, self.n_parts = torch.device(device), part.n_parts
        self.crop_samples, self.seed = crop_samples, seed
        self.sample_rate, self.n_clips = store.sample_rate, len(store)
        index = np.array(store.index[part.number :: part.n_parts])
        lengths = index[:, 2].copy()
        _check_fits(store.path, int(lengths.sum()), self.device)
        by_shard = np.argsort(index[:, 0], kind="stable")
        self._samples = _load_samples(store, index[by_shard], self.device)
        first = np.empty_like(lengths)
        first[by_shard] = np.cumsum(lengths[by_shard]) - lengths[by_shard]
        self._first = torch.from_numpy(first).to(self.device)  # [clip]
        self._lengths = torch.from_numpy(lengths).to(self.device)  # [clip]

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str | None = None
    ) -> Float[Tensor, "batch sample"]:
        """As of the base class; on the device of the store if none is given."""
        clips = _to_device(clips, self.device)
        held = torch.div(clips, self.n_parts, rounding_mode="floor")
        lengths = self._lengths[held]
        draws = crop_draws(self.seed, epoch, clips)
        starts = crop_starts(draws, lengths, self.crop_samples)
        positions = torch.arange(self.crop_samples, device=self.device)
        inside = positions < lengths[:, None]  # [batch, sample]
        # Past the end of a short clip lies another clip, and past that perhaps nothing.
        where = ((self._first[held] + starts)[:, None] + positions).where(inside, 0)
        waveform = as_waveform(self._samples[where]).where(inside, 0.0)
        return waveform if device is None else waveform.to(device)


def _to_device(clips: Tensor, device: torch.device) -> Tensor:
    """The numbers on the device; from pinned memory, for which a GPU need not be waited for."""
    if device.type != "cuda" or clips.device.type != "cpu":
        return clips.to(device)
    return clips.pin_memory().to(device, non_blocking=True)


_SHARE_OF_TRAINING = 0.25
"""Share of a device's memory that a store leaves to training, of which a batch of 1024 takes 18 GiB
with AudioNTT2022 (docs/results.md)."""


def _check_fits(path: Path, n_samples: int, device: torch.device) -> None:
    if device.type != "cuda":
        return
    needed = n_samples * SAMPLE_BYTES
    free, total = torch.cuda.mem_get_info(device)
    room = free - _SHARE_OF_TRAINING * total
    if needed > room:
        raise StoreTooLargeError(
            f"{path} needs {needed / 2**30:.1f} GiB, {device} has {max(room, 0) / 2**30:.1f} "
            f"GiB free beside the {_SHARE_OF_TRAINING:.0%} of its memory that training is left: "
            "divide one store among several devices (--data.resident_split true), read it from "
            "disk (--data.source packed) or pack fewer clips"
        )


def _load_samples(
    store: PackedStore, index: Int64[np.ndarray, "clip 3"], device: torch.device
) -> Int16[Tensor, " stored_sample"]:
    """Clips of an index that is in the order of shards, one after the other.

    Each shard is checked, and passes through the host alone.
    """
    samples = torch.empty(int(index[:, 2].sum()), dtype=torch.int16, device=device)
    end = 0
    for shard in np.unique(index[:, 0]).tolist():
        content = store.read_shard(shard)
        places = index[index[:, 0] == shard, 1:].tolist()
        kept = np.concatenate([content[place : place + length] for place, length in places])
        start, end = end, end + len(kept)
        samples[start:end] = torch.from_numpy(kept).to(device)
    return samples
