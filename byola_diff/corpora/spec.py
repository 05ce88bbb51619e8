"""What is known of a task before its data are read: the registry has one such entry for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from byola_diff.tables.manifest import Clip

Metric = Literal["accuracy", "mAP"]

OfficialClips = Callable[[Path], list[Clip]]
"""From the folder of the data to their clips, split as published."""


@dataclass(frozen=True, kw_only=True)
class OwnSplit:
    """For data that come without a split: by a file that the user has, or else by a seed."""

    clips: Callable[[Path, Path | None, int], list[Clip]]
    """From the folder of the data, that file and the seed to their clips."""
    counts: Mapping[str, int]
    """Number of clips where we split by the seed; what can't be known is left out."""
    file: str
    """Which file of the user's replaces our split."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A downstream task of the papers."""

    name: str
    title: str
    """Data set, authors and year."""
    unit_s: float
    """Clips are cut or padded to this length."""
    metric: Metric
    counts: Mapping[str, int]
    """Published number of clips by split or "fold K", and of "classes"."""
    clips: OfficialClips | OwnSplit
    layout: str
    """What the folder must hold."""
    where: str
    """Where the data are published."""
    licence: str
    """Of the data, in a line."""
