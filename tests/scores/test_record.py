import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from byola_diff.scores import Curve, student_interval


def test_points_by_hand_in_rising_order():
    points = Curve("x", {"10": {"a": 0.5}, "-10": {"a": 0.2, "b": 0.4}}).points()
    assert list(points) == [-10, 10]
    assert points[-10].mean == pytest.approx(0.3)
    # One degree of freedom: 12.706 s / sqrt 2, s = 0.1 sqrt 2.
    assert points[-10].half_width == pytest.approx(12.706 * 0.1, abs=1e-4)
    assert points[10].half_width is None


def test_chance_is_not_written_where_it_means_nothing():
    plain = TypeAdapter(Curve).dump_python(Curve("x", {"0": {"a": 0.5}}))
    assert plain == {"x": "x", "values": {"0": {"a": 0.5}}}


@pytest.mark.parametrize(
    ("values", "chance", "message"),
    [
        ({}, {}, "at least 1 item"),
        ({"0": {}}, {}, "at least 1 item"),
        ({"0": {"seed 0": math.nan}}, {}, "finite number"),
        ({"inf": {"seed 0": 1.0}}, {}, "'inf' is not a finite number"),
        ({"0": {"seed 0": 1.0}}, {"0": math.inf}, "finite number"),
    ],
)
def test_curves_without_points(values, chance, message):
    with pytest.raises(ValidationError, match=message):
        Curve("SNR (dB)", values, chance)


def test_curve_of_nothing():
    with pytest.raises(ValidationError, match="at least 1 character"):
        Curve("", {"0": {"seed 0": 1.0}})


def test_interval_of_three_scores():
    # s = 1, n = 3: 4.303 / sqrt(3), the quantile as tables print it.
    interval = student_interval([1.0, 2.0, 3.0])
    assert interval.mean == pytest.approx(2.0)
    assert interval.half_width == pytest.approx(4.3027 / 3**0.5, abs=1e-4)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_interval_equals_scipy(n):
    scores = np.random.default_rng(n).normal(size=n)
    interval = student_interval(scores.tolist())
    low, high = stats.t.interval(0.95, n - 1, scores.mean(), stats.sem(scores))
    assert interval.mean - interval.half_width == pytest.approx(low, abs=1e-9)
    assert interval.mean + interval.half_width == pytest.approx(high, abs=1e-9)


def test_one_score_has_no_interval():
    assert student_interval([0.5]) == (0.5, None)


@pytest.mark.parametrize("scores", [[], [0.5, float("nan")], [float("inf")]])
def test_refuses_what_has_no_mean(scores):
    with pytest.raises(ValueError, match="finite"):
        student_interval(scores)
