"""A whole background-known data set: planned, begun or continued, made, and written down.

The tables are manifests, a row per item with all facts, and a summary. All are written last, in the
order of the items, and say nothing of time or place: the same settings give the same bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.bgknown.backgrounds import usable
from byola_diff.soundscapes.bgknown.items import KINDS, ItemMaker, audio_file
from byola_diff.soundscapes.bgknown.plan import (
    PART_OF_SPLIT,
    BgKnownSettings,
    ItemPlan,
    limited,
    plan_items,
)
from byola_diff.soundscapes.production.output_folder import OutputFolder, listing
from byola_diff.soundscapes.production.produce import (
    Refusal,
    named_by_option,
    produce,
    write_refused,
)
from byola_diff.soundscapes.render.renderers import Renderer
from byola_diff.soundscapes.sources.library import Library
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Clip, check_groups, read_manifest, write_manifest
from byola_diff.tables.rows import write_rows

_SUMMARY = "bgknown.json"
_PUBLISHED_ITEMS = {"train": 1200, "test": 800}
_PUBLISHED_CLASSES = 50
_USUAL = BgKnownSettings()
_CLIP_TOLERANCE_S = 1e-3
_PACKAGES = ("byola-diff", "numpy", "pyloudnorm", "scipy", "soundfile", "soxr")


@dataclass(frozen=True)
class BgKnownPlan:
    """All that is decided before anything is listened to."""

    settings: BgKnownSettings
    events: Library
    backgrounds: Mapping[str, Library]
    """By part, "dev" and "eval", without those that are too short or excluded."""
    items: tuple[ItemPlan, ...]
    choices: Mapping[str, Any]
    """Beside the settings, what the data set depends on."""
    deviations: tuple[str, ...]
    """In what the data set is not the published one."""


def plan_bgknown(
    events: Library,
    backgrounds: Mapping[str, Library],
    settings: BgKnownSettings,
    *,
    excluded_labels: Sequence[str] = (),
    n_items: int | None = None,
    deviations: Sequence[str] = (),
) -> BgKnownPlan:
    """Items with their backgrounds, and in what the data set is not the published one.

    Args:
        events: With folds.
        backgrounds: Parts "dev", for training, and "eval".
        settings: What the items have in common.
        excluded_labels: Those of backgrounds that are left out.
        n_items: At most so many, spread over splits and labels.
        deviations: What is not as published about the sources, in words.

    Raises:
        LayoutError: If folds are missing, no background is long enough, or clips of one recording
            are in training and test.
    """
    kept = {
        part: usable(library, settings.window_s, excluded_labels)
        for part, library in backgrounds.items()
    }
    chosen = events if n_items is None else limited(events, n_items, settings.seed)
    items = plan_items(chosen, kept, settings)
    try:
        check_groups(
            [Clip(d.event.file, (d.event.label,), d.split, group=d.event.group) for d in items]
        )
    except ValueError as error:
        raise LayoutError(f"{events.root}: events in the order of their files: {error}") from error
    choices = {
        "excluded_labels": sorted(excluded_labels),
        "limit": n_items,
        "events": _listed(events),
        "backgrounds": {part: _listed(library, part) for part, library in kept.items()},
    }
    own = _deviations(items, events, settings, excluded_labels, n_items)
    return BgKnownPlan(settings, events, kept, items, choices, (*deviations, *own))


def bgknown_folder(out: Path) -> OutputFolder:
    """The folder of a data set, and of no other one."""
    return OutputFolder(out, "sources", (_SUMMARY,))


def make_bgknown(
    plan: BgKnownPlan, out: Path, renderer: tuple[str, Renderer], *, n_workers: int
) -> tuple[dict[str, Any] | None, tuple[Refusal, ...]]:
    """Summary of the data set now at `out`, None if no item could be made, and the refused items.

    Items that are already there as planned are not made again.

    Raises:
        ValueError: If `out` holds another data set or other files.
    """
    settings = {**asdict(plan.settings), **plan.choices, "renderer": renderer[0]}
    bgknown_folder(out).begin(settings)
    roots = {split: plan.backgrounds[part].root for split, part in PART_OF_SPLIT.items()}
    maker = ItemMaker(out, plan.events.root, roots, plan.settings, renderer)
    produced = produce(
        plan.items, maker, lambda item: item.name, n_workers=n_workers, title="items"
    )
    unreadable = tuple(Refusal(*file) for file in plan.events.unreadable_files)
    refused = (*named_by_option(produced.refused), *unreadable)
    write_refused(out / "refused.csv", refused)
    items = [facts for _, facts in produced.done]
    if not items:
        return None, refused
    _write_tables(out, items)
    differences = [*plan.deviations, *([f"items refused: {len(refused)}"] if refused else [])]
    return _write_summary(out, items, len(refused), settings, differences), refused


def _write_tables(out: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write mix.csv, a.csv, b.csv and c.csv, rows in the same order, and items.csv.

    ManifestError is raised if a group is in both splits, or a split is empty.
    """
    for kind in KINDS:
        rows = [
            Clip(
                audio_file(split, item["item"], kind), (item["label"],), split, group=item["group"]
            )
            for item in items
            for split in [item["split"]]
        ]
        write_manifest(out / f"{kind}.csv", rows)
        read_manifest(out / f"{kind}.csv", required_splits=("train", "test"))
    header = list(items[0])
    write_rows(out / "items.csv", header, [[item[name] for name in header] for item in items])


