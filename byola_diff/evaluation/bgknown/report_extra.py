"""Two test items of Background-known ESC-50 to look at and listen to."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from byola_diff.evaluation.bgknown.data import MIXTURE, BgKnown
from byola_diff.reports.extras import ReportExtra
from byola_diff.reports.players import HeardClip, heard_clips
from byola_diff.reports.report import MISSING, Part, Table, Text
from byola_diff.tables.manifest import Clip

SECTION = "Background-known ESC-50"

_SAMPLE_RATE = 16_000
"""At which clips are shown, in Hz: enough to tell events by, and pages stay small."""
_TITLES = {
    MIXTURE: "mixture",
    "a": "(a) 100 % overlap",
    "b": "(b) 50 % overlap",
    "c": "(c) 0 % overlap",
}
_FACTS = {"snr_db": "SNR (dB)", "background_label": "background", "start_s": "its start (s)"}
"""Columns of items.csv, as they are shown."""


def bgknown_extra(data: BgKnown) -> ReportExtra:
    """Facts, spectrograms and players of two test items, of different classes where there are.

    Raises:
        AudioFileError: If a clip can't be read.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    clips = data.mixtures.clips
    chosen = _chosen(clips)
    parts: list[Part] = [_facts_table([clips[place] for place in chosen], data.root)]
    for place in chosen:
        label = clips[place].labels[0]
        heard = []
        for variant, manifest in data.manifests.items():
            path = manifest.path(manifest.clips[place])
            heard.append(HeardClip(path, f"{label}, {_TITLES[variant]}\n{path.name}"))
        lead = "the mixture, and references that overlap its background by 100, 50 and 0 %."
        parts.append(Text(f"Item {_name(clips[place])}, {label}: {lead}"))
        parts += heard_clips(heard, _SAMPLE_RATE)
    return ReportExtra(SECTION, "Mixture and references", tuple(parts))


def _chosen(clips: Sequence[Clip]) -> list[int]:
    """Places of the first test item, and of the next one of another class."""
    tested = [place for place, clip in enumerate(clips) if clip.split == "test"]
    others = [place for place in tested if clips[place].labels != clips[tested[0]].labels]
    return [tested[0], *others[:1]]


def _facts_table(mixtures: Sequence[Clip], root: Path) -> Table:
    known = _items(root / "items.csv")
    rows = []
    for clip in mixtures:
        name = _name(clip)
        item = known.get(name, {})
        rows.append([name, clip.labels[0], *(_cell(item.get(column)) for column in _FACTS)])
    note = "The spectrograms of an item share one range of colours."
    return Table(
        ("item", "event", *_FACTS.values()), rows, note=note, text_columns=frozenset({1, 3})
    )


def _name(mixture: Clip) -> str:
    return PurePosixPath(mixture.file).stem.removesuffix(f"_{MIXTURE}")


def _items(path: Path) -> dict[str, Mapping[str, str]]:
    """Rows by item, for show only: a set without them is evaluated all the same."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["item"]: row for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        return {}


def _cell(value: str | None) -> str:
    if not value:
        return MISSING
    try:
        return f"{float(value):.2f}"
    except ValueError:
        return value
