"""Decode a folder of audio once into a packed store that training reads at random.

    python datasets/prepare_clips.py recordings packed/recordings --sample-rate 16000 --workers 8

Every audio file below the folder becomes one clip: mean of the channels, resampled, 16 bits. Files
that can't be used are listed with the reason in rejected.csv. A stopped run goes on when the same
command is given again, and the bytes do not depend on stops or on the number of workers.
"""

import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from byola_diff.atomic import only_writer
from byola_diff.clips.source import RejectionLog, TooManyRejectedError
from byola_diff.command_line import exit_status, read_options
from byola_diff.option_fields import POSITIONAL, Count
from byola_diff.progress import progress
from byola_diff.store.description import PackedStoreError
from byola_diff.store.packed import PackedStore
from byola_diff.store.packing import (
    PackPlan,
    ShardRecord,
    begin,
    pack_shard,
    plan_store,
    write_index,
    write_rejected,
)
from byola_diff.workers import outcomes


@dataclass(frozen=True, kw_only=True)
class PrepareClipsOptions:
    """What is decoded, and how the store is written."""

    source: Annotated[Path, POSITIONAL]
    """Folder of audio files, searched in depth."""
    out: Annotated[Path, POSITIONAL]
    """Folder of the packed store."""
    sample_rate: Annotated[Count, "HZ"]
    """Such as 16000."""
    workers: Count = 1
    """Processes."""
    cluster: Annotated[str, "ADDRESS"] | None = None
    """Work on a Ray cluster instead: auto, or its address; the machines share the folders."""
    shard_mib: Count = 256
    """Approximate size of a shard."""
    max_rejected: Annotated[float, "SHARE"] = 0.05
    """Share of unusable files at which to stop."""


def main(arguments: Sequence[str] | None = None, prog: str = "prepare_clips.py") -> int:
    """Exit status: 0 for a finished store, 1 for too many rejected files, 2 for wrong arguments."""
    args = read_options(PrepareClipsOptions, arguments, prog=prog, description=__doc__)
    errors = (PackedStoreError, ValueError, OSError, ModuleNotFoundError)
    return exit_status(prog, partial(prepare, args), errors)


def prepare(args: PrepareClipsOptions) -> int:
    """Write the store and say what is in it; 1 if too many files are rejected."""
    plan = plan_store(args.source, args.sample_rate, args.shard_mib)
    try:
        with only_writer(args.out):
            write_store(plan, args)
    except TooManyRejectedError as error:
        print(f"{error}\nthose met so far: {args.out / 'rejected.csv'}", file=sys.stderr)
        print("repair or remove these files, or raise --max-rejected", file=sys.stderr)
        return 1
    counts = PackedStore.open(args.out).meta["counts"]
    print(
        f"{args.out}: {counts['found']} found = {counts['clips']} clips + {counts['rejected']} "
        f"rejected (rejected.csv); {counts['samples'] / args.sample_rate / 3600:.2f} hours"
    )
    if clipped := counts.get("clipped"):
        print(f"{clipped} clips go beyond full scale (column peak of clips.csv) and are clipped")
    if counts["upsampled"]:
        print(f"{counts['upsampled']} clips were recorded at less than {args.sample_rate} Hz")
    return 0


def write_store(plan: PackPlan, args: PrepareClipsOptions) -> None:
    """Write what is not there yet.

    Raises:
        TooManyRejectedError: If too many files are rejected.
    """
    begin(plan, args.out)
    if not (args.out / "meta.json").exists():
        records = pack(plan, args)
        write_index(plan, args.out, records)
    shutil.rmtree(args.out / "parts", ignore_errors=True)  # superfluous with an index


def pack(plan: PackPlan, args: PrepareClipsOptions) -> list[ShardRecord]:
    """Records of all shards, in order.

    Raises:
        TooManyRejectedError: As soon as more than the allowed share is rejected.
    """
    log = RejectionLog(len(plan.files), args.max_rejected)
    records: dict[int, ShardRecord] = {}
    shards = [(plan.of_shard(shard), args.out, shard) for shard in range(plan.n_shards)]
    packed = outcomes(shards, _pack_shard, min(args.workers, len(shards)), cluster=args.cluster)
    with progress(total=len(plan.files), unit="files") as bar, closing(packed):
        for shard, record_of in packed:
            record = records[shard] = record_of()
            bar.update(len(record["clips"]) + len(record["rejected"]))
            try:
                log.add(record["rejected"])
            except TooManyRejectedError:
                write_rejected(args.out, sorted(log.reasons.items()))
                raise
    return [records[shard] for shard in range(plan.n_shards)]


def _pack_shard(shard: tuple[PackPlan, Path, int]) -> ShardRecord:
    return pack_shard(*shard)