def _write_summary(
    out: Path,
    items: Sequence[Mapping[str, Any]],
    n_refused: int,
    settings: Mapping[str, Any],
    deviations: Sequence[str],
) -> dict[str, Any]:
    """What the data set is, hashes of its tables among it; also written to bgknown.json."""
    splits = Counter(item["split"] for item in items)
    summary = {
        "name": "Background-known ESC-50",
        "seed": settings["seed"],
        "settings": dict(settings),
        "renderer": settings["renderer"],
        "versions": {name: _version(name) for name in _PACKAGES},
        "counts": {
            "items": len(items),
            "refused": n_refused,
            "train": splits["train"],
            "test": splits["test"],
            "classes": len({item["label"] for item in items}),
            "backgrounds": len({(item["split"], item["background_file"]) for item in items}),
        },
        "deviations": list(deviations),
        "manifests": {f"{name}.csv": sha256(out / f"{name}.csv") for name in (*KINDS, "items")},
    }
    write_text(out / _SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _listed(library: Library, part: str | None = None) -> dict[str, Any]:
    """Number of recordings, and a hash of their part, names, labels, folds and lengths."""
    return listing(
        [[part, s.file, s.label, s.fold, round(s.duration_s, 3)] for s in library.sources]
    )


def _deviations(
    items: Sequence[ItemPlan],
    events: Library,
    settings: BgKnownSettings,
    excluded_labels: Sequence[str],
    n_items: int | None,
) -> list[str]:
    """In what items and settings are not those published, or chosen where nothing is."""
    differences = []
    counts = {s: sum(item.split == s for item in items) for s in _PUBLISHED_ITEMS}
    classes = {item.event.label for item in items}
    if counts != _PUBLISHED_ITEMS or len(classes) != _PUBLISHED_CLASSES:
        number = f"{counts['train']} train and {counts['test']} test clips"
        differences.append(f"events: {number} of {len(classes)} classes")
    if n_items is not None:
        differences.append(f"limit: {n_items} items of {len(events.sources)}")
    length_s = settings.duration_s
    lengths_s = [item.event.duration_s - length_s for item in items]
    for name, n_clips in {
        "shorter, padded": sum(length < -_CLIP_TOLERANCE_S for length in lengths_s),
        "longer, cut": sum(length > _CLIP_TOLERANCE_S for length in lengths_s),
    }.items():
        if n_clips:
            differences.append(f"event clips {name}: {n_clips} not of {length_s:g} s")
    if excluded_labels:
        differences.append(f"excluded background labels: {', '.join(sorted(excluded_labels))}")
    for key in ("snr_db", "ref_db", "reference_level", "duration_s", "sample_rate"):
        if (value := getattr(settings, key)) != getattr(_USUAL, key):
            differences.append(f"{key}: {value}")
    return differences
