"""Writing a packed store: shards of decoded clips, then the index and lists beside them.

A shard is decoded, averaged over the channels, resampled once and rounded to 16 bits. Shards are
written in any order by any number of processes, each shard alone. The record beside a shard marks
it as finished, so that a stopped run goes on with the others.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int16
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.audio.files import AudioFileError, read_audio, to_pcm16
from byola_diff.audio.resample import resample
from byola_diff.store.packed import SAMPLE_BYTES, UNDECODABLE, shard_name
from byola_diff.store.plan import PackPlan, begin


@dataclass(frozen=True)
class PackedClip:
    """One clip of a shard."""

    file: str
    samples: int
    source_rate: int
    seconds: float
    """Length of the source file."""


@dataclass(frozen=True)
class ShardRecord:
    """What a finished shard holds; its file beside the shard marks the shard as finished."""

    clips: tuple[PackedClip, ...]
    rejected: tuple[tuple[str, str], ...]
    """(file, reason)"""
    samples: int
    sha256: str


def pack_shard(plan: PackPlan, out: Path, shard: int) -> ShardRecord:
    """Write one shard of a store, unless it is there already, and return what it holds.

    Args:
        plan: Its files all go into this shard, as `PackPlan.of_shard` gives it.
        out: Folder of the store.
        shard: Number of the shard.
    """
    path, marker = out / shard_name(shard), record_path(out, shard)
    record = _finished(path, marker)
    if record is not None:
        return record
    rejected: list[tuple[str, str]] = []

    def decoded() -> Iterator[tuple[PackedClip, Int16[np.ndarray, " sample"]]]:
        for file in plan.files:
            try:
                yield _decode(plan, file)
            except AudioFileError as error:
                rejected.append((file, error.reason))

    record = replace(_write_samples(path, decoded()), rejected=tuple(rejected))
    write_text(marker, json.dumps(asdict(record), indent=1))
    return record


def write_index(plan: PackPlan, out: Path, records: Sequence[ShardRecord]) -> None:
    """Write everything beside the shards; `meta.json` last, as it marks the store as finished."""
    index = []
    for shard, record in enumerate(records):
        first = 0
        for clip in record.clips:
            index.append((shard, first, clip.samples))
            first += clip.samples
    with atomic_path(out / "index.npy") as temporary, temporary.open("wb") as stream:
        np.save(stream, np.array(index, np.int64).reshape(-1, 3))
    clips = [clip for record in records for clip in record.clips]
    rows = ((i, clip.file, clip.source_rate, clip.seconds) for i, clip in enumerate(clips))
    _write_csv(out / "clips.csv", ("clip", "file", "source_rate", "seconds"), rows)
    write_rejected(out, [pair for record in records for pair in record.rejected])
    # No time, path or worker count, which would differ by run.
    meta = {
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
    write_text(out / "meta.json", json.dumps(meta, indent=1) + "\n")


def write_rendered_store(
    out: Path, waveforms: Iterable[tuple[str, Float[Tensor, " sample"]]], sample_rate: int
) -> None:
    """Write named waveforms in [-1, 1], such as procedural sounds, as a store of one shard.

    Raises:
        PackedStoreError: If the folder holds something else.
    """

    def encoded() -> Iterator[tuple[PackedClip, Int16[np.ndarray, " sample"]]]:
        for name, waveform in waveforms:
            samples = to_pcm16(waveform.cpu().numpy())
            seconds = round(len(samples) / sample_rate, 6)
            yield PackedClip(name, len(samples), sample_rate, seconds), samples

    begin(PackPlan(out, (), sample_rate, 1), out)
    record = _write_samples(out / shard_name(0), encoded())
    plan = PackPlan(out, tuple(clip.file for clip in record.clips), sample_rate, 1)
    write_index(plan, out, [record])


def write_rejected(out: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the list of files that could not be used, with reasons."""
    _write_csv(out / "rejected.csv", ("file", "reason"), rejected)


def remove_records(out: Path) -> None:
    """Remove the records of a finished store, which the index has made superfluous."""
    if (out / "parts").is_dir():
        shutil.rmtree(out / "parts")


def record_path(out: Path, shard: int) -> Path:
    """Path of the record that marks a shard as finished."""
    return out / "parts" / f"shard-{shard:05d}.json"


def _finished(path: Path, record: Path) -> ShardRecord | None:
    """Record of a shard that a stopped run has finished."""
    if not (path.is_file() and record.is_file()):
        return None
    values = json.loads(record.read_text(encoding="utf-8"))
    if path.stat().st_size != values["samples"] * SAMPLE_BYTES:
        return None
    clips = tuple(PackedClip(**clip) for clip in values["clips"])
    rejected = tuple((file, reason) for file, reason in values["rejected"])
    return ShardRecord(clips, rejected, values["samples"], values["sha256"])


def _write_samples(
    path: Path, clips: Iterable[tuple[PackedClip, Int16[np.ndarray, " sample"]]]
) -> ShardRecord:
    """Write clip after clip as one shard; what was written, and its hash."""
    written, digest = [], hashlib.sha256()
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        for clip, samples in clips:
            raw = samples.astype("<i2").tobytes()
            stream.write(raw)
            digest.update(raw)
            written.append(clip)
    n_samples = sum(clip.samples for clip in written)
    return ShardRecord(tuple(written), (), n_samples, digest.hexdigest())


def _decode(plan: PackPlan, file: str) -> tuple[PackedClip, Int16[np.ndarray, " sample"]]:
    path = plan.source / file
    waveform, source_rate = read_audio(path)
    try:
        samples = to_pcm16(resample(waveform, source_rate, plan.sample_rate))
    except ModuleNotFoundError as error:
        raise AudioFileError(path, f"{source_rate} Hz needs {error.name}") from error
    if len(samples) == 0:
        raise AudioFileError(path, f"empty at {plan.sample_rate} Hz")
    seconds = round(len(waveform) / source_rate, 6)
    return PackedClip(file, len(samples), source_rate, seconds), samples


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=UNDECODABLE) as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
