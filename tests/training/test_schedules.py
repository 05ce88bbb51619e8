import math

import pytest

from byola_diff.training.schedules import SCHEDULES, constant, cosine


def test_constant_is_the_peak():
    assert [constant(1e-3, 0.05, progress) for progress in (0.01, 0.5, 1.0)] == [1e-3] * 3


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (0.025, 0.5 * (1 + math.cos(math.pi * 0.025)) / 2),  # halfway through the warm-up
        (0.5, 0.5),
        (0.75, (1 - math.sqrt(0.5)) / 2),
        (1.0, 0.0),
    ],
)
def test_cosine_by_hand(progress, share):
    assert cosine(2.0, 0.05, progress) == pytest.approx(2 * share, abs=1e-12)


def test_cosine_rises_then_falls():
    values = [cosine(1.0, 0.05, step / 200) for step in range(1, 201)]
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert top == 9  # the last step of the warm-up of 5 %


def test_warm_up_of_a_quarter_ends_there():
    assert cosine(1.0, 0.25, 0.125) == pytest.approx(0.5 * (1 + math.cos(math.pi / 8)) / 2)
    assert cosine(1.0, 0.25, 0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_schedules_by_name():
    assert {"constant": constant, "cosine": cosine} == SCHEDULES
