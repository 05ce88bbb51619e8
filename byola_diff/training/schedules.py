"""The learning rate as a function of progress in (0, 1], so that resuming needs no stored state."""

import math
from collections.abc import Callable

WARMUP = 0.05
"""Share of the run in which the cosine schedule rises."""


def constant(peak: float, progress: float) -> float:
    """The published setting: `peak` throughout."""
    del progress
    return peak


def cosine(peak: float, progress: float) -> float:
    """Straight rise to `peak` over the warm-up, times half a cosine that falls to 0 at the end."""
    return peak * min(1.0, progress / WARMUP) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, Callable[[float, float], float]] = {"constant": constant, "cosine": cosine}
