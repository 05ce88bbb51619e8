"""Training clips per second, and where the time of a step goes: ours against a plain loop.

    python benchmarks/train_step.py                       # batch 64 on the CPU
    python benchmarks/train_step.py --device cuda --batch 256 --batch 1024

Every variant runs in a process of its own, as the settings of the allocator are the process's. The
variants take turns for several rounds, and each ratio is the median over the rounds: the speed of a
shared machine drifts, the ratio of neighbours in time much less. The plain loop is what a first
implementation does: nnAudio's convolutional log-mel on the batch, augmentations clip by clip,
contiguous float32.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from byola_diff.allocator import keep_freed_memory
from byola_diff.build import build_learner
from byola_diff.config import (
    DataConfig,
    FrontEndConfig,
    ObjectiveConfig,
    PretrainConfig,
    TrainingConfig,
)
from byola_diff.models.pair import update_target
from byola_diff.randomness import torch_generator
from byola_diff.sounds import training_batch

STATISTICS = (-10.0, 4.0)
UNIT_SAMPLES = 15_200
Precision = Literal["float32", "bfloat16"]
PARTS = ("data", "log-mel", "views", "forward", "backward", "optimiser", "target")
VARIANTS: dict[str, tuple[Precision, float]] = {
    "plain float32": ("float32", 0.0),
    "ours float32": ("float32", 0.0),
    "ours bfloat16": ("bfloat16", 0.0),
    "ours float32, difference": ("float32", 0.5),
    "ours bfloat16, difference": ("bfloat16", 0.5),
}


class Clock:
    """Seconds by part; waits for the device, so that a part's time is its own."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, defaultdict(float)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time of a `with` block to a part."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds[part] += time.perf_counter() - start


def our_step(
    precision: Precision, weight: float, device: torch.device
) -> Callable[[int, int, Clock], None]:
    """One step of our method, as `Learner.training_step` and Lightning do it, timed by part."""
    keep_freed_memory()
    learner = build_learner(_config(precision, weight), STATISTICS).to(device)
    optimizer = learner.configure_optimizers()

    def step(index: int, batch: int, clock: Clock) -> None:
        generator = torch_generator("benchmark", index, device=device)
        with clock("data"):
            waveform = _clips(index, batch, device)
        with clock("log-mel"), torch.no_grad():
            log_mel = learner.normalize(learner.log_mel(waveform))
        with clock("views"), torch.no_grad():
            first, second, *_ = learner.make_views(log_mel, generator)
        with clock("forward"):
            loss = learner.loss_terms(first, second, generator)["total"]
        with clock("backward"):
            optimizer.zero_grad()
            loss.backward()
        with clock("optimiser"):
            optimizer.step()
        with clock("target"):
            update_target(learner.pair.online, learner.pair.target, 0.99)

    return step


def learner_step(
    precision: Precision,
    weight: float,
    batch: int,
    device: torch.device,
    projection_hidden: int = 4096,
    **training: Any,
) -> Callable[[int], torch.Tensor]:
    """One whole step, to its loss, on waveforms that lie on the device; waits for nothing.

    `training` are settings such as `compile`.
    """
    config = _config(precision, weight, projection_hidden, **training)
    learner = build_learner(config, STATISTICS).to(device)
    optimizer = learner.configure_optimizers()
    generator = torch_generator("clips", device=device)
    waveforms = torch.randn(2, batch, UNIT_SAMPLES, device=device, generator=generator) / 10

    def step(index: int) -> torch.Tensor:
        clips = {"waveform": waveforms[index % 2], "step": index}
        loss = learner.training_step(clips, index)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_target(learner.pair.online, learner.pair.target, 0.99)
        return loss.detach()

    return step


