"""Packed store: clips of any length as 16-bit samples in a few large files, read at random.

A store is a folder:
    shard-00000.i16 ...  little-endian int16 mono samples, clip after clip, without headers
    index.npy            int64 [clip, 3]: shard, first sample in the shard, length in samples
    clips.csv            clip, file, source_rate, seconds
    rejected.csv         file, reason: what was found and could not be used
    plan.json            what the store was begun with; another run must agree to go on
    meta.json            format version, rate, resampler, decoder, counts, size and hash per shard
`meta.json` is written last: a folder without it is unfinished. `packing.py` writes a store.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16, Int64

from byola_diff.storage import sha256

FORMAT_VERSION = 1
SAMPLE_BYTES = 2

_KEYS = ("sample_rate", "counts", "shards", "resampler", "decoder")


class PackedStoreError(Exception):
    """A packed store that can't be used as it is, and what to do about it."""


class PackedStore:
    """Read access to a packed store. Copies to other processes open the store anew."""

    def __init__(self, path: Path, meta: dict[str, Any], index: Int64[np.ndarray, "clip 3"]):
        self.path = path
        self.meta = meta
        self.index = index
        self.sample_rate: int = meta["sample_rate"]
        self.shard_samples = np.array([shard["samples"] for shard in meta["shards"]], np.int64)

    @classmethod
    def open(cls, path: Path | str) -> "PackedStore":
        """The store at `path`, with all shards present in their full size.

        Hashes are left to `verify`, as they need every byte read.

        Raises:
            PackedStoreError: If the store is missing, unfinished, damaged or of another format
                version; the message has the path and the remedy.
        """
        path = Path(path)
        meta = _read_meta(path)
        index = _open_index(path / "index.npy", meta["counts"]["clips"])
        store = cls(path, meta, index)
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
        """
        if not 0 <= clip < len(self):
            raise ValueError(f"no clip {clip} in a store of {len(self)}")
        shard, offset, clip_length = (int(value) for value in self.index[clip])
        length = clip_length - start if length is None else length
        if start < 0 or not 0 <= length <= clip_length - start:
            raise ValueError(f"clip {clip} has {clip_length} samples, not {start}:{start + length}")
        # Opened for each read, since thousands of shards are more than a process may keep open.
        first_byte = (offset + start) * SAMPLE_BYTES
        samples = np.fromfile(self.shard_path(shard), "<i2", length, offset=first_byte)
        return samples.astype(np.int16, copy=False)

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
            raise PackedStoreError(f"{self.path}: altered {', '.join(changed)}; {_REPACK}")

    def _check_shard_sizes(self) -> None:
        for shard, n_samples in enumerate(self.shard_samples.tolist()):
            path, expected = self.shard_path(shard), n_samples * SAMPLE_BYTES
            if not path.is_file():
                raise PackedStoreError(f"{path}: missing; {_REPACK}")
            if (n_bytes := path.stat().st_size) != expected:
                reason = f"{n_bytes} bytes instead of {expected}"
                raise PackedStoreError(f"{path}: truncated or altered, {reason}; {_REPACK}")

    def _check_index(self) -> None:
        """Every clip lies within its shard."""
        shard, offset, length = np.asarray(self.index).T
        inside = (shard >= 0) & (shard < len(self.shard_samples)) & (offset >= 0) & (length > 0)
        if inside.all():
            inside = offset + length <= self.shard_samples[shard]
        if not inside.all():
            clip = int(np.argmin(inside))
            raise PackedStoreError(f"{self.path / 'index.npy'}: clip {clip} is outside; {_REPACK}")


def shard_name(shard: int) -> str:
    """File name of a shard."""
    return f"shard-{shard:05d}.i16"


_REPACK = "restore the folder from its copy, or delete it and pack the source again"


def _read_meta(path: Path) -> dict[str, Any]:
    meta_path = path / "meta.json"
    if not meta_path.is_file():
        remedy = "if packing was stopped, run the same command again to finish it"
        raise PackedStoreError(f"{path}: no packed store, meta.json is missing; {remedy}")
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        version = meta["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise PackedStoreError(
            f"{meta_path}: no store description ({error!r}); {_REPACK}"
        ) from None
    if version != FORMAT_VERSION:
        found = f"format version {version}, this program reads {FORMAT_VERSION}"
        raise PackedStoreError(f"{meta_path}: {found}; pack the source again")
    if missing := [key for key in _KEYS if key not in meta]:
        raise PackedStoreError(f"{meta_path}: lacks {', '.join(missing)}; {_REPACK}")
    return meta


def _open_index(path: Path, n_clips: int) -> Int64[np.ndarray, "clip 3"]:
    try:
        index = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PackedStoreError(f"{path}: unreadable index ({error}); {_REPACK}") from None
    if index.shape != (n_clips, 3) or index.dtype != np.int64:
        found = f"{index.dtype} {list(index.shape)} instead of int64 [{n_clips}, 3]"
        raise PackedStoreError(f"{path}: {found}; {_REPACK}")
    return index
