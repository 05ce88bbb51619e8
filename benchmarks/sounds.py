"""Time of the procedural sounds: a batch of training clips, and each family.

python benchmarks/sounds.py
"""

import time
from collections.abc import Callable
from itertools import count

import torch

from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render, training_batch

_SAMPLE_RATE = 16_000
_N_SAMPLES = 15_200
_BATCH = 64


def main() -> None:
    """Print one table per device."""
    torch.set_num_threads(1)
    for name in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        clips = torch.arange(_BATCH, device=name)
        steps = count()

        def stream(clips: torch.Tensor = clips, steps: count = steps) -> None:
            training_batch(0, clips + _BATCH * next(steps), _N_SAMPLES, _SAMPLE_RATE)

        print(f"{name}, {_BATCH} clips of {_N_SAMPLES} samples, one CPU thread")
        print(f"{'training_batch':16} {median_ms(stream, name, repeats=15):7.1f} ms")
        for family in (*FOREGROUNDS, *BACKGROUNDS):

            def one(family: str = family, clips: torch.Tensor = clips) -> None:
                render([family] * _BATCH, 0, clips, _N_SAMPLES, _SAMPLE_RATE)

            print(f"{family:16} {median_ms(one, name, repeats=3):7.1f} ms")


def median_ms(work: Callable[[], None], device: str, repeats: int) -> float:
    """Median wall time of a call, after one to warm up."""
    times_ms = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times_ms.append(1000 * (time.perf_counter() - start))
    return sorted(times_ms[1:])[repeats // 2]


if __name__ == "__main__":
    main()
