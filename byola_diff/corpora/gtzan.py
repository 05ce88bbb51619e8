"""GTZAN with the fault-filtered lists: no artist on two sides, broken and repeated files left out.

Tracks that are cut into pieces before the split leak: one author of public code saw accuracy fall
by some 10 to 15 % once that was mended (github.com/Hguimaraes/gtzan.keras, issue 10).
"""

from pathlib import Path, PurePosixPath

from byola_diff.corpora.layout import LayoutError, read_lines
from byola_diff.tables.manifest import Clip

LISTS_SOURCE = "https://github.com/jongpillee/music_dataset_split (GTZAN_split)"

_SUFFIXES = (".wav", ".au")


def gtzan_clips(root: Path) -> list[Clip]:
    """Tracks of the three lists, which the user puts into `root`. Files in none have no split."""
    clips = []
    for split in ("train", "valid", "test"):
        table = root / f"{split}_filtered.txt"
        if not table.is_file():
            raise LayoutError(f"no such file: {table}; get it from {LISTS_SOURCE}")
        clips += [_clip(root, line, split) for line in read_lines(table)]
    return clips


def _clip(root: Path, line: str, split: str) -> Clip:
    """The lists say .wav, the original archive has .au."""
    genre, slash, _ = line.partition("/")
    if not slash:
        raise LayoutError(f"{split}_filtered.txt: {line!r} is not as blues/blues.00000.wav")
    named = PurePosixPath("genres") / line
    present = [p for suffix in _SUFFIXES if (root / (p := named.with_suffix(suffix))).is_file()]
    return Clip(str((present or [named])[0]), (genre,), split=split)
