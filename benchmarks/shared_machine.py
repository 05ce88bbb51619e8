"""Speed beside other programs: what a busy loop on each core leaves of it.

    python benchmarks/shared_machine.py --json FILE

Training, extraction and probes run in a process of their own, alone and loaded, with the number of
threads fixed and with `byola_diff.threads.sharing_cores`, in turn for several rounds; ratios are
medians over rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from probe import N_CLASSES, make_stacks
from train_step import learner_step

from byola_diff.allocator import keep_freed_memory
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commit import code_commit
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.probing.protocols import EVAR, LEARNING_RATES, ProbeSettings
from byola_diff.probing.trainer import train_probes
from byola_diff.threads import sharing_cores

SETTLE_S = 8.0
BUSY_LOOP = "while True: pass"


def training_job() -> Callable[[int], int]:
    """Steps of 64 clips of AudioNTT2022 in float32; returns clips."""
    step = learner_step("float32", 0.5, 64, torch.device("cpu"))

    def run(index: int) -> int:
        step(index)
        return 64

    return run


def extraction_job() -> Callable[[int], int]:
    """Embeddings of 64 clips of a second by AudioNTT2022; returns clips."""
    encoder = AudioEncoder(LogMel(), Normalize(-10.0, 4.0), AudioNTT2022())
    waveform = torch.randn(64, 16_000) / 10

    def run(index: int) -> int:
        encoder.scene(waveform)
        return len(waveform)

    return run


def probes_job() -> Callable[[int], int]:
    """Ten epochs of the probes of all learning rates on 1,000 embeddings; returns epochs."""
    stack = next(make_stacks(1, 1))
    rules = replace(EVAR.rules, max_epochs=10)
    probes = [ProbeSettings(rate, stack.seed) for rate in LEARNING_RATES]

    def run(index: int) -> int:
        sides = stack.train, stack.targets, stack.valid
        train_probes(*sides, _no_judge, probes, rules, N_CLASSES)
        return 10

    return run


JOBS = {"training": training_job, "extraction": extraction_job, "probes": probes_job}


def measure(job: str, shares: bool, seconds: float) -> float:
    """Units a second of a job, once it has settled."""
    keep_freed_memory()
    run = JOBS[job]()
    with sharing_cores() if shares else nullcontext():
        index, start = 0, time.perf_counter()
        while time.perf_counter() - start < SETTLE_S:
            run(index)
            index += 1
        units, start = 0, time.perf_counter()
        while (passed_s := time.perf_counter() - start) < seconds:
            units += run(index)
            index += 1
    return units / passed_s


@contextmanager
def loaded(is_loaded: bool) -> Iterator[None]:
    """A busy loop for each core that this process may use."""
    n_loops = len(os.sched_getaffinity(0)) if is_loaded else 0
    loops = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(n_loops)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> None:
    """Parse, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        job, way = options.measure
        print(measure(job, way == "sharing", options.seconds))
        return
    results = {job: compare(job, options.rounds, options.seconds) for job in options.jobs}
    facts = {"n_cores": len(os.sched_getaffinity(0)), "commit": code_commit(), "jobs": results}
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2) + "\n")


def compare(job: str, rounds: int, seconds: float) -> dict:
    """Speeds and ratios of a job; prints them."""
    speeds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for is_loaded in (False, True):
            for way in ("fixed", "sharing"):
                name = f"{'loaded' if is_loaded else 'alone'}, {way}"
                with loaded(is_loaded):
                    speeds.setdefault(name, []).append(_in_own_process(job, way, seconds))
    ratios = {
        f"{name} / alone, fixed": statistics.median(
            a / b for a, b in zip(values, speeds["alone, fixed"], strict=True)
        )
        for name, values in speeds.items()
    }
    print(f"{job}: " + "; ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    return {"units_per_s": speeds, "ratios": ratios}


def _in_own_process(job: str, way: str, seconds: float) -> float:
    command = [sys.executable, __file__, "--measure", job, way, "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def _no_judge(logits: torch.Tensor) -> float:
    return 0.0


if __name__ == "__main__":
    main()
