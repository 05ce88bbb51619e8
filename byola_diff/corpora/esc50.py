"""ESC-50: meta/esc50.csv names file, category, fold and the Freesound recording of each clip."""

from pathlib import Path

from byola_diff.corpora.fold_table import clips_in_folds
from byola_diff.tables.manifest import Clip


def esc50_clips(root: Path) -> list[Clip]:
    """Clips in their five published folds; the group is the recording that a clip was cut from."""
    table = root / "meta" / "esc50.csv"
    return clips_in_folds(table, "audio", file="filename", label="category", group="src_file")
