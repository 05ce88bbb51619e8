"""A metric over something that was varied, such as the ratio of an event to its background."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from byola_diff.scores.intervals import Interval, student_interval


@dataclass(frozen=True)
class Curve:
    """Values by x (a number as text) and by seed, as they stand in a record."""

    x: str
    """What was varied, with its unit."""
    values: Mapping[str, Mapping[str, float]]
    chance: Mapping[str, float] = field(default_factory=dict)
    """By x, what an encoder that hears nothing would have; empty where that means nothing."""

    def points(self) -> dict[float, Interval]:
        """Mean and 95 % interval over seeds, by x in rising order."""
        means = {float(x): student_interval(list(v.values())) for x, v in self.values.items()}
        return dict(sorted(means.items()))

    def chances(self) -> dict[float, float]:
        """Chance by x in rising order."""
        return dict(sorted((float(x), value) for x, value in self.chance.items()))

    def to_plain(self) -> dict[str, Any]:
        """What stands in the JSON file."""
        values = {x: dict(seeds) for x, seeds in self.values.items()}
        plain = {"x": self.x, "values": values}
        return plain | ({"chance": dict(self.chance)} if self.chance else {})


def parse_curve(metric: str, raw: Mapping[str, Any]) -> Curve:
    """The curve that `to_plain` wrote, checked.

    Raises:
        ValueError: If it has no points, a point has no values, or one is not a finite number.
    """
    values = {
        str(x): {str(seed): float(value) for seed, value in seeds.items()}
        for x, seeds in raw["values"].items()
    }
    chance = {str(x): float(value) for x, value in raw.get("chance", {}).items()}
    numbers = [
        *(float(x) for x in (*values, *chance)),
        *chance.values(),
        *(value for seeds in values.values() for value in seeds.values()),
    ]
    if not values or not all(values.values()) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"the curve of {metric} has no points, or not all of them are finite")
    if not isinstance(raw["x"], str) or not raw["x"]:
        raise ValueError(f"the curve of {metric} does not say what was varied")
    return Curve(raw["x"], values, chance)
