"""A whole background-known data set: planned, begun or continued, made, and written down.

The tables are manifests, a row per item with all facts, and a summary. All are written last, in the
order of the items, and say nothing of time or place: the same settings give the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import package_versions
from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.bgknown.items import KINDS, audio_file, make_item
from byola_diff.soundscapes.bgknown.plan import (
    PART_OF_SPLIT,
    BgKnownOptions,
    ItemPlan,
    limited,
    plan_items,
)
from byola_diff.soundscapes.production.items import COMMON_GAIN
from byola_diff.soundscapes.production.output_folder import begin_folder, listing
from byola_diff.soundscapes.production.produce import Refusal, produce, write_refused
from byola_diff.soundscapes.render.mixer import Renderer
from byola_diff.soundscapes.render.plan import Roots
from byola_diff.soundscapes.sources.library import Library, ProceduralSounds
from byola_diff.storage import sealed_json, sha256
from byola_diff.tables.manifest import Clip, check_groups, check_splits, write_manifest
from byola_diff.tables.rows import located, write_rows

_SUMMARY = "bgknown.json"

_PUBLISHED_ITEMS = {"train": 1200, "test": 800}
_PUBLISHED_CLASSES = 50
_CLIP_TOLERANCE_S = 1e-3
_TOLD = ("refused", "with a common gain")
_SOUND = ("snr_db", "ref_db", "reference_level", "duration_s", "sample_rate")
_PACKAGES = ("byola-diff", "numpy", "pyloudnorm", "scipy", "soundfile", "soxr")


@dataclass(frozen=True)
class BgKnownPlan:
    """All that is decided before anything is listened to."""

    options: BgKnownOptions
    events: Library
    backgrounds: Mapping[str, Library]
    """By part, "dev" and "eval", without those that are too short or excluded."""
    items: tuple[ItemPlan, ...]
    deviations: tuple[str, ...]
    """In what the data set is not the published one."""


def known_settings(options: BgKnownOptions) -> dict[str, Any]:
    """What the data set depends on, beside the recordings and the renderer."""
    named = "seed", *_SOUND, "output_rate", "clipping"
    settings = {name: getattr(options, name) for name in named}
    excluded = sorted(options.exclude_background_labels)
    return {**settings, "excluded_labels": excluded, "limit": options.limit}


def plan_bgknown(
    events: Library,
    backgrounds: Mapping[str, Library],
    options: BgKnownOptions,
    deviations: Sequence[str] = (),
) -> BgKnownPlan:
    """Items with their backgrounds, and in what the data set is not the published one.

    The given `deviations` are those of the sources. `LayoutError` is raised if folds are missing,
    or clips of one recording are in training and test.
    """
    limit = options.limit
    chosen = events if limit is None else limited(events, limit, options.seed)
    items = plan_items(chosen, backgrounds, options)
    clips = [Clip(d.event.file, (d.event.label,), d.split, group=d.event.group) for d in items]
    with located(f"{events.root}: events in the order of their files: ", LayoutError):
        check_groups(clips)
    own = _deviations(items, events, options)
    return BgKnownPlan(options, events, backgrounds, items, (*deviations, *own))


def make_bgknown(
    plan: BgKnownPlan,
    renderer: tuple[str, Renderer],
    procedural: Iterable[ProceduralSounds] = (),
) -> tuple[dict[str, Any] | None, list[Refusal]]:
    """Summary of the data set that is now there, None if no item is, and the refused items.

    Procedural sounds that it is made of are written first. Items that are already there as planned
    are not made again. `ValueError` is raised if the folder holds another data set or other files.
    """
    options, out = plan.options, plan.options.out
    parts = {part: _listed(library, part) for part, library in plan.backgrounds.items()}
    settings = known_settings(options) | {"events": _listed(plan.events), "backgrounds": parts}
    settings["renderer"] = renderer[0]
    begin_folder(out, settings, [_SUMMARY])
    for sounds in procedural:
        sounds.write()
    roots: dict[str, Roots] = {
        split: {"foreground": plan.events.root, "background": plan.backgrounds[part].root}
        for split, part in PART_OF_SPLIT.items()
    }
    work = partial(make_item, options, roots, renderer)
    done, refused = produce(plan.items, work, lambda item: item.name, **options.crew, title="items")
    refused += [Refusal(*file) for file in plan.events.unreadable_files]
    write_refused(out / "refused.csv", refused)
    if not done:
        return None, refused
    items = [facts for _, facts in done]
    _write_tables(out, items)
    summary = _summary(out, items, len(refused), settings)
    told = [f"items {what}: {n}" for what in _TOLD if (n := summary["counts"][what])]
    summary["deviations"] = [*plan.deviations, *told]
    write_text(out / _SUMMARY, sealed_json(summary))
    return summary, refused


def _write_tables(out: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write mix.csv, a.csv, b.csv and c.csv, rows in the same order, and items.csv.

    The latter has a column of common gains where an item has one.
    `ValueError` is raised if a split is empty.
    """
    for kind in KINDS:
        rows = []
        for item in items:
            split, group = item["split"], item["group"]
            file = audio_file(split, item["item"], kind)
            rows.append(Clip(file, (item["label"],), split, group=group))
        check_splits(rows, PART_OF_SPLIT)
        write_manifest(out / f"{kind}.csv", rows)
    if any(COMMON_GAIN in item for item in items):
        items = [{**item, COMMON_GAIN: item.get(COMMON_GAIN, 0.0)} for item in items]
    header = sorted(items[0], key=COMMON_GAIN.__eq__)  # last, wherever it was
    write_rows(out / "items.csv", header, [[item[name] for name in header] for item in items])


