import pytest

from byola_diff.demo.encoders import (
    COMPARED,
    LARGE,
    MEAN_POWER,
    PLAIN,
    SMALL,
    UNTRAINED_LARGE,
    UNTRAINED_SMALL,
)
from byola_diff.demo.expectations import (
    AS_EXPECTED,
    OTHERWISE,
    UNTOLD,
    Expectation,
    expectations,
    judged,
    outcome,
    paired_difference,
    summary,
)
from byola_diff.demo.measures import METRICS
from byola_diff.scores import Interval, Score


def score(*values):
    named = {f"draw {number}": value for number, value in enumerate(values)}
    return Score(named, sum(values) / len(values), None)


def scores_of_all(**of_mean_power):
    metrics = [metric for names in METRICS.values() for metric in names]
    scores = {each.name: {metric: score(0.5, 0.5) for metric in metrics} for each in COMPARED}
    scores[MEAN_POWER] |= of_mean_power
    return scores


def test_differences_are_taken_draw_by_draw():
    # Draws differ by far more than encoders do; differences are 0.1, 0.2 and 0.3, of deviation 0.1,
    # and t is 4.3027 for two degrees of freedom: 0.2 ± 4.3027 * 0.1 / sqrt(3).
    difference = paired_difference(score(0.2, 0.6, 1.0), score(0.1, 0.4, 0.7))
    assert difference.mean == pytest.approx(0.2)
    assert difference.half_width == pytest.approx(0.24841, abs=1e-4)


def test_draws_of_other_names_can_not_be_paired():
    with pytest.raises(ValueError, match="can't be paired"):
        paired_difference(score(0.1, 0.2), score(0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (Interval(0.1, 0.05), AS_EXPECTED),
        (Interval(-0.1, 0.05), OTHERWISE),
        (Interval(0.1, 0.2), UNTOLD),
        (Interval(-0.1, 0.2), UNTOLD),
        (Interval(0.1, 0.1), UNTOLD),
        (Interval(0.0, 0.0), UNTOLD),
        (Interval(0.1, None), UNTOLD),
    ],
)
def test_outcome(difference, expected):
    assert outcome(difference) == expected


def test_which_side_should_be_higher():
    expected = [Expectation("words", (LARGE, "a"), (SMALL, "a"))]
    better, worse = {"a": score(0.8, 0.9)}, {"a": score(0.4, 0.5)}
    [found] = judged(expected, {LARGE: better, SMALL: worse})
    assert found.outcome == AS_EXPECTED
    assert found.difference.mean == pytest.approx(0.4)
    [found] = judged(expected, {LARGE: worse, SMALL: better})
    assert found.outcome == OTHERWISE


def test_every_expectation_is_of_scores_that_there_are():
    scores = scores_of_all(cosine=score(0.9, 0.95))
    found = judged(expectations(scores), scores)
    assert [one.outcome for one in found].count(AS_EXPECTED) == 1
    assert summary(found) == (
        f"Of {len(found)} expectations, 1 came out as expected, "
        f"{len(found) - 1} can't be told with so few sounds."
    )


def test_mean_power_is_compared_with_the_best_other():
    scores = scores_of_all()
    scores[UNTRAINED_LARGE]["cosine"] = score(0.7, 0.8)
    [one] = [each for each in expectations(scores) if each.higher == (MEAN_POWER, "cosine")]
    assert one.lower == (UNTRAINED_LARGE, "cosine")
    assert UNTRAINED_LARGE in one.words


def test_of_the_pair_is_expected_only_where_it_is():
    scores = scores_of_all()
    pair = dict.fromkeys((SMALL, PLAIN, UNTRAINED_SMALL), scores[LARGE])
    without = {name: row for name, row in scores.items() if name not in pair}
    assert not any(SMALL in (*each.higher, *each.lower) for each in expectations(without))
    assert len(expectations(without | pair)) == len(expectations(without)) + 4
