"""Plans of background-known items: an event in a background, and three references of the latter.

One window of twice the length of an item is drawn in a recording. The mixture is the event and the
window's first half, reference (a); reference (b) overlaps that by half, and (c) is the second half:

    (a) [s, s + 5]    (b) [s + 2.5, s + 7.5]    (c) [s + 5, s + 10]

Source: Takeuchi et al., 2024, section 5.2. The geometry of the window, the level of the references
and the loudness of the background are not stated there.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

import numpy as np

from byola_diff.corpora.layout import LayoutError
from byola_diff.option_fields import RARE, Count
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.production.output_folder import CorpusOptions, Folder
from byola_diff.soundscapes.render.plan import Event, Soundscape
from byola_diff.soundscapes.sources.library import Library, Source

SPLIT_OF_FOLD = {1: "train", 2: "train", 3: "train", 4: "test", 5: "test"}
PART_OF_SPLIT = {"train": "dev", "test": "eval"}

LATER = {"a": 0.0, "b": 0.5, "c": 1.0}
"""Where each reference begins in the window, in lengths of an item."""

_MOST_BACKGROUNDS = 10


@dataclass(frozen=True, kw_only=True)
class BgKnownOptions(CorpusOptions):
    """Which items are made of which sounds, and how they sound."""

    duration_s: ClassVar[float] = 5.0
    """Length of mixtures and references; no option."""

    esc50: Folder
    """ESC-50 as published, or a folder with manifest.csv (file, label, fold); or the word
    procedural."""
    background: list[Folder]
    """FSD50K as published; or two folders of recordings of at least 10 s, for training and for the
    test; or one folder to be divided; or the word procedural."""
    ref_db: Annotated[float, "LUFS", RARE] = -40.0
    """Loudness of backgrounds in mixtures."""
    snr_db: Annotated[tuple[float, float], "LOW", "HIGH", RARE] = (0.0, 3.0)
    """Loudness of events above that."""
    reference_level: Annotated[Literal["scene", "normalised"], RARE] = "scene"
    """scene: references have the gain of the background in the mixture; normalised: each has the
    loudness --ref-db."""
    sample_rate: Annotated[Count, "HZ", RARE] = 44_100
    """Hz, of the sounds that are made."""
    exclude_background_labels: Annotated[list[Annotated[str, "LABEL"]], RARE] = field(
        default_factory=list
    )
    """Backgrounds of these are left out."""
    limit: Count | None = None
    """At most N items, of all labels and both splits in turn."""
    clips_per_label: Count = 20
    """Procedural events of each kind."""

    def __post_init__(self) -> None:
        if not -70 < self.ref_db < 0:
            raise ValueError("--ref-db must lie between -70 and 0")
        low, high = self.snr_db
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"--snr-db {low} {high} is no range")
        if len(self.background) > 2:
            raise ValueError("--background takes one folder or two")

    @property
    def window_s(self) -> float:
        """What a background must have."""
        return 2 * self.duration_s


@dataclass(frozen=True)
class ItemPlan:
    """An item before its background is listened to."""

    name: str
    split: str
    event: Source
    backgrounds: tuple[Source, ...]
    """The one for this item, then those in its stead should it be silent."""


def plan_items(
    events: Library, backgrounds: Mapping[str, Library], options: BgKnownOptions
) -> tuple[ItemPlan, ...]:
    """All items in the order of their events; no background serves twice before all have once.

    `LayoutError` is raised if an event has no fold or one outside 1 to 5, or a split has no event.
    """
    names = _names(events)
    by_split: dict[str, list[Source]] = {"train": [], "test": []}
    for source in events.sources:
        if source.fold not in SPLIT_OF_FOLD:
            reason = "has no fold" if source.fold is None else f"is in fold {source.fold}"
            raise LayoutError(f"{events.root}: {source.file} {reason}; folds are 1 to 5")
        by_split[SPLIT_OF_FOLD[source.fold]].append(source)
    items = []
    for split, sources in by_split.items():
        if not sources:
            folds = [fold for fold, its in SPLIT_OF_FOLD.items() if its == split]
            raise LayoutError(f"{events.root}: no event in folds {folds}, which are for {split}")
        order = sorted((names[source.file], source) for source in sources)
        order.sort(key=lambda named: derive_seed(options.seed, "bgknown item", named[0]))
        grounds = backgrounds[PART_OF_SPLIT[split]].sources
        in_order = background_order(grounds, options.seed, len(sources))
        for rank, (name, source) in enumerate(order):
            items.append(ItemPlan(name, split, source, in_order(rank)))
    return tuple(sorted(items, key=lambda item: item.event.file))


def background_order(
    backgrounds: Sequence[Source], seed: int, n_items: int
) -> Callable[[int], tuple[Source, ...]]:
    """From the rank of an item to its background, followed by others to serve in its stead.

    Backgrounds serve in one order, then all in another, and so on: each once before any twice.
    """

    @cache
    def in_round(number: int) -> list[Source]:
        round_seed = derive_seed(seed, "bgknown round", number)
        return sorted(backgrounds, key=lambda source: derive_seed(round_seed, source.file))

    def chosen(rank: int) -> tuple[Source, ...]:
        found: dict[str, Source] = {}
        for turn in range(4 * _MOST_BACKGROUNDS):
            number, within = divmod(rank + turn * n_items, len(backgrounds))
            source = in_round(number)[within]
            found.setdefault(source.file, source)
            if len(found) == min(_MOST_BACKGROUNDS, len(backgrounds)):
                break
        return tuple(found.values())

    return chosen


def limited(events: Library, n_items: int, seed: int) -> Library:
    """At most `n_items` of the events: of each label in turn one for training, one for the test.

    So a label whose events are in the test has one in training, too, if it has any there.
    """
    draw = partial(derive_seed, seed, "bgknown limit")
    n_of_cell: dict[tuple[bool, str], int] = defaultdict(int)
    place = {}
    for source in sorted(events.sources, key=lambda source: draw(source.file)):
        in_test = SPLIT_OF_FOLD.get(source.fold or 0) == "test"
        turn = n_of_cell[in_test, source.label]
        place[source.file] = turn, draw(source.label), source.label, in_test
        n_of_cell[in_test, source.label] += 1
    chosen = sorted(events.sources, key=lambda source: place[source.file])[:n_items]
    return replace(events, sources=tuple(sorted(chosen, key=lambda source: source.file)))


def soundscape(
    item: ItemPlan, background: Source, start_s: float, options: BgKnownOptions
) -> Soundscape:
    """The mixture: a background from `start_s` on, then the event from the start of its file on."""
    random = np.random.default_rng(derive_seed(options.seed, "bgknown snr", item.name))
    length_s, snr_db = options.duration_s, float(random.uniform(*options.snr_db))
    ground = Event("background", background.label, background.file, start_s, 0.0, length_s)
    event = item.event
    laid_over = Event("foreground", event.label, event.file, 0.0, 0.0, length_s, snr_db)
    how = options.sample_rate, options.ref_db
    return Soundscape(item.name, length_s, *how, (ground, laid_over))


def _names(events: Library) -> dict[str, str]:
    """Name of the item of each event file: short where that is enough to tell them apart."""
    stems = {s.file: PurePosixPath(s.file).stem for s in events.sources}
    paths = {file: file.replace("/", "-") for file in stems}
    for names in (stems, paths):
        if len(set(names.values())) == len(names):
            return names
    raise LayoutError(f"{events.root}: names of events are not different enough")
