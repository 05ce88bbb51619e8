"""Decode a folder of audio once into a packed store that training reads at random.

    python datasets/prepare_clips.py recordings packed/recordings --sample-rate 16000 --workers 8

Every audio file below the folder becomes one clip: mean of the channels, resampled, 16 bits. Files
that can't be used are listed with the reason in rejected.csv. A stopped run goes on when the same
command is given again, and the bytes do not depend on stops or on the number of workers.
"""

import multiprocessing
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from byola_diff.clips.source import RejectionLog, TooManyRejectedError
from byola_diff.command_line import read_options
from byola_diff.option_fields import POSITIONAL, Count
from byola_diff.store.packed import PackedStore, PackedStoreError
from byola_diff.store.packing import (
    PackPlan,
    ShardRecord,
    begin,
    pack_shard,
    plan_store,
    write_index,
    write_rejected,
)


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
    shard_mib: Count = 256
    """Approximate size of a shard."""
    max_rejected: Annotated[float, "SHARE"] = 0.05
    """Share of unusable files at which to stop."""


def main(arguments: Sequence[str] | None = None, prog: str = "prepare_clips") -> int:
    """Exit status: 0 for a finished store, 1 for too many rejected files, 2 for wrong arguments."""
    args = read_options(PrepareClipsOptions, arguments, prog=prog, description=__doc__)
    try:
        plan = plan_store(args.source, args.sample_rate, args.shard_mib)
        begin(plan, args.out)
        if not (args.out / "meta.json").exists():
            records = pack(plan, args.out, args.workers, args.max_rejected)
            write_index(plan, args.out, records)
        shutil.rmtree(args.out / "parts", ignore_errors=True)  # superfluous with an index
        counts = PackedStore.open(args.out).meta["counts"]
    except TooManyRejectedError as error:
        print(f"{error}\nthose met so far: {args.out / 'rejected.csv'}", file=sys.stderr)
        print("repair or remove these files, or raise --max-rejected", file=sys.stderr)
        return 1
    except (PackedStoreError, ValueError, OSError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    if counts["clips"] + counts["rejected"] != counts["found"]:
        raise AssertionError(f"files were lost: {counts}")
    print(
        f"{args.out}: {counts['found']} found = {counts['clips']} clips + {counts['rejected']} "
        f"rejected (rejected.csv); {counts['samples'] / args.sample_rate / 3600:.2f} hours"
    )
    if counts["upsampled"]:
        print(f"{counts['upsampled']} clips were recorded at less than {args.sample_rate} Hz")
    return 0


def pack(plan: PackPlan, out: Path, workers: int, max_rejected: float) -> list[ShardRecord]:
    """Records of all shards, in order.

    Raises:
        TooManyRejectedError: As soon as more than the allowed share is rejected.
    """
    log = RejectionLog(len(plan.files), max_rejected)
    records: dict[int, ShardRecord] = {}
    # Not forked: the progress bar has a thread, and threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=context) as pool,
        tqdm(total=len(plan.files), unit="file", disable=None) as bar,
    ):
        shards = {
            pool.submit(pack_shard, plan.of_shard(shard), out, shard): shard
            for shard in range(plan.n_shards)
        }
        try:
            for done in as_completed(shards):
                record = records[shards[done]] = done.result()
                bar.update(len(record["clips"]) + len(record["rejected"]))
                log.add(record["rejected"])
        except TooManyRejectedError:
            write_rejected(out, sorted(log.reasons.items()))
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [records[shard] for shard in range(plan.n_shards)]
