"""Mean of a few scores with its 95 % confidence interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple


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
    mean = math.fsum(scores) / n
    if n == 1:
        return Interval(mean, None)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / (n - 1))
    return Interval(mean, _t_quantile((1 + confidence) / 2, n - 1) * deviation / math.sqrt(n))


def _t_quantile(probability: float, freedom: int) -> float:
    try:
        from scipy.special import stdtrit
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "confidence intervals need SciPy: pip install 'byola-diff[evaluate]'"
        ) from error
    return float(stdtrit(freedom, probability))
