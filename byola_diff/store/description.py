"""What describes a packed store beside its samples: `meta.json` and arrays, read and checked."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from byola_diff.storage import BrokenFileError, check_seal, load_fault, sha256

FORMAT_VERSION = 2
REPACK = "restore the folder from its copy, or delete it and pack the source again"

_KEYS = ("sample_rate", "counts", "shards", "resampler", "decoder")


class PackedStoreError(Exception):
    """A packed store that can't be used as it is, and what to do about it."""


def read_meta(path: Path) -> dict[str, Any]:
    """The description of the store in a folder.

    Raises:
        PackedStoreError: If there is none, or it is damaged or of another format version.
    """
    meta_path = path / "meta.json"
    if not meta_path.is_file():
        remedy = "if packing was stopped, run the same command again to finish it"
        raise PackedStoreError(f"{path}: no packed store, meta.json is missing; {remedy}")
    content = meta_path.read_bytes()
    try:
        meta = json.loads(content)
        version = meta["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise PackedStoreError(f"{meta_path}: no store description ({error!r}); {REPACK}") from None
    if version not in (1, FORMAT_VERSION):
        found = f"format version {version}, this program reads 1 and {FORMAT_VERSION}"
        raise PackedStoreError(f"{meta_path}: {found}; pack the source again")
    try:
        check_seal(meta_path, content, required=version > 1)
    except BrokenFileError as error:
        raise PackedStoreError(f"{error}; {REPACK}") from None
    if missing := [key for key in _KEYS if key not in meta]:
        raise PackedStoreError(f"{meta_path}: lacks {', '.join(missing)}; {REPACK}")
    return meta


def open_array(path: Path, meta: dict[str, Any], shape: tuple[int, ...], kind: type) -> np.ndarray:
    """An array of a store, compared with its hash if the store has one, as from format 2 on.

    Raises:
        PackedStoreError: If it can't be read, or is not the one that was written.
    """
    try:
        if meta["format_version"] > 1 and sha256(path) != meta[f"{path.stem}_sha256"]:
            raise PackedStoreError(f"{path}: altered since packed; {REPACK}")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PackedStoreError(f"{path}: unreadable ({load_fault(error)}); {REPACK}") from None
    if array.shape != shape or array.dtype != kind:
        found = f"{array.dtype} {list(array.shape)} instead of {np.dtype(kind)} {list(shape)}"
        raise PackedStoreError(f"{path}: {found}; {REPACK}")
    return array
