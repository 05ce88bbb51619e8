"""The tables of a background-known data set: manifests, a row per item with all facts, a summary.

All are written last, in the order of the items, and say nothing of time or place: the same settings
give the same bytes.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byola_diff.atomic import atomic_path, write_text
from byola_diff.soundscapes.bgknown.items import KINDS, audio_file
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Clip, read_manifest, write_manifest

SUMMARY = "bgknown.json"

_PACKAGES = ("byola-diff", "numpy", "pyloudnorm", "scipy", "soundfile", "soxr")


def write_tables(out: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write mix.csv, a.csv, b.csv and c.csv, rows in the same order, and items.csv.

    Raises:
        ManifestError: If a group is in both splits, or a split is empty.
    """
    for kind in KINDS:
        rows = [
            Clip(
                audio_file(item["split"], item["item"], kind),
                (item["label"],),
                split=item["split"],
                group=item["group"],
            )
            for item in items
        ]
        write_manifest(out / f"{kind}.csv", rows)
        read_manifest(out / f"{kind}.csv", required_splits=("train", "test"))
    with (
        atomic_path(out / "items.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(items[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(items)


def write_summary(
    out: Path,
    items: Sequence[Mapping[str, Any]],
    n_refused: int,
    settings: Mapping[str, Any],
    deviations: Sequence[str],
) -> dict[str, Any]:
    """What the data set is and in what it is not the published one, also written to bgknown.json.

    `write_tables` comes first: their hashes are in it.
    """
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
    write_text(out / SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
