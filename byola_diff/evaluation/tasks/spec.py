"""What is known of a task before its data are read: the registry has one such entry for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from byola_diff.data.manifest import Clip

Metric = Literal["accuracy", "mAP"]

OfficialClips = Callable[[Path], list[Clip]]
"""From the folder of the data to their clips, split as published."""

OwnSplitClips = Callable[[Path, Path | None, int], list[Clip]]
"""The same for data without a published split: by a file that the user has, or else by a seed."""


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
    own_counts: Mapping[str, int] | None = None
    """The same where we split by a seed; what can't be known is left out."""
    clips: OfficialClips | OwnSplitClips
    split_file: str | None = None
    """Which file of the user's replaces our own split. None where the data come with a split."""
    layout: str
    """What the folder must hold."""
    where: str
    """Where the data are published."""
    licence: str
    """Of the data, in a line."""
