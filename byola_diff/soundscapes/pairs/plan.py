"""Plans of pairs like APwD's: two clips over the same two backgrounds, with one or two changes.

Actions are drawn with equal chances: an event is added, removed, louder or quieter, or the
background is louder or quieter, for which it lies over itself as an event in one of the clips. The
backgrounds begin elsewhere in the second clip, and an event in both is another recording at another
time, as far as there are several: only labels and levels can be compared.

Source:
    Takeuchi et al., 2022, "Introducing auxiliary text query-modifier to content-based audio
    retrieval"; levels and times as in the JAMS files published with it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, get_args

import numpy as np

from byola_diff.option_fields import RARE
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.pairs.difference import Action
from byola_diff.soundscapes.production.output_folder import CorpusOptions
from byola_diff.soundscapes.render.plan import Event, Soundscape
from byola_diff.soundscapes.sources.library import PROCEDURAL

DURATION_S = 10.0
PUBLISHED_REF_DB = (-36.0, -27.0)
_QUIETER_REF_DB = (-52.0, -43.0)
_LEAST_REF_DB = -70.0

_ACTIONS: tuple[Action, ...] = get_args(Action)
_SNR_DB = (0.0, 12.0)
"""Level of what is in one of the clips only."""
_LOWEST_DB = -8.0
_STEP_DB = (8.0, 12.0)
_EVENT_TIME_S = (0.0, 8.0)
_EVENT_DURATION_S = (3.0, 5.0)
_SOURCE_TIME_S = (0.0, 10.0)
"""Prepared backgrounds are at least 20 s long."""

SPLITS = ("dev", "eval")
EVAL_FOLD = 5
"""The fold of ESC-50 that is for eval."""

T = TypeVar("T")

Palette = Mapping[str, Collection[str]]
"""Prepared files by label, as `Event.source` names them."""


@dataclass(frozen=True, kw_only=True)
class MakeApwdOptions(CorpusOptions):
    """Which pairs are made of which sounds."""

    events: Annotated[str, "DIR"]
    """ESC-50 or FSD50K as published, a folder with manifest.csv (file, label, fold; fold 5 is for
    eval), or one folder per label; or the word procedural."""
    background: Annotated[str, "DIR"]
    """Likewise."""
    scene: Annotated[str, "NAME"] = "mixed"
    """Part of the names of files."""
    background_label: Annotated[str, "LABEL", RARE] | None = None
    """Label of all backgrounds (default: one per pair)."""
    pairs_dev: Annotated[int, "N"] = 1000
    pairs_eval: Annotated[int, "N"] = 200
    per_label: Annotated[int, "N", RARE] = 10
    """Procedural files."""
    sample_rate: Annotated[int, "HZ", RARE] = 44_100
    ref_db: Annotated[tuple[float, float], "LOW", "HIGH", RARE] | None = None
    """Loudness of each background in LUFS; lower it where too many pairs clip (default: -36 -27, as
    published; -52 -43 with procedural sounds, whose peaks are higher)."""

    def __post_init__(self) -> None:
        if min(self.pairs_dev, self.pairs_eval) < 0 or not self.pairs_dev + self.pairs_eval:
            raise ValueError("--pairs-dev and --pairs-eval must not be negative, nor both 0")
        if self.ref_db is not None and not -70 <= self.ref_db[0] <= self.ref_db[1] <= 0:
            raise ValueError("--ref-db must be two levels from -70 to 0, the lower one first")
        if self.sample_rate < 8_000:
            raise ValueError("--sample-rate must be at least 8000: loudness is not defined below")
        if self.per_label < 5:
            raise ValueError("--per-label must be at least 5: the fifth of each label is for eval")
        if not self.scene.replace("_", "").replace("-", "").isalnum():
            raise ValueError("--scene is part of file names: letters, digits, - and _")

    @property
    def levels_db(self) -> tuple[float, float]:
        """`ref_db`, or the usual levels of such sounds."""
        procedural = PROCEDURAL in (self.events, self.background)
        return self.ref_db or (_QUIETER_REF_DB if procedural else PUBLISHED_REF_DB)


def quieter(ref_db: tuple[float, float]) -> tuple[float, float]:
    """A range to try where pairs clip at this one."""
    low_db, high_db = ref_db
    if high_db > _QUIETER_REF_DB[1]:
        return min(low_db, _QUIETER_REF_DB[0]), _QUIETER_REF_DB[1]
    return max(_LEAST_REF_DB, low_db - 6), max(_LEAST_REF_DB, high_db - 6)


def plan_pair(
    options: MakeApwdOptions, events: Palette, backgrounds: Palette, split: str, index: int
) -> tuple[Soundscape, Soundscape]:
    """Both clips of pair `index`, named SCENE_SPLIT_INDEX_s1 and ..._s2.

    They depend on the seed, the scene, the split, the index and which files there are. `ValueError`
    is raised if there are no backgrounds, or no events of other labels.
    """
    labels = sorted(set(events) - set(backgrounds))
    if not labels or not backgrounds:
        what, remedy = "backgrounds", "give another --background, with two recordings per label"
        if backgrounds:
            what = "events of other labels than the backgrounds"
            remedy = "give --background-label, or other --events"
        raise ValueError(f"{split}: no {what} to draw from: {remedy}")
    random = np.random.default_rng(derive_seed(options.seed, "apwd", options.scene, split, index))
    bed_label = _one(sorted(backgrounds), random)
    bed_files = sorted(backgrounds[bed_label])
    bed = _some(bed_files, 2, random)
    ref_db = random.uniform(*options.levels_db)
    palette = {label: sorted(events[label]) for label in labels}
    foreground = _foreground(palette, bed_label, bed_files, bed, random)

    def clip(side: int) -> Soundscape:
        starts_s = [random.uniform(*_SOURCE_TIME_S) for _ in bed]
        grounds = [Event("background", bed_label, *one) for one in zip(bed, starts_s, strict=True)]
        laid_over = [event for both in foreground if (event := both[side]) is not None]
        name = f"{options.scene}_{split}_{index:05d}_s{side + 1}"
        placed = (*grounds, *laid_over)
        return Soundscape(name, DURATION_S, options.sample_rate, ref_db, placed)

    return clip(0), clip(1)


def _foreground(
    events: Mapping[str, Sequence[str]],
    bed_label: str,
    bed_files: Sequence[str],
    bed: Sequence[str],
    random: np.random.Generator,
) -> list[tuple[Event | None, Event | None]]:
    """For each change, the event in the first clip and that in the second."""
    actions = _draw_actions(len(events), random)
    drawn = iter(_some(list(events), sum(not _on_bed(action) for action in actions), random))
    foreground = []
    for action in actions:
        label, files = bed_label, [file for file in bed_files if file not in bed] or bed_files
        if not _on_bed(action):
            label = next(drawn)
            files = events[label]
        foreground.append(_sides(action, label, files, random))
    return foreground


def _draw_actions(n_labels: int, random: np.random.Generator) -> list[Action]:
    """One or two actions: at most one on the background, and a label for each other one."""
    actions: list[Action] = []
    for _ in range(1 + int(random.integers(2))):
        n_on_bed = sum(map(_on_bed, actions))
        n_free = n_labels - (len(actions) - n_on_bed)
        pool: list[Action] = [
            action for action in _ACTIONS if (not n_on_bed if _on_bed(action) else n_free)
        ]
        if pool:
            actions.append(_one(pool, random))
    return actions


def _sides(
    action: Action, label: str, files: Sequence[str], random: np.random.Generator
) -> tuple[Event | None, Event | None]:
    """Event of an action in the first and the second clip; over the background, as long as they."""

    def make(file: str, snr_db: float) -> Event:
        if _on_bed(action):
            times_s = random.uniform(*_SOURCE_TIME_S), 0.0, DURATION_S
        else:
            event_time_s = random.uniform(*_EVENT_TIME_S)
            length_s = min(random.uniform(*_EVENT_DURATION_S), DURATION_S - event_time_s)
            times_s = 0.0, event_time_s, length_s
        return Event("foreground", label, file, *times_s, snr_db)

    if action in ("louder", "quieter"):
        step_db = random.uniform(*_STEP_DB)
        low_db = random.uniform(_LOWEST_DB, _SNR_DB[1] - step_db)
        levels_db = [low_db, low_db + step_db]
        first_db, second_db = levels_db if action == "louder" else levels_db[::-1]
        first_file, *others = _some(files, 2, random)
        return make(first_file, first_db), make(others[0] if others else first_file, second_db)
    event = make(_one(files, random), random.uniform(*_SNR_DB))
    return (None, event) if action in ("add", "background louder") else (event, None)


def _on_bed(action: Action) -> bool:
    return action.startswith("background")


def _one(choices: Sequence[T], random: np.random.Generator) -> T:
    return choices[int(random.integers(len(choices)))]


def _some(choices: Sequence[T], n: int, random: np.random.Generator) -> list[T]:
    """Up to `n` different ones in random order."""
    return [choices[int(place)] for place in random.permutation(len(choices))[:n]]
