"""The downstream tasks of the papers by name: readers of their data, and `registry.yaml`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from byola_diff.corpora import official_splits, own_splits
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
    """Licence of the data, in a line."""


_CLIPS: dict[str, Callable[..., list[Clip]]] = {
    "esc50": official_splits.esc50_clips,
    "us8k": official_splits.us8k_clips,
    "fsd50k": official_splits.fsd50k_clips,
    "spcv2": official_splits.spcv2_clips,
    "vc1": official_splits.vc1_clips,
    "voxforge": own_splits.voxforge_clips,
    "cremad": own_splits.cremad_clips,
    "gtzan": official_splits.gtzan_clips,
    "nsynth": official_splits.nsynth_clips,
    "surge": own_splits.surge_clips,
}


def _spec(name: str, own_split: Mapping[str, Any] | None = None, **facts: Any) -> TaskSpec:
    clips = OwnSplit(clips=_CLIPS[name], **own_split) if own_split else _CLIPS[name]
    return TaskSpec(name=name, clips=clips, **facts)


_FACTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
TASKS = {name: _spec(name, **facts) for name, facts in _FACTS.items()}
