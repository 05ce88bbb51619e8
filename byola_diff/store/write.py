"""Writing a packed store: shards of decoded clips, then the index and lists beside them.

A shard is decoded, averaged over the channels, resampled once and rounded to 16 bits. Shards are
written in any order by any number of processes, each shard alone. The record beside a shard marks
it as finished, so that a stopped run goes on with the others.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int16
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.audio.files import AudioFileError, read_audio, to_pcm16
from byola_diff.audio.resample import resample
from byola_diff.store.packed import SAMPLE_BYTES, UNDECODABLE, shard_name
from byola_diff.store.plan import PackPlan, ShardJob, begin


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


def pack_shard(job: ShardJob) -> ShardRecord:
    """Write one shard, unless it is there already, and return what it holds."""
    path = job.out / shard_name(job.shard)
    record = _finished(path, record_path(job.out, job.shard))
    if record is not None:
        return record
    rejected: list[tuple[str, str]] = []

    def decoded() -> Iterator[tuple[PackedClip, Int16[np.ndarray, " sample"]]]:
        for file in job.files:
            try:
                yield _decode(job, file)
            except AudioFileError as error:
                rejected.append((file, error.reason))

    clips, sha256 = _write_samples(path, decoded())
    n_samples = sum(clip.samples for clip in clips)
    record = ShardRecord(tuple(clips), tuple(rejected), n_samples, sha256)
    write_text(record_path(job.out, job.shard), json.dumps(asdict(record), indent=1))
    return record


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
    record = _write_waveforms(out / shard_name(0), waveforms, sample_rate)
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


def record_path(out: Path, shard: int) -> Path:
    """Path of the record that marks a shard as finished."""
    return out / "parts" / f"shard-{shard:05d}.json"


def _write_waveforms(
    path: Path, waveforms: Iterable[tuple[str, Float[Tensor, " sample"]]], sample_rate: int
) -> ShardRecord:
    """Write named waveforms in [-1, 1] as one shard: sounds that are made and come from no file."""

    def encoded() -> Iterator[tuple[PackedClip, Int16[np.ndarray, " sample"]]]:
        for name, waveform in waveforms:
            samples = to_pcm16(waveform.cpu().numpy())
            seconds = round(len(samples) / sample_rate, 6)
            yield PackedClip(name, len(samples), sample_rate, seconds), samples

    clips, sha256 = _write_samples(path, encoded())
    return ShardRecord(tuple(clips), (), sum(clip.samples for clip in clips), sha256)


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
) -> tuple[list[PackedClip], str]:
    """Write clip after clip; what was written, and its hash."""
    written, digest = [], hashlib.sha256()
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        for clip, samples in clips:
            raw = samples.astype("<i2").tobytes()
            stream.write(raw)
            digest.update(raw)
            written.append(clip)
    return written, digest.hexdigest()


def _decode(job: ShardJob, file: str) -> tuple[PackedClip, Int16[np.ndarray, " sample"]]:
    path = job.source / file
    waveform, source_rate = read_audio(path)
    try:
        samples = to_pcm16(resample(waveform, source_rate, job.sample_rate))
    except ModuleNotFoundError as error:
        raise AudioFileError(path, f"{source_rate} Hz needs {error.name}") from error
    if len(samples) == 0:
        raise AudioFileError(path, f"empty at {job.sample_rate} Hz")
    seconds = round(len(waveform) / source_rate, 6)
    return PackedClip(file, len(samples), source_rate, seconds), samples


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
