"""Mean of a few scores with its 95 % confidence interval."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from byola_diff.optional import require


class Interval(NamedTuple):
    """A mean, and how far the interval reaches on each side of it."""

    mean: float
    half_width: float | None
    """None for a single score, which has no interval."""


def student_interval(scores: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean and Student-t interval of scores taken as independent draws: t s / sqrt(n).

    Folds share training clips, so for them the interval is somewhat too narrow.

    Raises:
        ValueError: If there are no scores, or one is not finite.
    """
    if not scores or not all(math.isfinite(score) for score in scores):
        raise ValueError(f"need at least one score, all of them finite, not {list(scores)}")
    n = len(scores)
    if n == 1:
        return Interval(float(scores[0]), None)
    # Not scipy.stats, which takes a second to import, and has no interval of equal scores.
    special = require("scipy.special", "evaluate", "a confidence interval")
    quantile = float(special.stdtrit(n - 1, (1 + confidence) / 2))
    return Interval(fmean(scores), quantile * stdev(scores) / math.sqrt(n))