def plain_step(device: torch.device) -> Callable[[int, int, Clock], None]:
    """One step of the plain loop, timed by the same parts."""
    from plain_loop import PlainStep  # needs nnAudio

    plain = PlainStep(STATISTICS).to(device)

    def step(index: int, batch: int, clock: Clock) -> None:
        with clock("data"):
            waveform = _clips(index, batch, device)
        with clock("log-mel"):
            log_mel = plain.log_mel(waveform)
        with clock("views"):
            first, second = plain.views(log_mel)
        with clock("forward"):
            loss = plain.loss(first, second)
        with clock("backward"):
            plain.optimizer.zero_grad()
            loss.backward()
        with clock("optimiser"):
            plain.optimizer.step()
        with clock("target"):
            plain.update_target()

    return step


def measure(variant: str, batch: int, n_steps: int, device: torch.device) -> dict[str, float]:
    """Mean seconds of a step, by part, after two steps to warm up."""
    precision, weight = VARIANTS[variant]
    is_plain = variant.startswith("plain")
    step = plain_step(device) if is_plain else our_step(precision, weight, device)
    for index in range(2):
        step(index, batch, Clock(device))
    clock = Clock(device)
    for index in range(n_steps):
        step(2 + index, batch, clock)
    return {part: clock.seconds[part] / n_steps for part in PARTS}


def _config(
    precision: Precision, weight: float, hidden: int = 4096, **training: Any
) -> PretrainConfig:
    run = TrainingConfig(steps=1, precision=precision, projection_hidden=hidden, **training)
    return PretrainConfig(
        front_end=FrontEndConfig(window_samples=400, n_fft=400, f_min_hz=50.0, f_max_hz=8000.0),
        data=DataConfig(source="procedural"),
        objective=ObjectiveConfig(difference_weight=weight),
        training=run,
    )


def _clips(index: int, batch: int, device: torch.device) -> torch.Tensor:
    clips = torch.arange(index * batch, (index + 1) * batch, device=device)
    return training_batch(0, clips, UNIT_SAMPLES, 16_000)


def compare(batch: int, options: argparse.Namespace) -> dict:
    """All variants in turn, for several rounds; prints the table."""
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for variant in options.variants:
            rounds[variant].append(_in_own_process(variant, batch, options))
    totals = {name: [sum(parts.values()) for parts in runs] for name, runs in rounds.items()}
    print(f"\nbatch {batch} on {options.device}, median of {options.rounds} rounds, ms per step")
    print(f"{'':28}{'clips/s':>9}{'step':>8}" + "".join(f"{part:>10}" for part in PARTS))
    for name, runs in rounds.items():
        step_s = statistics.median(totals[name])
        parts = [1e3 * statistics.median(run[part] for run in runs) for part in PARTS]
        cells = "".join(f"{part:10.1f}" for part in parts)
        print(f"{name:28}{batch / step_s:9.1f}{1e3 * step_s:8.0f}{cells}")
    ratios = _ratios(totals)
    for name, ratio in ratios.items():
        print(f"{name:60}{ratio:6.2f}")
    return {"batch": batch, "rounds": rounds, "ratios": ratios}


def _ratios(totals: dict[str, list[float]]) -> dict[str, float]:
    pairs = {
        "speed-up of ours in float32 over plain": ("plain float32", "ours float32"),
        "speed-up of ours in bfloat16 over plain": ("plain float32", "ours bfloat16"),
        "cost of the difference loss in float32": ("ours float32, difference", "ours float32"),
        "cost of the difference loss in bfloat16": ("ours bfloat16, difference", "ours bfloat16"),
    }
    return {
        name: statistics.median(a / b for a, b in zip(totals[above], totals[below], strict=True))
        for name, (above, below) in pairs.items()
        if above in totals and below in totals
    }


def _in_own_process(variant: str, batch: int, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", variant, "--batch", str(batch)]
    command += ["--steps", str(options.steps), "--device", options.device]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Parse, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, action="append", help="clips per step; repeatable")
    parser.add_argument("--steps", type=int, default=4, help="timed steps per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--measure", choices=list(VARIANTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    batches = options.batch or [64]
    if options.measure:
        device = torch.device(options.device)
        print(json.dumps(measure(options.measure, batches[0], options.steps, device)))
        return
    results = [compare(batch, options) for batch in batches]
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
