"""Options of additivity."""

import argparse
from dataclasses import dataclass, field
from typing import Annotated

from byola_diff.evaluation.options import (
    ComputeOptions,
    Folder,
    ScoreOptions,
    number_or_nan,
    positive_number,
)
from byola_diff.option_fields import Count, positive_whole

USUAL_ADDITIVITY = {
    "events": 200,
    "snr_db": [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0],
    "duration_s": 2.0,
    "seeds": [0, 1, 2],
}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""

_MAX_DB = 60.0


def _decibel(word: str | float) -> float:
    number = number_or_nan(word)
    if not -_MAX_DB <= number <= _MAX_DB:
        raise argparse.ArgumentTypeError(f"{word!r} is no level within {_MAX_DB:g} dB of 0")
    return number


def _whole(word: str | int) -> int:
    return 0 if word in ("0", 0) else positive_whole(word)


@dataclass(frozen=True, kw_only=True)
class AdditivityOptions(ScoreOptions, ComputeOptions):
    """Options of the verb `additivity`."""

    event_folder: Folder | None = None
    """Events: a folder per label, a folder with manifest.csv, or a manifest (default:
    procedural)."""
    background_folder: Folder | None = None
    """Backgrounds: long files in a folder or in those below it (default: procedural)."""
    events: Count = 200
    """Number of events."""
    snr_db: list[Annotated[float, _decibel, "DB"]] = field(
        default_factory=USUAL_ADDITIVITY["snr_db"].copy
    )
    """Levels of events against backgrounds; the score is that nearest to 0."""
    duration_s: Annotated[float, positive_number, "S"] = 2.0
    """Length of each sound."""
    polyphony_clips: Annotated[int, _whole, "N"] = 400
    """Mixtures of 1 to 8 sources to train a probe on, and as many to test it; 0 for none."""
    seeds: list[Annotated[int, "N"]] = field(default_factory=USUAL_ADDITIVITY["seeds"].copy)
    """Each gives other sounds, and a score."""
