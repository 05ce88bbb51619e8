"""The score record: one JSON file per run, of one model when it is written and when it is read.

Format 3; 1 and 2 had no hash of the file, and are read without. Scores are shares in 0..1 wherever
they are shares at all; reports turn them to percent.
"""

import math
from collections.abc import Sequence
from operator import not_
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from byola_diff.optional import require

FORMAT = 3
SEALED_FROM = 3
"""Format from which on a file holds its own hash: `storage.sealed_json`."""


def _number(text: str) -> str:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text!r} is not a finite number")
    return text


Name = Annotated[str, Field(min_length=1)]
Values = dict[str, FiniteFloat]
"""One value by the name of each seed, fold or split."""
Number = Annotated[str, AfterValidator(_number)]
"""A finite number as text, since keys of JSON are texts."""
_OrEmpty = BeforeValidator(lambda value: {} if value is None else value)
Facts = Annotated[dict[str, Any], _OrEmpty]


class Interval(NamedTuple):
    """A mean, and how far the interval reaches on each side of it."""

    mean: float
    half_width: float | None
    """None for a single score, which has no interval."""


def student_interval(scores: Sequence[float]) -> Interval:
    """Mean and 95 % Student-t interval of scores taken as independent draws: t s / sqrt(n).

    Folds share training clips, so for them the interval is somewhat too narrow.

    Raises:
        ValueError: If there are no scores, or one is not finite.
    """
    if not scores or not all(map(math.isfinite, scores)):
        raise ValueError(f"need at least one score, all of them finite, not {list(scores)}")
    if (n := len(scores)) == 1:
        return Interval(float(scores[0]), None)
    # Not scipy.stats, which takes a second to import, and has no interval of equal scores.
    special = require("scipy.special", "evaluate", "a confidence interval")
    quantile = float(special.stdtrit(n - 1, 0.975))
    return Interval(fmean(scores), quantile * stdev(scores) / math.sqrt(n))


@dataclass(frozen=True)
class EncoderIdentity:
    """What was measured."""

    name: Name
    sha256: str | None = None
    """Hash of its content; None if it could not be opened."""


@dataclass(frozen=True)
class Layer:
    """The single layer that was measured."""

    name: str
    index: int
    """From 1."""
    of: int
    """Number of layers."""

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            raise ValueError(f"layer {self.name!r} can't be number {self.index} of {self.of}")


@dataclass(frozen=True)
class Fusion:
    """The layers that were fused."""

    of: str
    """Name of the encoder whose layers they are."""
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """One metric of one run."""

    values: Values
    mean: FiniteFloat
    ci95: FiniteFloat | None
    """Half of the 95 % interval; None for a single value."""
    per_fold: dict[str, Values] = Field(default_factory=dict, exclude_if=not_)
    """By seed, the values per fold of which `values` are the means."""

    @property
    def interval(self) -> Interval:
        """The mean with its interval."""
        return Interval(self.mean, self.ci95)


@dataclass(frozen=True)
class Curve:
    """A metric over something that was varied, such as the ratio of an event to its background."""

    x: Name
    """What was varied, with its unit."""
    values: Annotated[dict[Number, Annotated[Values, Field(min_length=1)]], Field(min_length=1)]
    """By x and by seed."""
    chance: dict[Number, FiniteFloat] = Field(default_factory=dict, exclude_if=not_)
    """By x, what an encoder that hears nothing would have; empty where that means nothing."""

    def points(self) -> dict[float, Interval]:
        """Mean and 95 % interval over seeds, by x in rising order."""
        means = {float(x): student_interval(list(v.values())) for x, v in self.values.items()}
        return dict(sorted(means.items()))


class ScoreRecord(BaseModel):
    """One run: what was measured on what, how, and what came of it."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    protocol: Name
    task: Name
    encoder: EncoderIdentity
    base: str | None = None
    """Name of the encoder that a layer or a fusion is of."""
    layer: Layer | None = None
    fusion: Fusion | None = None
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    """Why there are no scores."""
    scores: dict[str, Score]
    """By metric, the main one first."""
    settings: Facts = {}
    """What the protocol was run with."""
    probe: Facts = {}
    """What the run chose, such as learning rates."""
    curves: Annotated[dict[str, Curve], _OrEmpty] = Field({}, exclude_if=not_)
    """By metric, what was measured over something that was varied; not written if there is none."""
    versions: Facts = {}
    commit: str | None = None
    finished: Name
    wall_s: float | None = None
    path: Path = Field(Path(), exclude=True)
    """The file it was read from."""

    @field_validator("format")
    @classmethod
    def _known(cls, number: int) -> int:
        if number > FORMAT:
            raise ValueError(f"format {number} is newer than this program, which reads {FORMAT}")
        return number

    @field_validator("settings")
    @classmethod
    def _deviations_are_texts(cls, settings: dict[str, Any]) -> dict[str, Any]:
        found = settings.get("deviations", [])
        if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
            raise ValueError(f"deviations of the task are {found!r}, not a list of texts")
        return settings

    @model_validator(mode="after")
    def _failures_have_no_scores(self) -> "ScoreRecord":
        if (self.status == "ok") != bool(self.scores):
            raise ValueError(f"status {self.status!r} with {len(self.scores) or 'no'} scores")
        return self

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """What it is a measurement of."""
        return self.protocol, self.task, self.encoder.name, self.layer and self.layer.name

    @property
    def whole(self) -> bool:
        """Whether it is of an encoder, fusion or ensemble, not of one layer for a curve."""
        return self.layer is None

    @property
    def deviations(self) -> tuple[str, ...]:
        """In what the clips were not those of the published task."""
        return tuple(self.settings.get("deviations", ())) if self.scores else ()
