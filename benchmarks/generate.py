"""Soundscapes per second by the number of worker processes, with our mixer and with Scaper.

    python benchmarks/generate.py --workers 1 2 --json generate.json

An item is as in APwD: 10 s at 44.1 kHz, two backgrounds and two events, rendered, checked and
written as 24-bit wav with its JAMS. Sources are procedural sounds. Runs of all variants alternate
within each round, so that a change of the machine's speed meets all of them. The time is that of
the whole run, the start of the processes included; the first, untimed round warms up the files.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from byola_diff.allocator import keep_freed_memory
from byola_diff.audio.files import write_wav
from byola_diff.randomness import derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.soundscapes.production.items import finish
from byola_diff.soundscapes.production.produce import produce
from byola_diff.soundscapes.render.mixer import Renderer, open_renderer
from byola_diff.soundscapes.render.plan import Event, Role, Roots, Soundscape

RATE, DURATION_S = 44_100, 10.0
N_SOUNDS = 3
FAMILIES: dict[Role, tuple[list[str], int]] = {
    "background": (list(BACKGROUNDS)[:2], 20),
    "foreground": (list(FOREGROUNDS)[:4], 5),
}
"""Labels of the sources, and their length in seconds."""


def write_sources(folder: Path) -> Roots:
    """Folders with three sounds of each family."""
    for role, (labels, length_s) in FAMILIES.items():
        for label in labels:
            indices = torch.arange(N_SOUNDS)
            sounds = render([label] * N_SOUNDS, 0, indices, length_s * RATE, RATE)
            for index, sound in enumerate(sounds):
                write_wav(folder / role / label / f"{index}.wav", sound.numpy(), RATE)
    return {role: folder / role for role in FAMILIES}


def plan(number: int) -> Soundscape:
    """A soundscape of two backgrounds and two events at drawn times and levels."""
    draw = np.random.default_rng(derive_seed(0, "benchmark", number))

    def source(role: Role) -> tuple[Role, str, str]:
        label = str(draw.choice(FAMILIES[role][0]))
        return role, label, f"{label}/{draw.integers(N_SOUNDS)}.wav"

    beds = [Event(*source("background"), float(draw.uniform(0, 10))) for _ in range(2)]
    events = [
        Event(
            *source("foreground"),
            event_time_s=float(draw.uniform(0, 6)),
            duration_s=float(draw.uniform(3, 4)),
            snr_db=float(draw.uniform(-8, 8)),
        )
        for _ in range(2)
    ]
    return Soundscape(f"item_{number:05d}", DURATION_S, RATE, -36.0, (*beds, *events))


def make(renderer: Renderer, roots: Roots, out: Path, number: int) -> None:
    """Render and write one item."""
    soundscape = plan(number)
    rendered = renderer(soundscape, roots)
    name = soundscape.name
    finish(out, f"jams/{name}.jams", soundscape, {f"wav/{name}.wav": rendered.mixture}, {})


def measure(options: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Items per second of each variant in each round."""
    roots = write_sources(folder / "sources")
    variants = {}
    for choice in options.renderers:
        name, renderer = open_renderer(choice)
        for n_workers in options.workers:
            variants[f"{name}, {n_workers}"] = (renderer, n_workers)
    speeds = {title: [] for title in variants}
    for _ in range(1 + options.rounds):
        for title, (renderer, n_workers) in variants.items():
            out = folder / "out"
            work = partial(make, renderer, roots, out)
            start = time.perf_counter()
            _, refused = produce(range(options.items), work, str, n_workers=n_workers, title=title)
            seconds = time.perf_counter() - start
            assert not refused, refused[:1]
            speeds[title].append(options.items / seconds)
            shutil.rmtree(out)
    return {title: values[1:] for title, values in speeds.items()}


def main() -> None:
    """Parse, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=400, help="per run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--renderers", nargs="+", default=["mixer", "scaper"], choices=["mixer", "scaper"]
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    keep_freed_memory()  # as in the worker processes, for a fair comparison
    with tempfile.TemporaryDirectory() as folder:
        speeds = measure(options, Path(folder))
    print(f"{options.items} items of {DURATION_S:g} s, median of {options.rounds} rounds")
    print(f"{'renderer, workers':28}{'items/s':>9}{'ratio':>8}")
    for title, values in speeds.items():
        first = speeds[f"{title.rpartition(', ')[0]}, {options.workers[0]}"]
        ratios = [mine / one for mine, one in zip(values, first, strict=True)]
        print(f"{title:28}{statistics.median(values):9.1f}{statistics.median(ratios):8.2f}")
    if options.json:
        options.json.write_text(json.dumps(speeds, indent=2) + "\n")


if __name__ == "__main__":
    main()
