"""ESC-50: meta/esc50.csv names file, category, fold and the Freesound recording of each clip."""

from pathlib import Path

from byola_diff.data.manifest import Clip
from byola_diff.evaluation.tasks.layout import read_columns, whole_number


def esc50_clips(root: Path) -> list[Clip]:
    """Clips in their five published folds; the group is the recording that a clip was cut from."""
    table = root / "meta" / "esc50.csv"
    return [
        Clip(
            file=f"audio/{row['filename']}",
            labels=(row["category"],),
            fold=whole_number(row["fold"], table),
            group=row["src_file"],
        )
        for row in read_columns(table, ("filename", "fold", "category", "src_file"))
    ]
