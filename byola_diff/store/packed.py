"""Packed store: clips of any length as 16-bit samples in a few large files, read at random.

A store is a folder:
    shard-00000.i16 ...  little-endian int16 mono samples, clip after clip, without headers
    index.npy            int64 [clip, 3]: shard, first sample in the shard, length in samples
    blocks.npy           uint64 [block]: start of the SHA-256 of each 64 KiB, shard after shard
    clips.csv            clip, file, source_rate, seconds
    rejected.csv         file, reason: what was found and could not be used
    plan.json            what the store was begun with; another run must agree to go on
    meta.json            format version, rate, resampler, decoder, counts, size and hash per shard,
                         hashes of index, blocks and of itself
`meta.json` is written last: a folder without it is unfinished. `packing.py` writes a store.

All that is read is checked. Hashes of the small files when the store is opened; each block of a
shard when it is first read in a process, as hashing whole shards first would take minutes. Stores
of format 1 have no hashes of blocks or index: `verify` and a resident store check their shards.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16, Int64, UInt64

from byola_diff.storage import sha256
from byola_diff.store.description import REPACK, PackedStoreError, open_array, read_meta

SAMPLE_BYTES = 2
BLOCK_SAMPLES = 32_768
_MOST_OPEN = 64
"""Shards: a process may not keep thousands of files open."""


class PackedStore:
    """Read access to a packed store. Copies to other processes open the store anew."""

    def __init__(
        self,
        path: Path,
        meta: dict[str, Any],
        index: Int64[np.ndarray, "clip 3"],
        blocks: UInt64[np.ndarray, " block"] | None = None,
    ) -> None:
        self.path = path
        self.meta = meta
        self.index = index
        self.sample_rate: int = meta["sample_rate"]
        self.shard_samples = np.array([shard["samples"] for shard in meta["shards"]], np.int64)
        ends = np.cumsum(-(-self.shard_samples // BLOCK_SAMPLES))
        self._first_block: list[int] = [0, *ends.tolist()]  # of each shard
        self._blocks = np.zeros(self._first_block[-1], np.uint64) if blocks is None else blocks
        self._checked = bytearray([blocks is None]) * len(self._blocks)  # by block: 0 or 1
        self._files: dict[int, int] = {}

    @classmethod
    def open(cls, path: Path | str) -> "PackedStore":
        """The store at `path`, with all shards present in their full size.

        Hashes of shards are left to `read`, as they need every byte read.

        Raises:
            PackedStoreError: If the store is missing, unfinished, damaged or of another format
                version; the message has the path and the remedy.
        """
        path = Path(path)
        meta, blocks = read_meta(path), None
        index = open_array(path / "index.npy", meta, (meta["counts"]["clips"], 3), np.int64)
        if meta["format_version"] > 1:
            n_blocks = sum(-(-shard["samples"] // BLOCK_SAMPLES) for shard in meta["shards"])
            blocks = open_array(path / "blocks.npy", meta, (n_blocks,), np.uint64)
        store = cls(path, meta, index, blocks)
        store._check_shard_sizes()
        store._check_index()
        return store

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map is a copy of all its data.
        return type(self).open, (self.path,)

    def read(
        self, clip: int, start: int = 0, length: int | None = None
    ) -> Int16[np.ndarray, " sample"]:
        """Samples `start` to `start + length` of a clip; to its end without `length`.

        Raises:
            ValueError: If the clip or some of the samples do not exist.
            PackedStoreError: If they are not those that were written.
        """
        if not 0 <= clip < len(self):
            raise ValueError(f"no clip {clip} in a store of {len(self)}")
        shard, offset, clip_length = (int(value) for value in self.index[clip])
        length = clip_length - start if length is None else length
        if start < 0 or not 0 <= length <= clip_length - start:
            raise ValueError(f"clip {clip} has {clip_length} samples, not {start}:{start + length}")
        self._check(shard, offset + start, length)
        samples = np.empty(length, "<i2")
        self._read_into(samples, shard, offset + start)
        return samples.astype(np.int16, copy=False)

    def read_crops(
        self, clips: Sequence[int], starts: Sequence[int], n_samples: int
    ) -> Int16[np.ndarray, "crop sample"]:
        """`n_samples` of each clip from its start on; zeros past the end of a clip.

        Raises:
            ValueError: If a clip or a start does not exist.
            PackedStoreError: If they are not those that were written.
        """
        if clips and not (min(clips) >= 0 and max(clips) < len(self)):
            raise ValueError(f"clips {min(clips)} to {max(clips)} of a store of {len(self)}")
        crops = np.empty((len(clips), n_samples), "<i2")
        places = self.index[np.asarray(clips, np.int64)].tolist()
        for row, (start, (shard, offset, length)) in enumerate(zip(starts, places, strict=True)):
            if not 0 <= start <= length:
                raise ValueError(f"clip {clips[row]} has {length} samples, none at {start}")
            taken = min(n_samples, length - start)
            self._check(shard, offset + start, taken)
            self._read_into(crops[row, :taken], shard, offset + start)
            crops[row, taken:] = 0
        return crops.astype(np.int16, copy=False)

    def _check(self, shard: int, first: int, length: int) -> None:
        """Compare the blocks with these samples with their hashes, once in a process."""
        begin, end = first // BLOCK_SAMPLES, -(-(first + length) // BLOCK_SAMPLES)
        before = self._first_block[shard]
        numbers = slice(before + begin, before + end)
        if 0 not in self._checked[numbers]:
            return
        end_sample = min(end * BLOCK_SAMPLES, int(self.shard_samples[shard]))
        whole = np.empty(end_sample - begin * BLOCK_SAMPLES, "<i2")
        self._read_into(whole, shard, begin * BLOCK_SAMPLES)
        if not np.array_equal(block_digests(whole), self._blocks[numbers]):
            raise PackedStoreError(f"{self.shard_path(shard)}: altered since packed; {REPACK}")
        self._checked[numbers] = b"\1" * (end - begin)

    def read_shard(self, shard: int) -> Int16[np.ndarray, " sample"]:
        """All samples of a shard.

        Raises:
            PackedStoreError: If they are not those that were written.
        """
        samples = np.empty(int(self.shard_samples[shard]), "<i2")
        self._read_into(samples, shard, 0)
        digest = hashlib.sha256(samples.data).hexdigest()
        if digest != self.meta["shards"][shard]["sha256"]:
            raise PackedStoreError(f"{self.shard_path(shard)}: altered since packed; {REPACK}")
        return samples.astype(np.int16, copy=False)

    def _read_into(self, samples: np.ndarray, shard: int, first: int) -> None:
        """Fill dense little-endian samples from a place in a shard."""
        offset = first * SAMPLE_BYTES
        if hasattr(os, "preadv"):
            n_read = _read_at(self._descriptor(shard), samples.view(np.uint8).data, offset)
        else:  # as on Windows
            found = np.fromfile(self.shard_path(shard), "<i2", len(samples), offset=offset)
            n_read, samples[: len(found)] = found.nbytes, found
        if n_read != samples.nbytes:
            raise PackedStoreError(f"{self.shard_path(shard)}: truncated since opened; {REPACK}")

    def _descriptor(self, shard: int) -> int:
        """A shard's file, kept open; the one opened first is closed where there would be many."""
        if shard not in self._files:
            if len(self._files) >= _MOST_OPEN:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[shard] = os.open(self.shard_path(shard), os.O_RDONLY)
        return self._files[shard]

    def __del__(self) -> None:
        for descriptor in getattr(self, "_files", {}).values():
            os.close(descriptor)

    @property
    def checks_blocks(self) -> bool:
        """Whether there are hashes to compare what is read with, as from format 2 on."""
        return self.meta["format_version"] > 1

    def shard_path(self, shard: int) -> Path:
        """Path of a shard."""
        return self.path / shard_name(shard)

    def verify(self) -> None:
        """Compare the hash of every shard with the recorded one.

        Raises:
            PackedStoreError: If any shard has other bytes than were written.
        """
        recorded = [shard["sha256"] for shard in self.meta["shards"]]
        paths = [self.shard_path(shard) for shard in range(len(recorded))]
        changed = [p.name for p, sha in zip(paths, recorded, strict=True) if sha != sha256(p)]
        if changed:
            raise PackedStoreError(f"{self.path}: altered {', '.join(changed)}; {REPACK}")

    def _check_shard_sizes(self) -> None:
        for shard, n_samples in enumerate(self.shard_samples.tolist()):
            path, expected = self.shard_path(shard), n_samples * SAMPLE_BYTES
            if not path.is_file():
                raise PackedStoreError(f"{path}: missing; {REPACK}")
            if (n_bytes := path.stat().st_size) != expected:
                reason = f"{n_bytes} bytes instead of {expected}"
                raise PackedStoreError(f"{path}: truncated or altered, {reason}; {REPACK}")

    def _check_index(self) -> None:
        """Every clip lies within its shard."""
        shard, offset, length = np.asarray(self.index).T
        inside = (shard >= 0) & (shard < len(self.shard_samples)) & (offset >= 0) & (length > 0)
        if inside.all():
            inside = offset + length <= self.shard_samples[shard]
        if not inside.all():
            clip = int(np.argmin(inside))
            raise PackedStoreError(f"{self.path / 'index.npy'}: clip {clip} is outside; {REPACK}")


def block_digests(samples: Int16[np.ndarray, " sample"]) -> UInt64[np.ndarray, " block"]:
    """The first 8 bytes of the SHA-256 of each block of samples; the last may be shorter."""
    starts = range(0, len(samples), BLOCK_SAMPLES)
    blocks = (samples[start : start + BLOCK_SAMPLES].astype("<i2", copy=False) for start in starts)
    digests = (hashlib.sha256(block.data).digest()[:8] for block in blocks)
    return np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)


def shard_name(shard: int) -> str:
    """File name of a shard."""
    return f"shard-{shard:05d}.i16"


def _read_at(descriptor: int, content: memoryview, offset: int) -> int:
    """Bytes read into `content`: all of them, unless the file ends before."""
    n_read = 0
    while n_read < len(content):
        # At most 2 GiB at once on Linux, and less whenever a file system of a network likes.
        now = os.preadv(descriptor, [content[n_read:]], offset + n_read)
        if now == 0:
            break
        n_read += now
    return n_read
