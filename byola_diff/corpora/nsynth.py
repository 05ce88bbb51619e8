"""NSynth, instrument family: a folder per split with audio/ and examples.json."""

import json
from pathlib import Path

from byola_diff.corpora.layout import LayoutError
from byola_diff.tables.manifest import Clip


def nsynth_clips(root: Path) -> list[Clip]:
    """Notes in their published splits.

    There is no group: only the instruments of train are promised to be in no other split.
    """
    return [clip for split in ("train", "valid", "test") for clip in _split_clips(root, split)]


def _split_clips(root: Path, split: str) -> list[Clip]:
    folder = f"nsynth-{split}"
    table = root / folder / "examples.json"
    try:
        families = {
            name: note["instrument_family_str"]
            for name, note in json.loads(table.read_text(encoding="utf-8")).items()
        }
    except FileNotFoundError as error:
        raise LayoutError(f"no such file: {table}") from error
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = "is not a table of notes with instrument_family_str"
        raise LayoutError(f"{table} {reason}: {error!r}") from error
    return [
        Clip(f"{folder}/audio/{name}.wav", (family,), split=split)
        for name, family in sorted(families.items())
    ]
