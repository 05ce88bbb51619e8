"""UrbanSound8K: metadata/UrbanSound8K.csv names file, class, fold and Freesound recording."""

from pathlib import Path

from byola_diff.data.manifest import Clip
from byola_diff.evaluation.tasks.layout import read_columns, whole_number


def us8k_clips(root: Path) -> list[Clip]:
    """Clips in their ten published folds; the group is the recording that a slice was cut from."""
    table = root / "metadata" / "UrbanSound8K.csv"
    return [
        Clip(
            file=f"audio/fold{row['fold']}/{row['slice_file_name']}",
            labels=(row["class"],),
            fold=whole_number(row["fold"], table),
            group=row["fsID"],
        )
        for row in read_columns(table, ("slice_file_name", "fsID", "fold", "class"))
    ]
