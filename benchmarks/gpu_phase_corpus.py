"""Third phase of `gpu_run.py`: the corpus decoded and packed, and procedural sounds beside it."""

import multiprocessing
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import soundfile
import torch
from gpu_phase import parse_phase, write_json

from byola_diff.clips.stored import ResidentSource
from byola_diff.sounds import training_batch
from byola_diff.store.packed import PackedStore
from byola_diff.store.packing import begin, pack_shard, plan_store, write_index

SAMPLE_RATE, UNIT_SAMPLES = 16_000, 15_200
SHARD_MIB = 4
"""Small, so that all cores have some."""
PROCEDURAL = {"cuda": (50_000, 1024), "cpu": (64, 16)}
"""Clips at most, and clips made at a time."""
RESERVE_S = {"cuda": 20, "cpu": 5}
"""Seconds kept for packing the sounds and loading the store."""


def pack_corpus(source: Path, out: Path) -> dict[str, float]:
    """Decode all audio below a folder on all cores, with a line of progress a second."""
    plan = plan_store(source, SAMPLE_RATE, SHARD_MIB)
    begin(plan, out)
    context = multiprocessing.get_context("forkserver")
    done, told = 0, time.monotonic()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context) as pool:
        jobs = [
            pool.submit(pack_shard, plan.of_shard(shard), out, shard)
            for shard in range(plan.n_shards)
        ]
        for job in as_completed(jobs):
            record = job.result()
            done += len(record["clips"]) + len(record["rejected"])
            if time.monotonic() > told + 1 or done == len(plan.files):
                told = time.monotonic()
                print(f"packed {done} of {len(plan.files)} files", flush=True)
    write_index(plan, out, [job.result() for job in jobs])
    shutil.rmtree(out / "parts")
    counts = PackedStore.open(out).meta["counts"]
    hours = counts["samples"] / SAMPLE_RATE / 3600
    return {"clips": counts["clips"], "rejected": counts["rejected"], "hours": round(hours, 3)}


def pack_procedural(out: Path, device: str, end: float) -> dict[str, float]:
    """Render procedural sounds until there are enough or the time is over, and pack them."""
    most, at_a_time = PROCEDURAL[device]
    n_clips, sounds = 0, out.with_name(f"{out.name}_wav")
    sounds.mkdir(parents=True)
    while n_clips < most and (n_clips == 0 or time.monotonic() < end):
        clips = torch.arange(n_clips, n_clips + at_a_time, device=device)
        for waveform in training_batch(0, clips, UNIT_SAMPLES, SAMPLE_RATE).cpu().numpy():
            soundfile.write(sounds / f"procedural-{n_clips:07d}.wav", waveform, SAMPLE_RATE)
            n_clips += 1
        if n_clips % (16 * at_a_time) == 0:
            print(f"rendered {n_clips} of {most} sounds", flush=True)
    return pack_corpus(sounds, out)


def main() -> None:
    """Pack both, load both onto the device, and write figures after each."""
    options = parse_phase(__doc__)
    source = options.corpus / "clips" if (options.corpus / "clips").is_dir() else options.corpus
    steps = {
        "corpus": lambda path: pack_corpus(source, path),
        "procedural": lambda path: pack_procedural(
            path, options.device, options.deadline - RESERVE_S[options.device]
        ),
    }
    found: dict = {}
    for name, make in steps.items():
        store, start = options.scratch / name, time.monotonic()
        try:
            found[name] = make(store) | {"seconds": round(time.monotonic() - start, 2)}
            start = time.monotonic()
            resident = ResidentSource(
                PackedStore.open(store), crop_samples=UNIT_SAMPLES, seed=0, device=options.device
            )
            resident.batch(0, torch.arange(min(64, resident.n_clips)))
            found[name]["load_s"] = round(time.monotonic() - start, 2)
        except Exception as error:  # of any kind: the other store is of use alone
            found[name] = found.get(name, {}) | {"error": f"{type(error).__name__}: {error}"[:300]}
        write_json(options.out / "corpus.json", found)
        print(name, found[name], flush=True)


if __name__ == "__main__":
    main()