def _summary(
    out: Path, items: Sequence[Mapping[str, Any]], n_refused: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the data set is, hashes of its tables among it."""
    splits = Counter(item["split"] for item in items)
    return {
        "format": 2,
        "name": "Background-known ESC-50",
        "seed": settings["seed"],
        "settings": dict(settings),
        "renderer": settings["renderer"],
        "versions": package_versions(_PACKAGES),
        "counts": {
            "items": len(items),
            "refused": n_refused,
            "with a common gain": sum(COMMON_GAIN in item for item in items),
            "train": splits["train"],
            "test": splits["test"],
            "classes": len({item["label"] for item in items}),
            "backgrounds": len({(item["split"], item["background_file"]) for item in items}),
        },
        "deviations": [],
        "manifests": {f"{name}.csv": sha256(out / f"{name}.csv") for name in (*KINDS, "items")},
    }


def _listed(library: Library, part: str | None = None) -> dict[str, Any]:
    """Number of recordings, and a hash of their part, names, labels, folds and lengths."""
    return listing(
        [[part, s.file, s.label, s.fold, round(s.duration_s, 3)] for s in library.sources]
    )


def _deviations(items: Sequence[ItemPlan], events: Library, options: BgKnownOptions) -> list[str]:
    """In what items and settings are not those published, or chosen where nothing is."""
    differences = []
    counts = {s: sum(item.split == s for item in items) for s in _PUBLISHED_ITEMS}
    classes = {item.event.label for item in items}
    if counts != _PUBLISHED_ITEMS or len(classes) != _PUBLISHED_CLASSES:
        number = f"{counts['train']} train and {counts['test']} test clips"
        differences.append(f"events: {number} of {len(classes)} classes")
    if options.limit is not None:
        differences.append(f"limit: {options.limit} items of {len(events.sources)}")
    length_s = options.duration_s
    lengths_s = [item.event.duration_s - length_s for item in items]
    for name, n_clips in {
        "shorter, padded": sum(length < -_CLIP_TOLERANCE_S for length in lengths_s),
        "longer, cut": sum(length > _CLIP_TOLERANCE_S for length in lengths_s),
    }.items():
        if n_clips:
            differences.append(f"event clips {name}: {n_clips} not of {length_s:g} s")
    if excluded := sorted(options.exclude_background_labels):
        differences.append(f"excluded background labels: {', '.join(excluded)}")
    for key in _SOUND:
        if (value := getattr(options, key)) != getattr(BgKnownOptions, key):
            differences.append(f"{key}: {value}")
    return differences
