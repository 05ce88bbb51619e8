"""Decode a folder of audio once into a packed store that training reads at random.

    python datasets/prepare_clips.py recordings packed/recordings --sample-rate 16000 --workers 8

Every audio file below the folder becomes one clip: mean of the channels, resampled, 16 bits. Files
that can't be used are listed with the reason in rejected.csv. A stopped run goes on when the same
command is given again, and the bytes do not depend on stops or on the number of workers.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from byola_diff.clips.rejected import RejectionLog, TooManyRejectedError
from byola_diff.store.packed import PackedStore, PackedStoreError
from byola_diff.store.plan import PackPlan, begin, plan_store
from byola_diff.store.write import (
    ShardRecord,
    pack_shard,
    remove_records,
    write_index,
    write_rejected,
)


def main() -> int:
    """Exit status: 0 for a finished store, 1 for too many rejected files, 2 for wrong arguments."""
    args = parse_args()
    try:
        plan = plan_store(args.source, args.sample_rate, args.shard_mib)
        begin(plan, args.out)
        if not (args.out / "meta.json").exists():
            records = pack(plan, args.out, args.workers, args.max_rejected)
            write_index(plan, args.out, records)
        remove_records(plan, args.out)
        counts = PackedStore.open(args.out).meta["counts"]
    except TooManyRejectedError as error:
        print(f"{error}\nthose met so far: {args.out / 'rejected.csv'}", file=sys.stderr)
        print("repair or remove these files, or raise --max-rejected", file=sys.stderr)
        return 1
    except (PackedStoreError, ValueError, OSError) as error:
        print(f"prepare_clips: {error}", file=sys.stderr)
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
        jobs = [plan.job(out, shard) for shard in range(plan.n_shards)]
        shards = {pool.submit(pack_shard, job): job.shard for job in jobs}
        try:
            for done in as_completed(shards):
                record = records[shards[done]] = done.result()
                bar.update(len(record.clips) + len(record.rejected))
                log.add(record.rejected)
        except TooManyRejectedError:
            write_rejected(out, sorted(log.reasons.items()))
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [records[shard] for shard in range(plan.n_shards)]


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of audio files, searched in depth")
    parser.add_argument("out", type=Path, help="folder of the packed store")
    parser.add_argument("--sample-rate", type=int, required=True, help="in Hz, such as 16000")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--shard-mib", type=int, default=256, help="approximate size of a shard (default: 256)"
    )
    parser.add_argument(
        "--max-rejected",
        type=float,
        default=0.05,
        help="share of unusable files at which to stop (default: 0.05)",
    )
    args = parser.parse_args()
    for name in ("sample_rate", "workers", "shard_mib"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


if __name__ == "__main__":
    sys.exit(main())
