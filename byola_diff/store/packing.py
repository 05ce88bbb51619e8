"""Writing a packed store: its plan, its shards of decoded clips, then the index and lists.

Which files make up which shard follows from the sorted list of files alone, so the bytes of a store
depend neither on the number of processes nor on stops in between. Shards are written in any order
by any number of processes, each shard alone. The record beside a shard marks it as finished, so
that a stopped run goes on with the others.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypedDict

import numpy as np

from byola_diff.atomic import UNDECODABLE, atomic_path, remove_left_over, write_text
from byola_diff.audio.files import AudioFileError, decoder_name, open_audio, to_pcm16
from byola_diff.audio.find import find_audio
from byola_diff.audio.resample import resample_blocks, resampler_name
from byola_diff.storage import BrokenFileError, check_seal, read_json, sealed_json, sha256
from byola_diff.store.description import FORMAT_VERSION, PackedStoreError
from byola_diff.store.packed import BLOCK_SAMPLES, SAMPLE_BYTES, block_digests, shard_name

_BLOCKS_AT_ONCE = 256  # 16 MiB
_N_PROBED = 200  # files whose length is looked up to estimate how many fill a shard


class PackedClip(TypedDict):
    """One clip of a shard; the seconds are those of the source file."""

    file: str
    samples: int
    source_rate: int
    seconds: float
    peak: NotRequired[float]
    """Largest absolute sample before it is limited to 1; not in shards of earlier versions."""


class ShardRecord(TypedDict):
    """What a finished shard holds; its file beside the shard marks the shard as finished."""

    clips: list[PackedClip]
    rejected: list[tuple[str, str]]
    """(file, reason)"""
    samples: int
    sha256: str
    blocks: list[int]
    """Hashes of its blocks."""


@dataclass(frozen=True)
class PackPlan:
    """Files and settings of a store, decided before any file is decoded."""

    source: Path
    files: tuple[str, ...]
    """Relative to `source`, sorted."""
    sample_rate: int
    files_per_shard: int
    programs: tuple[str, str] = field(default_factory=lambda: (decoder_name(), resampler_name()))
    """What decodes and what resamples, wherever shards are packed."""

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-len(self.files) // self.files_per_shard)

    def of_shard(self, shard: int) -> "PackPlan":
        """The plan with the files of one shard only: what a process needs to write it."""
        start = shard * self.files_per_shard
        return replace(self, files=self.files[start : start + self.files_per_shard])

    def fingerprint(self) -> dict[str, Any]:
        """What must stay the same for a stopped run to go on: settings, programs, sources."""
        listing = hashlib.sha256()
        for file in self.files:
            path = self.source / file
            # A link to nowhere, or to itself, is found, but will be rejected.
            entry = f"{file}\0{path.stat().st_size if _exists(path) else -1}\n"
            listing.update(entry.encode(errors=UNDECODABLE))
        return {
            "format_version": FORMAT_VERSION,
            "sample_rate": self.sample_rate,
            "resampler": self.programs[1],
            "decoder": self.programs[0],
            "files_per_shard": self.files_per_shard,
            "found": len(self.files),
            "sources_sha256": listing.hexdigest(),
        }


def plan_store(source: Path, sample_rate: int, shard_mib: int = 256) -> PackPlan:
    """Plan for all audio files below `source`, in shards of about `shard_mib` MiB.

    Raises:
        ValueError: If there are none.
    """
    files = tuple(path.relative_to(source).as_posix() for path in find_audio(source))
    if not files:
        raise ValueError(f"no audio files below {source}")
    clip_bytes = _mean_duration_s(source, files) * sample_rate * SAMPLE_BYTES
    files_per_shard = max(1, int(shard_mib * 2**20 / max(clip_bytes, 1)))
    return PackPlan(source, files, sample_rate, min(files_per_shard, len(files)))


def begin(plan: PackPlan, out: Path) -> None:
    """Make the folder for a new store, or check that the stopped one there is this one.

    Raises:
        PackedStoreError: If the folder holds a store of other sources, settings or programs.
    """
    plan_path = out / "plan.json"
    fingerprint = plan.fingerprint()
    if not plan_path.exists():
        if any(not path.name.startswith(".") for path in out.glob("*")):
            raise PackedStoreError(f"{out}: neither empty nor a packed store; choose another")
        write_text(plan_path, json.dumps(fingerprint, indent=1) + "\n")
        return
    try:
        before = read_json(plan_path)
    except BrokenFileError as error:
        raise PackedStoreError(f"{error}: delete the folder and pack again") from None
    changed = sorted(key for key in fingerprint if before.get(key) != fingerprint[key])
    if changed:
        what = ", ".join(f"{key} ({before.get(key)} -> {fingerprint[key]})" for key in changed)
        remedy = "delete the folder or choose another to pack the present state"
        raise PackedStoreError(f"{out}: begun with other {what}; {remedy}")
    remove_left_over(out)


def pack_shard(plan: PackPlan, out: Path, shard: int) -> ShardRecord:
    """Write one shard of a store, unless it is there already, and return what it holds.

    All files of the plan go into this shard: it is what `PackPlan.of_shard` gives.

    Raises:
        PackedStoreError: If this machine decodes or resamples by other programs than the plan's.
    """
    if (here := (decoder_name(), resampler_name())) != plan.programs:
        raise PackedStoreError(
            f"the store is packed by {' and '.join(plan.programs)}, this machine has "
            f"{' and '.join(here)}: install the same versions"
        )
    path, marker = out / shard_name(shard), record_path(out, shard)
    if path.is_file() and marker.is_file():
        record = _whole_record(marker)
        if record and sha256(path) == record["sha256"]:
            return record  # else either file is damaged, and both are written anew
    record = ShardRecord(clips=[], rejected=[], samples=0, sha256="", blocks=[])
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        for file in plan.files:
            start = stream.tell()
            try:
                clip = _append(plan, file, stream)
            except AudioFileError as error:
                record["rejected"].append((file, error.reason))
                stream.seek(start)
                stream.truncate()
                continue
            record["clips"].append(clip)
            record["samples"] += clip["samples"]
        stream.flush()
        record["blocks"] = _block_digests(temporary)
        record["sha256"] = sha256(temporary)
    write_text(marker, sealed_json(record, indent=1))
    return record


def _whole_record(marker: Path) -> ShardRecord | None:
    """The record in a file; None if it is altered, or of a former format."""
    content = marker.read_bytes()
    try:
        check_seal(marker, content, required=True)
    except BrokenFileError:
        return None
    return json.loads(content)


def write_index(plan: PackPlan, out: Path, records: Sequence[ShardRecord]) -> None:
    """Write everything beside the shards; `meta.json` last, as it marks the store as finished."""
    index = []
    for shard, record in enumerate(records):
        first = 0
        for clip in record["clips"]:
            index.append((shard, first, clip["samples"]))
            first += clip["samples"]
    blocks = [block for record in records for block in record["blocks"]]
    arrays = {
        "index": np.array(index, np.int64).reshape(-1, 3),
        "blocks": np.array(blocks, np.uint64),
    }
    for name, array in arrays.items():
        with atomic_path(out / f"{name}.npy") as temporary, temporary.open("wb") as stream:
            np.save(stream, array)
    clips = [clip for record in records for clip in record["clips"]]
    columns = ("file", "source_rate", "seconds", "peak")
    rows = ((number, *(clip.get(key, "") for key in columns)) for number, clip in enumerate(clips))
    _write_csv(out / "clips.csv", ("clip", *columns), rows)
    rejected = [pair for record in records for pair in record["rejected"]]
    write_rejected(out, rejected)
    # No time, path or worker count, which would differ by run.
    meta = {
        **read_json(out / "plan.json"),
        "counts": {
            "found": len(plan.files),
            "clips": len(clips),
            "rejected": len(rejected),
            "upsampled": sum(clip["source_rate"] < plan.sample_rate for clip in clips),
            "clipped": sum(clip.get("peak", 0) > 1 for clip in clips),
            "samples": sum(record["samples"] for record in records),
        },
        "shards": [{"samples": each["samples"], "sha256": each["sha256"]} for each in records],
        **{f"{name}_sha256": sha256(out / f"{name}.npy") for name in arrays},
    }
    write_text(out / "meta.json", sealed_json(meta, indent=1))


def write_rejected(out: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the list of files that could not be used, with reasons."""
    _write_csv(out / "rejected.csv", ("file", "reason"), rejected)


