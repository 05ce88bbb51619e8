"""Data sets whose table has a row per clip with its fold, as ESC-50 and UrbanSound8K have."""

from pathlib import Path

from byola_diff.corpora.layout import read_columns, whole_number
from byola_diff.tables.manifest import Clip


def clips_in_folds(table: Path, folder: str, *, file: str, label: str, group: str) -> list[Clip]:
    """Clips in their published folds.

    Args:
        table: CSV file with the column "fold" and those named below.
        folder: Where the files are; "{fold}" stands for the number of the fold.
        file: Column of file names.
        label: Column of labels.
        group: Column of what must not be in two folds.

    Raises:
        LayoutError: If the table is missing or lacks something.
    """
    return [
        Clip(
            file=f"{folder.format(fold=row['fold'])}/{row[file]}",
            labels=(row[label],),
            fold=whole_number(row["fold"], table),
            group=row[group],
        )
        for row in read_columns(table, (file, "fold", label, group))
    ]
