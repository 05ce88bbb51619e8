"""The learning rate as a function of progress in (0, 1], so that resuming needs no stored state."""

import math
from collections.abc import Callable


def constant(peak: float, warmup_share: float, progress: float) -> float:
    """The published setting: `peak` throughout."""
    del warmup_share, progress
    return peak


def cosine(peak: float, warmup_share: float, progress: float) -> float:
    """Straight rise to `peak` over the warm-up, times half a cosine that falls to 0 at the end."""
    return peak * min(1.0, progress / warmup_share) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": constant,
    "cosine": cosine,
}
