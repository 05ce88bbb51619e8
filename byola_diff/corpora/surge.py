"""Pitch of the Surge synthesiser: a folder per tone, in it a file per note, named after the note.

The published split is a list of tones; without it, as many tones are drawn by the seed.
"""

import csv
from pathlib import Path, PurePosixPath

from byola_diff.corpora.group_split import split_groups
from byola_diff.corpora.layout import LayoutError, audio_below, read_lines
from byola_diff.tables.manifest import Clip

_TONES = {"train": 1692, "valid": 195, "test": 197}


def surge_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Notes labelled with their pitch; the group is the tone."""
    notes = [PurePosixPath(file) for file in audio_below(root, ".")]
    if odd := [note for note in notes if len(note.parts) != 2]:
        raise LayoutError(f"{root / odd[0]} is not in a folder TONE with files NOTE.ogg")
    tones = sorted({note.parts[0] for note in notes})
    if split_file is None:
        split = split_groups(dict.fromkeys(tones, 1), _TONES, seed)
    else:
        split = _read_tones(split_file)
    if unknown := [tone for tone in tones if tone not in split]:
        raise LayoutError(f"{split_file} has no split for {len(unknown)} tones, as {unknown[0]!r}")
    return [
        Clip(str(note), (note.stem,), split=split[note.parts[0]], group=note.parts[0])
        for note in notes
    ]


def _read_tones(path: Path) -> dict[str, str]:
    """From tone to split: two columns below any header."""
    rows = list(csv.reader(read_lines(path)))[1:]
    if wrong := [row for row in rows if len(row) != 2]:
        raise LayoutError(f"{path}: {wrong[0]} is not a tone and its split")
    return dict(rows)
