"""Background-known ESC-50 as it is evaluated: mixtures, and three references for each.

Row k of mix.csv, a.csv, b.csv and c.csv is one item: NAME_mix.wav, NAME_a.wav, and so on. A set
whose tables or sounds were altered, or do not belong together, is refused before anything is
embedded.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from byola_diff.corpora.prepare import deviations
from byola_diff.progress import progress
from byola_diff.soundscapes.production.made_set import read_made_set
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Clip, Manifest, read_manifest
from byola_diff.tables.rows import FIRST_ROW

MIXTURE = "mix"
REFERENCES = ("a", "b", "c")
"""They overlap the background of the mixture by 100, 50 and 0 %."""
VARIANTS = (MIXTURE, *REFERENCES)
FACTS = "bgknown.json"
ITEMS = "items.csv"

_PUBLISHED = {"training items": 1200, "test items": 800, "classes": 50}


@dataclass(frozen=True)
class BgKnown:
    """The data set of a folder."""

    root: Path
    manifests: Mapping[str, Manifest]
    """Tables by "mix", "a", "b" and "c"; row by row of the same items."""
    hashes: Mapping[str, str]
    """SHA-256 of the tables, by file name."""
    items: Mapping[str, Mapping[str, str]]
    """Rows of items.csv by item: how it was made, and the SHA-256 of its sounds."""
    settings: Mapping[str, Any]
    """How it was made."""
    deviations: tuple[str, ...]
    """Where it is not the published set."""

    @property
    def mixtures(self) -> Manifest:
        """The mixtures, with the labels and splits of all items."""
        return self.manifests[MIXTURE]

    @property
    def clips(self) -> Manifest:
        """All clips, one variant after the other, to be embedded in one go."""
        clips = (clip for variant in VARIANTS for clip in self.manifests[variant].clips)
        return Manifest(self.root, tuple(clips), ())

    def check_audio(self) -> None:
        """Read all files; a `ValueError` if a sound is not the one that was made."""
        for variant, manifest in self.manifests.items():
            for clip in progress(manifest.clips, title=variant, unit="files hashed", leave=False):
                path = self.root / clip.file
                if sha256(path) != self.items[item_name(clip)][f"{variant}_sha256"]:
                    raise ValueError(
                        f"{path} is not the sound that {ITEMS} tells of: it was altered or "
                        "replaced; make the set again"
                    )


def read_bgknown(folder: Path) -> BgKnown:
    """The data set, checked, but for the content of audio files: see `BgKnown.check_audio`.

    Raises:
        FileNotFoundError: If the folder or a table is not there.
        ValueError: If a table was altered, or the four are not of the same items in one order; it
            names file and row.
        BrokenFileError: If bgknown.json was altered.
    """
    if not (folder / FACTS).is_file():
        raise FileNotFoundError(
            f"no {folder / FACTS}: give a folder that datasets/make_bgknown_esc50.py has made"
        )
    facts = read_made_set(folder / FACTS)
    hashes = {}
    for name in (*(f"{variant}.csv" for variant in VARIANTS), ITEMS):
        hashes[name] = sha256(folder / name)
        if hashes[name] != facts.manifests.get(name):
            raise ValueError(
                f"{folder / name} is not the table that {FACTS} tells of: make the set again"
            )
    manifests = {
        variant: read_manifest(folder / f"{variant}.csv", required_splits=("train", "test"))
        for variant in VARIANTS
    }
    mixtures = manifests[MIXTURE]
    for variant in REFERENCES:
        _check_aligned(folder, variant, mixtures, manifests[variant])
    counts = {
        "training items": len(mixtures.in_split("train")),
        "test items": len(mixtures.in_split("test")),
        "classes": len(mixtures.classes),
    }
    return BgKnown(
        folder,
        manifests,
        hashes,
        _items(folder / ITEMS, manifests),
        facts.model_dump(include={"name", "seed", "settings", "renderer"}),
        facts.deviations or tuple(deviations(counts, _PUBLISHED)),
    )


def difference_embeddings(
    embeddings: Mapping[str, Float[np.ndarray, "item dim"]],
) -> dict[str, Float[np.ndarray, "item dim"]]:
    """What is classified: the mixture as it is, and minus each of its references.

    Source:
        Takeuchi et al., 2024, section 5.2.
    """
    mixture = embeddings[MIXTURE]
    return {MIXTURE: mixture} | {name: mixture - embeddings[name] for name in REFERENCES}


def item_name(clip: Clip) -> str:
    """Name of the item that a clip is of: that of its file, without the variant."""
    return PurePosixPath(clip.file).stem.rpartition("_")[0]


def _items(path: Path, manifests: Mapping[str, Manifest]) -> Mapping[str, Mapping[str, str]]:
    """Rows by item; every sound of the manifests must have its hash."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {row.get("item", ""): row for row in csv.DictReader(file)}
    for variant, manifest in manifests.items():
        for item in map(item_name, manifest.clips):
            if not rows.get(item, {}).get(f"{variant}_sha256"):
                raise ValueError(f"{path} has no {variant}_sha256 of item {item!r}: make it again")
    return rows


def _check_aligned(folder: Path, variant: str, mixtures: Manifest, references: Manifest) -> None:
    path, counts = folder / f"{variant}.csv", (len(references.clips), len(mixtures.clips))
    if counts[0] != counts[1]:
        raise ValueError(f"{path} has {counts[0]} rows, mix.csv {counts[1]}")
    rows = zip(mixtures.clips, references.clips, strict=True)
    for number, (mixture, reference) in enumerate(rows, start=FIRST_ROW):
        file = PurePosixPath(mixture.file).with_stem(f"{item_name(mixture)}_{variant}")
        cells = {
            "file": (PurePosixPath(reference.file).as_posix(), file.as_posix()),
            "label": (reference.labels, mixture.labels),
            "split": (reference.split, mixture.split),
        }
        for name, (mine, other) in cells.items():
            if mine != other:
                raise ValueError(
                    f"{path}: row {number}, column {name!r}: {reference.file} does not belong to "
                    f"{mixture.file} of mix.csv: {mine!r}, not {other!r}"
                )
