"""How cost grows: of packing with clips, of embedding with length, of training with processes.

    python benchmarks/growth.py --json benchmarks/growth.json

One thread to a process; packing and training once with one process and once with each further core.
`benchmarks/pictures.py` draws what is kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from speed_run import machine

from byola_diff.commit import code_commit
from byola_diff.models.bundle import load_encoder

ROOT = Path(__file__).parents[1]
CLIPS = (200, 800, 3200)
LENGTHS_S = (1, 10, 60, 300, 1200)
STEPS = (5, 25)
BATCH = 32


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    processes = range(1, len(os.sched_getaffinity(0)) + 1)
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "machine": machine(),
            "commit": code_commit(),
            "packing_s": packing(Path(folder), processes, options.rounds),
            "embedding_s": embedding(options.rounds),
            "training_clips_per_s": training(Path(folder), processes, options.rounds),
        }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def packing(folder: Path, processes: range, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds by workers and clips of 5 s at 44.1 kHz, from the start of the program."""
    rng = np.random.default_rng(0)
    for n_clips in CLIPS:
        (folder / f"clips{n_clips}").mkdir()
        for clip in range(n_clips):
            noise = rng.normal(scale=0.1, size=220_500)
            sf.write(folder / f"clips{n_clips}" / f"{clip}.wav", noise, 44_100)
    found: dict[str, dict[str, float]] = {}
    for n_workers in processes:
        for n_clips in CLIPS:
            words = ["--sample-rate", "16000", "--workers", n_workers]
            script = ROOT / "datasets" / "prepare_clips.py"
            seconds = [
                _seconds(
                    script,
                    folder / f"clips{n_clips}",
                    folder / f"p{n_workers}_{n_clips}_{turn}",
                    *words,
                )
                for turn in range(rounds)
            ]
            found.setdefault(str(n_workers), {})[str(n_clips)] = round(min(seconds), 2)
    return found


def embedding(rounds: int) -> dict[str, float]:
    """Seconds by length of one recording, with the shipped encoder."""
    encoder = load_encoder("byola-diff")
    encoder.scene(torch.zeros(1, 16_000))
    found = {}
    for length_s in LENGTHS_S:
        waveform = torch.randn(1, 16_000 * length_s) / 10
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            encoder.scene(waveform)
            seconds.append(time.perf_counter() - start)
        found[str(length_s)] = round(min(seconds), 4)
    return found


def training(folder: Path, processes: range, rounds: int) -> dict[str, float]:
    """Clips a second by processes, of the steps between two runs: the start does not count."""
    found = {}
    for n_processes in processes:
        speeds = []
        for turn in range(rounds):
            short_s, long_s = (
                _train(folder / f"t{n_processes}_{turn}_{steps}", n_processes, steps)
                for steps in STEPS
            )
            n_clips = (STEPS[1] - STEPS[0]) * BATCH * n_processes
            speeds.append(n_clips / (long_s - short_s))
        found[str(n_processes)] = round(max(speeds), 1)
    return found


def _train(out: Path, n_processes: int, steps: int) -> float:
    words = ["--config", "procedural", "--training.steps", steps, "--data.batch_size", BATCH]
    words += ["--training.accelerator", "cpu", "--training.devices", n_processes]
    words += ["--data.num_workers", 0, "--data.statistics_clips", 100, "--out_dir", out]
    return _seconds(ROOT / "train.py", *words)


def _seconds(*words: object) -> float:
    start = time.perf_counter()
    command = [sys.executable, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
