"""What goes into a packed store, decided before any file is decoded.

Which files make up which shard follows from the sorted list of files alone, so the bytes of a store
depend neither on the number of processes nor on stops in between.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.audio.files import AudioFileError, decoder_name, find_audio, open_audio
from byola_diff.audio.resample import resampler_name
from byola_diff.store.packed import FORMAT_VERSION, SAMPLE_BYTES, UNDECODABLE, PackedStoreError

_N_PROBED = 200  # files whose length is looked up to estimate how many fill a shard


@dataclass(frozen=True)
class PackPlan:
    """Files and settings of a store."""

    source: Path
    files: tuple[str, ...]
    """Relative to `source`, sorted."""
    sample_rate: int
    files_per_shard: int

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
            # A link to nowhere is found, but will be rejected.
            entry = f"{file}\0{path.stat().st_size if path.exists() else -1}\n"
            listing.update(entry.encode(errors=UNDECODABLE))
        return {
            "format_version": FORMAT_VERSION,
            "sample_rate": self.sample_rate,
            "resampler": resampler_name(),
            "decoder": decoder_name(),
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
        if out.exists() and any(out.iterdir()):
            raise PackedStoreError(f"{out}: neither empty nor a packed store; choose another")
        write_text(plan_path, json.dumps(fingerprint, indent=1) + "\n")
        return
    before = json.loads(plan_path.read_text(encoding="utf-8"))
    changed = sorted(key for key in fingerprint if before.get(key) != fingerprint[key])
    if changed:
        what = ", ".join(f"{key} ({before.get(key)} -> {fingerprint[key]})" for key in changed)
        remedy = "delete the folder or choose another to pack the present state"
        raise PackedStoreError(f"{out}: begun with other {what}; {remedy}")
    for leftover in [*out.glob(".*.tmp"), *out.glob("parts/.*.tmp")]:
        leftover.unlink(missing_ok=True)


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
