"""Crops per second that one core reads from a packed store in the page cache.

    python benchmarks/packed.py

A batch as `train.py --data.source packed` reads it, with 16-bit samples, against a plain loop that
opens the shard, seeks and reads for each crop and divides by 32768. In turn for several rounds, the
ratio is the median over rounds. "first pass" compares each 64 KiB with its hash, as a process does
once. Clips are of 10 s, noise, in 1 GiB.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from byola_diff.clips.stored import PackedSource
from byola_diff.store.packed import PackedStore

RATE, CLIP_S, CROP, BATCH = 16_000, 10, 15_200, 256


def main() -> None:
    """Make a store, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=3200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = PackedStore.open(_make_store(Path(folder), options.clips))
        found = compare(store, options.rounds)
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def compare(store: PackedStore, rounds: int) -> dict[str, float]:
    """Crops a second of both, and how much faster ours is."""
    source = PackedSource(store, crop_samples=CROP, seed=0)
    batches = torch.randperm(len(store)).split(BATCH)

    def ours(clips: torch.Tensor, epoch: int) -> None:
        source.stored_batch(epoch, clips)

    generator = np.random.default_rng(0)

    def plain(clips: torch.Tensor, epoch: int) -> None:
        waveform = torch.zeros(len(clips), CROP)
        for row, clip in enumerate(clips.tolist()):
            shard, offset, length = store.index[clip]
            first = offset + generator.integers(length - CROP + 1)
            with store.shard_path(shard).open("rb") as file:
                file.seek(2 * first)
                samples = np.frombuffer(file.read(2 * CROP), np.int16)
            waveform[row] = torch.from_numpy(samples.astype(np.float32) / 32768)

    first_pass = crops_per_s(ours, batches, 0)
    for epoch in range(1, 10):  # random crops: until nearly every block was met
        crops_per_s(ours, batches, epoch)
    speeds = [
        (crops_per_s(ours, batches, 10 + turn), crops_per_s(plain, batches, turn))
        for turn in range(rounds)
    ]
    return {
        "first pass, crops/s": first_pass,
        "ours, crops/s": statistics.median(ours for ours, _ in speeds),
        "plain loop, crops/s": statistics.median(plain for _, plain in speeds),
        "ours / plain": statistics.median(ours / plain for ours, plain in speeds),
    }


def crops_per_s(
    work: Callable[[torch.Tensor, int], None], batches: tuple[torch.Tensor, ...], epoch: int
) -> float:
    """Over one pass of the batches."""
    start = time.perf_counter()
    for clips in batches:
        work(clips, epoch)
    return sum(map(len, batches)) / (time.perf_counter() - start)


def _make_store(folder: Path, n_clips: int) -> Path:
    noise = np.random.default_rng(0).integers(-9999, 9999, (100, RATE * CLIP_S), np.int16)
    (folder / "audio").mkdir()
    for clip in range(n_clips):
        path = folder / "audio" / f"{clip:05d}.wav"
        soundfile.write(path, noise[clip % 100], RATE, subtype="PCM_16")
    script = Path(__file__).parents[1] / "datasets" / "prepare_clips.py"
    command = [sys.executable, script, folder / "audio", folder / "packed", "--sample-rate"]
    subprocess.run([*command, str(RATE)], check=True, stdout=subprocess.DEVNULL)
    return folder / "packed"


if __name__ == "__main__":
    main()
