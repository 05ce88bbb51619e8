"""The last step of packing: index, lists and description of a store from its shard records."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.store.packed import UNDECODABLE, shard_name
from byola_diff.store.plan import PackPlan, begin
from byola_diff.store.shard import ShardRecord, record_path, write_waveforms


def write_index(plan: PackPlan, out: Path, records: Sequence[ShardRecord]) -> None:
    """Write everything beside the shards; `meta.json` last, as it marks the store as finished."""
    index = np.array(list(_index_rows(records)), np.int64).reshape(-1, 3)
    with atomic_path(out / "index.npy") as temporary, temporary.open("wb") as stream:
        np.save(stream, index)
    clips = [clip for record in records for clip in record.clips]
    rows = ((i, clip.file, clip.source_rate, clip.seconds) for i, clip in enumerate(clips))
    _write_csv(out / "clips.csv", ("clip", "file", "source_rate", "seconds"), rows)
    write_rejected(out, [pair for record in records for pair in record.rejected])
    meta = json.dumps(_meta(plan, out, records), indent=1)
    write_text(out / "meta.json", meta + "\n")


def write_rendered_store(
    out: Path, waveforms: Iterable[tuple[str, Float[Tensor, " sample"]]], sample_rate: int
) -> None:
    """Write named waveforms in [-1, 1], such as procedural sounds, as a store of one shard.

    Raises:
        PackedStoreError: If the folder holds something else.
    """
    begin(PackPlan(out, (), sample_rate, 1), out)
    record = write_waveforms(out / shard_name(0), waveforms, sample_rate)
    plan = PackPlan(out, tuple(clip.file for clip in record.clips), sample_rate, 1)
    write_index(plan, out, [record])


def write_rejected(out: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the list of files that could not be used, with reasons."""
    _write_csv(out / "rejected.csv", ("file", "reason"), rejected)


def remove_records(plan: PackPlan, out: Path) -> None:
    """Remove the records of a finished store, which the index has made superfluous."""
    for shard in range(plan.n_shards):
        record_path(out, shard).unlink(missing_ok=True)
    if (out / "parts").is_dir():
        (out / "parts").rmdir()


def _index_rows(records: Sequence[ShardRecord]) -> Iterable[tuple[int, int, int]]:
    for shard, record in enumerate(records):
        offset = 0
        for clip in record.clips:
            yield shard, offset, clip.samples
            offset += clip.samples


def _meta(plan: PackPlan, out: Path, records: Sequence[ShardRecord]) -> dict[str, Any]:
    """Description of the store; has no time, path or worker count, which would differ by run."""
    clips = [clip for record in records for clip in record.clips]
    return {
        **json.loads((out / "plan.json").read_text(encoding="utf-8")),
        "counts": {
            "found": len(plan.files),
            "clips": len(clips),
            "rejected": sum(len(record.rejected) for record in records),
            "upsampled": sum(clip.source_rate < plan.sample_rate for clip in clips),
            "samples": sum(record.samples for record in records),
        },
        "shards": [{"samples": record.samples, "sha256": record.sha256} for record in records],
    }


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=UNDECODABLE) as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
