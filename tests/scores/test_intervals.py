import numpy as np
import pytest
from scipy import stats

from byola_diff.scores.intervals import student_interval


def test_known_value_for_three_scores():
    # s = 1, n = 3: 4.303 / sqrt(3), the quantile as tables print it.
    interval = student_interval([1.0, 2.0, 3.0])
    assert interval.mean == pytest.approx(2.0)
    assert interval.half_width == pytest.approx(4.3027 / 3**0.5, abs=1e-4)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_equals_scipy(n, confidence):
    scores = np.random.default_rng(n).normal(size=n)
    interval = student_interval(scores.tolist(), confidence)
    low, high = stats.t.interval(confidence, n - 1, scores.mean(), stats.sem(scores))
    assert interval.mean - interval.half_width == pytest.approx(low, abs=1e-9)
    assert interval.mean + interval.half_width == pytest.approx(high, abs=1e-9)


def test_one_score_has_no_interval():
    assert student_interval([0.5]) == (0.5, None)


@pytest.mark.parametrize("scores", [[], [0.5, float("nan")], [float("inf")]])
def test_refuses_what_has_no_mean(scores):
    with pytest.raises(ValueError, match="finite"):
        student_interval(scores)
