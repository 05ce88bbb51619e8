"""The source of training clips that a configuration asks for, opened."""

import sys
from pathlib import Path

import torch

from byola_diff.clips.endless import MixedSource, ProceduralSource
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.loaders import count_lanes
from byola_diff.clips.shards import ShardSource
from byola_diff.clips.source import ClipSource
from byola_diff.clips.stored import WHOLE, PackedSource, Part, ResidentSource
from byola_diff.clips.tar_files import find_shards
from byola_diff.config import DataConfig, PretrainConfig, SourceKind
from byola_diff.store.packed import PackedStore


def open_source(
    config: PretrainConfig,
    device: torch.device | str,
    n_lanes: int | None = None,
    part: Part = WHOLE,
) -> ClipSource:
    """Training clips, made on `device` if the source can; "meta" stands for none, only the host.

    Tar shards are divided among `n_lanes`, if that is given, else among as many as `count_lanes`
    says. Of a resident store the `part` is loaded.

    Raises:
        FileNotFoundError: If `data.root` does not exist, or has no tar shards.
        ModuleNotFoundError: If it needs a package that is not installed.
        OSError: If a tar shard can't be read, or is damaged.
        PackedStoreError: If it should be a packed store and is no whole one.
        StoreTooLargeError: If a store to be resident does not fit into the memory of the device.
        ValueError: If it is a folder or a tar shard without audio, a store at another sample rate,
            or fewer shards than parts that they are divided into.
    """
    data = config.data
    if not data.sources:
        return _open_one(config, data.source, data.root, device, n_lanes, part)
    if any(_needs_host(data, part.source) for part in data.sources):
        device = "meta"  # all clips are made where some have to be
    # Of a stream of several sources each loader process takes any part: of shards it reads all.
    sources = [_open_one(config, part.source, part.root, device, 1) for part in data.sources]
    return MixedSource(sources, [part.share for part in data.sources], config.seed)


def count_files(config: PretrainConfig) -> int:
    """Files that are decoded as training goes on, of which some may turn out unreadable."""
    parts = [part for part in _parts(config.data) if part[0] in ("folder", "shards")]
    return sum(_open_one(config, kind, root, "meta", 1).n_files for kind, root in parts)


def identify_clips(config: PretrainConfig) -> list[str]:
    """What the clips of each source are, in words with a hash, the same wherever they lie."""
    n_lanes = 1 if config.data.sources else None
    parts = _parts(config.data)
    return [_open_one(config, kind, root, "meta", n_lanes).identity() for kind, root in parts]


def _parts(data: DataConfig) -> list[tuple[SourceKind, str | Path | None]]:
    return [(part.source, part.root) for part in data.sources] or [(data.source, data.root)]


def _needs_host(data: DataConfig, kind: SourceKind) -> bool:
    if kind == "procedural":
        return data.num_workers != 0
    return kind in ("folder", "packed", "shards")


def _open_one(
    config: PretrainConfig,
    kind: SourceKind,
    root: str | Path | None,
    device: torch.device | str,
    n_lanes: int | None,
    part: Part = WHOLE,
) -> ClipSource:
    if root is None:  # which procedural sounds alone may have
        return _make_procedural(config)
    if kind == "shards":
        return _open_shards(config, root, n_lanes)
    if not Path(root).exists():
        raise FileNotFoundError(f"data.root {root} does not exist")
    if kind == "folder":
        return FolderSource(
            root,
            sample_rate=config.front_end.sample_rate,
            crop_samples=config.unit_samples,
            seed=config.seed,
            max_rejected=config.data.max_rejected,
        )
    return _open_store(config, kind, Path(root), device, part)


def _make_procedural(config: PretrainConfig) -> ProceduralSource:
    return ProceduralSource(
        config.seed,
        config.unit_samples,
        config.front_end.sample_rate,
        on_device=config.data.num_workers == 0,
        moved=config.data.procedural_moved,
    )


def _open_shards(config: PretrainConfig, root: str | Path, n_lanes: int | None) -> ShardSource:
    data = config.data
    return ShardSource(
        find_shards(root),
        sample_rate=config.front_end.sample_rate,
        crop_samples=config.unit_samples,
        seed=config.seed,
        batch_size=data.batch_size,
        n_lanes=n_lanes or count_lanes(config),
        max_rejected=data.max_rejected,
    )


def _open_store(
    config: PretrainConfig, kind: SourceKind, root: Path, device: torch.device | str, part: Part
) -> PackedSource | ResidentSource:
    store, rate = PackedStore.open(root), config.front_end.sample_rate
    if store.sample_rate != rate:
        raise ValueError(
            f"the store {root} is at {store.sample_rate} Hz, front_end.sample_rate is {rate}: "
            f"prepare it again with --sample-rate {rate}"
        )
    if not len(store):
        raise ValueError(f"the store {root} has no clips: all files were rejected")
    on_disk = kind == "packed" or torch.device(device).type == "meta"
    if on_disk and not store.checks_blocks:
        note = "packed by a former version, its samples are not checked as they are read"
        print(f"{root}: {note}; pack it again", file=sys.stderr)
    size = {"crop_samples": config.unit_samples, "seed": config.seed}
    if on_disk:
        return PackedSource(store, **size)
    return ResidentSource(store, **size, device=device, part=part)
