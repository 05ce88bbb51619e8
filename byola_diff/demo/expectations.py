"""What is expected of the scores, and whether it happened: decided by figures alone.

Two encoders were measured with the same draws of sounds. If the 95 % interval (Student t) of the
mean difference, draw by draw, lies above 0, it is as expected; below 0, it is not; with 0 in it,
these sounds can't tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from byola_diff.demo.encoders import (
    LARGE,
    MEAN_POWER,
    PLAIN,
    SMALL,
    UNTRAINED_LARGE,
    UNTRAINED_SMALL,
)
from byola_diff.scores import Interval, Score, student_interval

Scores = Mapping[str, Mapping[str, Score]]
"""By encoder and metric."""

AS_EXPECTED, OTHERWISE, UNTOLD = "as expected", "not as expected", "can't be told"


@dataclass(frozen=True)
class Expectation:
    """One figure should be higher than another."""

    words: str
    higher: tuple[str, str]
    """Encoder and metric."""
    lower: tuple[str, str]


@dataclass(frozen=True)
class Judged:
    """An expectation, and what came of it."""

    expectation: Expectation
    difference: Interval
    outcome: str


def expectations(scores: Scores) -> list[Expectation]:
    """What is expected of those encoders that have scores."""
    return [
        each
        for each in (*_of_the_pair(), *_of_the_large(scores))
        if {each.higher[0], each.lower[0]} <= scores.keys()
    ]


def _of_the_pair() -> list[Expectation]:
    return [
        Expectation(
            "Pretraining helps to name sounds (small).",
            *((SMALL, "accuracy"), (UNTRAINED_SMALL, "accuracy")),
        ),
        Expectation(
            "The difference loss makes an event move the embedding alike over two backgrounds.",
            *((SMALL, "cosine"), (PLAIN, "cosine")),
        ),
        Expectation(
            "With the difference loss, more movements find their event on the other background.",
            *((SMALL, "recall@1"), (PLAIN, "recall@1")),
        ),
        Expectation(
            "With the difference loss, an event is named better by the difference to the known "
            "background (a).",
            *((SMALL, "a"), (PLAIN, "a")),
        ),
    ]


def _of_the_large(scores: Scores) -> list[Expectation]:
    others = [name for name in scores if name != MEAN_POWER]
    best = max(others, key=lambda name: scores[name]["cosine"].mean)
    return [
        Expectation(
            "Pretraining helps to name sounds (large).",
            *((LARGE, "accuracy"), (UNTRAINED_LARGE, "accuracy")),
        ),
        Expectation(
            "After pretraining, an event moves the embedding more alike over two backgrounds.",
            *((LARGE, "cosine"), (UNTRAINED_LARGE, "cosine")),
        ),
        Expectation(
            "After pretraining, more movements find their event on the other background.",
            *((LARGE, "recall@1"), (UNTRAINED_LARGE, "recall@1")),
        ),
        Expectation(
            "To subtract the known background (a) helps more than to leave the mixture as it is.",
            *((LARGE, "a"), (LARGE, "mix")),
        ),
        Expectation(
            f"{MEAN_POWER} has a higher cosine than any other, here {best}, by construction.",
            *((MEAN_POWER, "cosine"), (best, "cosine")),
        ),
        Expectation(
            f"To be additive is not enough: {LARGE} names more sounds than {MEAN_POWER}.",
            *((LARGE, "accuracy"), (MEAN_POWER, "accuracy")),
        ),
    ]


def judged(expected: Sequence[Expectation], scores: Scores) -> list[Judged]:
    """Each expectation with the interval of its difference, and what that says."""
    found = []
    for each in expected:
        (higher, its_metric), (lower, metric) = each.higher, each.lower
        difference = paired_difference(scores[higher][its_metric], scores[lower][metric])
        found.append(Judged(each, difference, outcome(difference)))
    return found


def paired_difference(first: Score, second: Score) -> Interval:
    """Mean of the first less the second with its interval, over the draws of both.

    Raises:
        ValueError: If they are not of the same draws.
    """
    if first.values.keys() != second.values.keys():
        raise ValueError(f"draws {list(first.values)} can't be paired with {list(second.values)}")
    return student_interval([value - second.values[draw] for draw, value in first.values.items()])


def outcome(difference: Interval) -> str:
    """What a difference says that should be above 0; a single draw says nothing."""
    mean, half_width = difference
    if half_width is None or abs(mean) <= half_width:
        return UNTOLD
    return AS_EXPECTED if mean > 0 else OTHERWISE


def summary(found: Sequence[Judged]) -> str:
    """How many expectations came out in which way, in a sentence."""
    counts = {word: sum(one.outcome == word for one in found) for word in _WORDS}
    told = ", ".join(f"{count} {_WORDS[word]}" for word, count in counts.items() if count)
    return f"Of {len(found)} expectations, {told}."


_WORDS = {
    AS_EXPECTED: "came out as expected",
    OTHERWISE: "came out the other way round",
    UNTOLD: "can't be told with so few sounds",
}
