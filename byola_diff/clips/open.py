"""The source of training clips that a configuration asks for, opened."""

import sys
from pathlib import Path

import torch

from byola_diff.clips.endless import MixedSource, ProceduralSource
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.shards import ShardSource, find_shards
from byola_diff.clips.source import ClipSource
from byola_diff.clips.stored import PackedSource, ResidentSource
from byola_diff.config import DataConfig, PretrainConfig, SourceKind
from byola_diff.devices import count_devices
from byola_diff.store.packed import PackedStore


def open_source(config: PretrainConfig, device: torch.device | str) -> ClipSource:
    """Training clips, made on `device` if the source can; "meta" stands for none, only the host.

    Raises:
        FileNotFoundError: If `data.root` does not exist.
        PackedStoreError: If it should be a packed store and is no whole one.
        StoreTooLargeError: If a store to be resident does not fit into the memory of the device.
        ValueError: If it is a folder without audio, or a store at another sample rate.
    """
    data = config.data
    if not data.sources:
        return _open_one(config, data.source, data.root, device)
    if any(_needs_host(data, part.source) for part in data.sources):
        device = "meta"  # all clips are made where some have to be
    sources = [_open_one(config, part.source, part.root, device) for part in data.sources]
    return MixedSource(sources, [part.share for part in data.sources], config.seed)


def count_files(config: PretrainConfig) -> int:
    """Files that are decoded as training goes on, of which some may turn out unreadable."""
    folders = [root for kind, root in _parts(config.data) if kind == "folder"]
    return sum(_open_one(config, "folder", root, "meta").n_clips for root in folders)


def identify_clips(config: PretrainConfig) -> list[str]:
    """What the clips of each source are, in words with a hash, the same wherever they lie."""
    parts = _parts(config.data)
    return [_open_one(config, kind, root, "meta").identity() for kind, root in parts]


def _parts(data: DataConfig) -> list[tuple[SourceKind, Path | None]]:
    return [(part.source, part.root) for part in data.sources] or [(data.source, data.root)]


def _needs_host(data: DataConfig, kind: SourceKind) -> bool:
    return kind in ("folder", "packed", "shards") or (kind == "procedural" and data.num_workers > 0)


def _open_one(
    config: PretrainConfig, kind: SourceKind, root: Path | None, device: torch.device | str
) -> ClipSource:
    rate, n_samples = config.front_end.sample_rate, config.unit_samples
    if kind == "procedural":
        on_device = config.data.num_workers == 0
        moved = config.data.procedural_moved
        return ProceduralSource(config.seed, n_samples, rate, on_device=on_device, moved=moved)
    if kind == "shards":
        assert root is not None
        training, data = config.training, config.data
        return ShardSource(
            find_shards(root),
            sample_rate=rate,
            crop_samples=n_samples,
            seed=config.seed,
            batch_size=data.batch_size,
            n_lanes=max(data.num_workers, 1) * count_devices(config) * training.nodes,
            max_rejected=data.max_rejected,
        )
    if root is None or not root.exists():
        raise FileNotFoundError(f"data.root {root} does not exist")
    if kind == "folder":
        return FolderSource(
            root,
            sample_rate=rate,
            crop_samples=n_samples,
            seed=config.seed,
            max_rejected=config.data.max_rejected,
        )
    store = PackedStore.open(root)
    if store.sample_rate != rate:
        raise ValueError(
            f"the store {root} is at {store.sample_rate} Hz, front_end.sample_rate is {rate}: "
            f"prepare it again with --sample-rate {rate}"
        )
    on_disk = kind == "packed" or torch.device(device).type == "meta"
    if on_disk and not store.checks_blocks:
        note = "packed by a former version, its samples are not checked as they are read"
        print(f"{root}: {note}; pack it again", file=sys.stderr)
    if on_disk:
        return PackedSource(store, crop_samples=n_samples, seed=config.seed)
    return ResidentSource(store, crop_samples=n_samples, seed=config.seed, device=device)
