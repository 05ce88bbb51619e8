"""Time from a cold start of pretraining to a stated quality, on a corpus that anyone can make.

    python benchmarks/speed_run.py OUT --sources SOURCES --esc10 MANIFEST --backgrounds DIR

Trains from three seeds, each in a process of its own, and scores what comes out. Prints a row for
the table in benchmarks/README.md, which has the rules. Options after `--` go to train.py.
"""

import argparse
import csv
import os
import platform
import sys
import time
from pathlib import Path

import torch
from recipe import draws_of_sounds, scores, train

from byola_diff.commit import code_commit
from byola_diff.export import encoder_from_checkpoint
from byola_diff.storage import load_checked
from byola_diff.tables.manifest import read_manifest

SEEDS = (0, 1, 2)
TARGET = {"esc10": 89.5, "recall@1": 48.0}
"""What the means over the seeds must reach, in percent."""


def main() -> None:
    """Train, score, and print the row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="best", help="configuration of the runs")
    parser.add_argument("--sources", required=True, help="data.sources, as one line")
    parser.add_argument("--esc10", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("options", nargs="*", help="of train.py, after --")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    words = ["--data.sources", options.sources, *options.options]
    runs = [run(options.out / str(seed), options.base, seed, words) for seed in SEEDS]
    judge = draws_of_sounds(options.esc10, options.backgrounds)
    manifest = read_manifest(options.esc10)
    found = []
    for seed in SEEDS:
        path = options.out / str(seed) / "checkpoints" / "last.ckpt"
        found.append(scores(encoder_from_checkpoint(load_checked(path), path), manifest, judge))
    row = {
        "commit": code_commit(),
        "machine": machine(),
        "threads": options.threads,
        "options": " ".join(options.options),
        "wall_s": round(_mean([one["wall_s"] for one in runs])),
        "cpu_s": round(_mean([one["cpu_s"] for one in runs])),
    }
    means = {name: round(_mean([one[name] for one in found]), 2) for name in TARGET}
    row |= means | {"reached": all(means[name] >= TARGET[name] for name in TARGET)}
    writer = csv.DictWriter(sys.stdout, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)


def run(folder: Path, base: str, seed: int, words: list[str]) -> dict[str, float]:
    """Seconds of one pretraining, from the start of the program to its last checkpoint."""
    folder.mkdir(parents=True)
    start = time.perf_counter()
    cpu_s = train(folder, base, [*words, "--seed", str(seed)])
    return {"wall_s": time.perf_counter() - start, "cpu_s": cpu_s}


def machine() -> str:
    """Card or processor, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