def record_path(out: Path, shard: int) -> Path:
    """Path of the record that marks a shard as finished; superfluous once there is an index."""
    return out / "parts" / f"shard-{shard:05d}.json"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _mean_duration_s(source: Path, files: tuple[str, ...]) -> float:
    """Mean length of some readable files, evenly spread over the list; 0 if there are none."""
    durations_s = []
    for file in files[:: -(-len(files) // _N_PROBED)]:
        try:
            with open_audio(source / file) as reader:
                durations_s.append(reader.n_samples / reader.sample_rate)
        except AudioFileError:
            continue
    return sum(durations_s) / max(1, len(durations_s))


def _append(plan: PackPlan, file: str, stream: BinaryIO) -> PackedClip:
    """Write the samples of a file, some at a time: it may be a recording of hours."""
    path = plan.source / file
    n_samples, peak = 0, 0.0
    with open_audio(path) as reader:
        source_rate = reader.sample_rate
        try:
            for block in resample_blocks(reader.blocks(), source_rate, plan.sample_rate):
                if len(block):
                    stream.write(to_pcm16(block).astype("<i2", copy=False).data)
                    n_samples += len(block)
                    peak = max(peak, float(np.abs(block).max()))
        except ModuleNotFoundError as error:
            raise AudioFileError(path, f"{source_rate} Hz needs {error.name}") from error
        seconds = round(reader.n_read / source_rate, 6)
    if n_samples == 0:
        raise AudioFileError(path, f"empty at {plan.sample_rate} Hz")
    return PackedClip(
        file=file,
        samples=n_samples,
        source_rate=source_rate,
        seconds=seconds,
        peak=round(peak, 4),
    )


def _block_digests(shard: Path) -> list[int]:
    """Hashes of the blocks of a shard, as it lies on the disk; some are read at a time."""
    digests: list[int] = []
    with shard.open("rb") as stream:
        while len(samples := np.fromfile(stream, "<i2", _BLOCKS_AT_ONCE * BLOCK_SAMPLES)):
            digests += block_digests(samples).tolist()
    return digests


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=UNDECODABLE) as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
